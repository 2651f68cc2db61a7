/* Some linkers insist on an initialiser of the extension module. This library is loaded with ctypes, never imported. */
#include "kernels.h"

EXPORT void *PyInit__kernels(void) { return 0; }

/* Grows with every change of a signature, so that an old library beside new Python code is not used. */
EXPORT int32_t cellmonai_kernels_version(void) { return 2; }
