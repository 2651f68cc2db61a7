/* Outlines of objects: corner by corner along each ring. The twin is in cellmonai/measure/tracing/ring_walk.py. */
#include "kernels.h"

/* Writes the n corners ring after ring into `order`, each ring from its least corner on, and where each ring starts into
   `first` (room for n); gives the number of rings. `following` says which corner comes next, a permutation; it is used
   up: -1 where the walk has been. */
EXPORT int64_t cellmonai_walk_rings(int64_t n, int64_t *following, int64_t *order, int64_t *first) {
    int64_t rings = 0, walked = 0;
    for (int64_t start = 0; start < n; start++) {
        if (following[start] < 0) continue;
        first[rings++] = walked;
        for (int64_t at = start; following[at] >= 0;) {
            int64_t ahead = following[at];
            following[at] = -1;
            order[walked++] = at;
            at = ahead;
        }
    }
    return rings;
}
