/* What every kernel file shares. Only exact-width integers and doubles; no Python objects, no state, no allocation
   that outlives a call. Doubles are combined with + - * / and sqrt alone, so results equal the NumPy twins' bytes. */
#ifndef CELLMONAI_KERNELS_H
#define CELLMONAI_KERNELS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#endif
