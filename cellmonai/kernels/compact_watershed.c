/* Flooding from markers in order of priority, compact or not, with or without lines between the floods.
   The twin is cellmonai/instances/presets/compact_watershed.py. */
#include "kernels.h"
#include <math.h>

typedef struct {
    double priority;
    int64_t age; /* no two entries have the same age, so the order is total */
    int32_t pixel, source;
} Entry;

typedef struct {
    Entry *entries;
    int64_t count, room;
} Heap;

static inline int before(const Entry *a, const Entry *b)
{
    return a->priority < b->priority || (a->priority == b->priority && a->age < b->age);
}

/* 0, or -1 where memory ran out */
static int push(Heap *heap, Entry entry)
{
    if (heap->count == heap->room) {
        int64_t room = heap->room ? heap->room + heap->room / 2 : 1024;
        Entry *grown = realloc(heap->entries, (size_t)room * sizeof(Entry));
        if (!grown)
            return -1;
        heap->entries = grown;
        heap->room = room;
    }
    int64_t at = heap->count++;
    while (at) {
        int64_t parent = (at - 1) / 2;
        if (!before(&entry, heap->entries + parent))
            break;
        heap->entries[at] = heap->entries[parent];
        at = parent;
    }
    heap->entries[at] = entry;
    return 0;
}

static Entry pop(Heap *heap)
{
    Entry first = heap->entries[0], last = heap->entries[--heap->count];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && before(heap->entries + child + 1, heap->entries + child))
            child++;
        if (!before(heap->entries + child, &last))
            break;
        heap->entries[at] = heap->entries[child];
        at = child;
    }
    heap->entries[at] = last;
    return first;
}

static int between_floods(const uint8_t *open, const int32_t *labels, int32_t pixel, const int64_t *steps)
{
    int32_t met = 0;
    for (int i = 0; i < 4; i++) {
        int64_t next = pixel + steps[i];
        if (!open[next] || !labels[next])
            continue;
        if (met && labels[next] != met)
            return 1;
        met = labels[next];
    }
    return 0;
}

static inline double apart(int64_t one, int64_t other, int64_t pitch)
{
    double down = (double)(one / pitch - other / pitch), across = (double)(one % pitch - other % pitch);
    return sqrt(down * down + across * across);
}

/* Flood. Images are framed by one closed pixel on every side and `pitch` px wide, `pixels` < 2^31 in all.
   cost: priority of each pixel, lowest first; with `monotone` never below that of the pixel the flood came from.
   open: 1 where the flood may go; lines are closed on the way.
   labels: the markers' numbers, 0 elsewhere; overwritten by the result. Gives 0, or -1 where memory ran out. */
EXPORT int64_t cellmonai_flood(const double *cost, uint8_t *open, int32_t *labels, int64_t pitch, int64_t pixels,
                               double compactness, int64_t lines, int64_t monotone)
{
    const int64_t steps[4] = {-pitch, -1, 1, pitch};
    const int on_arrival = compactness > 0 || lines; /* label pixels when they are taken up, not when they are found */
    Heap heap = {0, 0, 0};
    int64_t age = 0;
    int failed = 0;
    for (int64_t i = 0; i < pixels && !failed; i++)
        if (labels[i])
            failed = push(&heap, (Entry){cost[i], age++, (int32_t)i, (int32_t)i});
    while (heap.count && !failed) {
        const Entry entry = pop(&heap);
        if (on_arrival) {
            if (labels[entry.pixel] && entry.pixel != entry.source)
                continue;
            if (lines && between_floods(open, labels, entry.pixel, steps)) {
                open[entry.pixel] = 0;
                continue;
            }
            labels[entry.pixel] = labels[entry.source];
        }
        for (int i = 0; i < 4 && !failed; i++) {
            int64_t next = entry.pixel + steps[i];
            if (!open[next] || labels[next])
                continue;
            double priority = cost[next];
            if (compactness > 0)
                priority += compactness * apart(next, entry.source, pitch);
            if (monotone && priority < entry.priority)
                priority = entry.priority;
            if (!on_arrival)
                labels[next] = labels[entry.pixel];
            failed = push(&heap, (Entry){priority, age++, (int32_t)next, entry.source});
        }
    }
    free(heap.entries);
    return failed;
}
