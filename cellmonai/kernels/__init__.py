"""The compiled kernels of counting: plain C without Python objects, loaded with ctypes, each with a twin in NumPy."""
