/* Basins of a strip of heights: pointers to the greatest neighbour, their sums, and the saddles between them.
   The twin is cellmonai/instances/basins.py. */
#include "kernels.h"
#include "regions.h"


/* Greatest of the 3 x 3 pixels around h: higher first, then earlier in raster order. Gives its offset. */
static inline int64_t greatest(const uint32_t *h, int64_t pitch)
{
    const uint32_t *up = h - pitch, *down = h + pitch;
    uint32_t best = up[-1];
    int64_t step = -pitch - 1;
    if (up[0] > best) best = up[0], step = -pitch;
    if (up[1] > best) best = up[1], step = -pitch + 1;
    if (h[-1] > best) best = h[-1], step = -1;
    if (h[0] > best) best = h[0], step = 0;
    if (h[1] > best) best = h[1], step = 1;
    if (down[-1] > best) best = down[-1], step = pitch - 1;
    if (down[0] > best) best = down[0], step = pitch;
    if (down[1] > best) best = down[1], step = pitch + 1;
    return step;
}

/* Number the basins of a strip.
   framed: (rows + 2 margin) x (width + 2 margin) heights, margin >= 1, 0 on background. ids: rows x width, filled with
   0 on background and 1..N, N returned, in raster order of the basins' roots. roots: position of each root, room for
   every possible one, (rows + 1) / 2 * (width + 1) / 2 + 2 * width. A root is a peak, or a pixel that points out of
   the strip. */
EXPORT int64_t cellmonai_basin_ids(const uint32_t *framed, int64_t rows, int64_t width, int64_t margin, int32_t *ids,
                                   int32_t *roots)
{
    const int64_t pitch = width + 2 * margin;
    int32_t count = 0;
    /* while it is worked on, ids holds -1 on background, where a pixel points, or -2 - (number of its basin) */
    for (int64_t y = 0; y < rows; y++) {
        const uint32_t *h = framed + (y + margin) * pitch + margin;
        int32_t *row = ids + y * width;
        for (int64_t x = 0; x < width; x++) {
            if (!h[x]) {
                row[x] = -1;
                continue;
            }
            int64_t step = greatest(h + x, pitch);
            int64_t down = step < -1 ? -1 : step > 1 ? 1 : 0, across = step - down * pitch;
            int64_t to = y + down;
            if (step == 0 || to < 0 || to >= rows) {
                roots[count] = (int32_t)(y * width + x);
                count++;
                row[x] = -1 - count;
            } else
                row[x] = (int32_t)(to * width + x + across);
        }
    }
    for (int64_t i = 0; i < rows * width; i++) {
        if (ids[i] < 0)
            continue;
        int64_t end = i;
        while (ids[end] >= 0)
            end = ids[end];
        const int32_t number = ids[end];
        for (int64_t at = i; ids[at] >= 0;) {
            const int64_t next = ids[at];
            ids[at] = number;
            at = next;
        }
    }
    for (int64_t i = 0; i < rows * width; i++)
        ids[i] = -1 - ids[i];
    return count;
}

static int is_greatest_in_window(const uint32_t *h, int64_t pitch, int64_t reach)
{
    for (int64_t down = -reach; down <= reach; down++)
        for (int64_t right = -reach; right <= reach; right++) {
            const uint32_t other = h[down * pitch + right];
            if (down < 0 || (down == 0 && right < 0) ? other >= *h : other > *h)
                return 0;
        }
    return 1;
}

/* What the roots of basins tell: COLUMNS int64 a row, in the order of the enum above; pixels as raster indices of the
   image, whose row `top` the strip begins with. The other columns are cleared, for cellmonai_region_sums. */
EXPORT void cellmonai_basin_roots(const uint32_t *framed, int64_t width, int64_t margin, int64_t top,
                                  int64_t seed_distance, const int32_t *roots, int64_t count, int64_t *table)
{
    const int64_t pitch = width + 2 * margin;
    memset(table, 0, (size_t)(count * COLUMNS) * sizeof *table);
    for (int64_t i = 0; i < count; i++) {
        int64_t *basin = table + i * COLUMNS, y = roots[i] / width, x = roots[i] % width;
        const uint32_t *h = framed + (y + margin) * pitch + x + margin;
        const int64_t step = greatest(h, pitch), down = step < -1 ? -1 : step > 1 ? 1 : 0;
        basin[PEAK_HEIGHT] = *h;
        basin[PEAK_PIXEL] = (top + y) * width + x;
        basin[EXIT_TO] = step ? (top + y + down) * width + x + step - down * pitch : -1;
        basin[IS_SEED] = seed_distance > 0 && is_greatest_in_window(h, pitch, seed_distance);
    }
}

/* Add the sums of the regions of a strip to a cleared table: area, sums over (row, column) of the image in arithmetic
   modulo 2^64, box, and first pixel. Regions are numbered from 1. */
EXPORT void cellmonai_region_sums(const int32_t *ids, int64_t rows, int64_t width, int64_t top, int64_t *table)
{
    for (int64_t row = 0; row < rows; row++) {
        const int32_t *id = ids + row * width;
        const uint64_t y = (uint64_t)(top + row);
        for (int64_t x = 0; x < width;) {
            if (!id[x]) {
                uint64_t two;
                if (x + 2 <= width && (memcpy(&two, id + x, 8), two == 0))
                    x += 2;
                else
                    x++;
                continue;
            }
            const int64_t start = x;
            const int32_t number = id[x];
            while (x < width && id[x] == number)
                x++;
            int64_t *region = table + (number - 1) * COLUMNS;
            const uint64_t a = (uint64_t)start, length = (uint64_t)(x - start);
            /* sums of 0 .. length - 1 and of their squares; nothing that may have wrapped is divided */
            const uint64_t steps = length * (length - 1) / 2, step_squares = steps * (2 * length - 1) / 3;
            const uint64_t sum = a * length + steps;
            const uint64_t squares = a * a * length + 2 * a * steps + step_squares;
            if (!region[AREA]) {
                region[FIRST_PIXEL] = (top + row) * width + start;
                region[TOP] = top + row;
                region[LEFT] = start;
                region[RIGHT] = x;
            }
            region[BOTTOM] = top + row + 1;
            if (start < region[LEFT]) region[LEFT] = start;
            if (x > region[RIGHT]) region[RIGHT] = x;
            region[AREA] += (int64_t)length;
            region[SUM_Y] = (int64_t)((uint64_t)region[SUM_Y] + y * length);
            region[SUM_X] = (int64_t)((uint64_t)region[SUM_X] + sum);
            region[SUM_YY] = (int64_t)((uint64_t)region[SUM_YY] + y * y * length);
            region[SUM_XX] = (int64_t)((uint64_t)region[SUM_XX] + squares);
            region[SUM_XY] = (int64_t)((uint64_t)region[SUM_XY] + y * sum);
        }
    }
}

typedef struct {
    uint64_t *pair; /* low << 32 | high, 0 where free: basins count from 1 */
    uint32_t *saddle;
    uint64_t mask;
    int64_t used;
} Edges;

static int grow(Edges *edges, uint64_t size);

static int note(Edges *edges, uint64_t pair, uint32_t saddle)
{
    uint64_t at = (pair * 0x9E3779B97F4A7C15u >> 20) & edges->mask;
    while (edges->pair[at] && edges->pair[at] != pair)
        at = (at + 1) & edges->mask;
    if (edges->pair[at]) {
        if (saddle > edges->saddle[at]) edges->saddle[at] = saddle;
        return 0;
    }
    edges->pair[at] = pair;
    edges->saddle[at] = saddle;
    edges->used++;
    return (uint64_t)edges->used * 2 > edges->mask ? grow(edges, 2 * (edges->mask + 1)) : 0;
}

static int grow(Edges *edges, uint64_t size)
{
    Edges wider = {calloc(size, sizeof(uint64_t)), malloc(size * sizeof(uint32_t)), size - 1, 0};
    if (!wider.pair || !wider.saddle) {
        free(wider.pair), free(wider.saddle);
        return -1;
    }
    for (uint64_t i = 0; edges->pair && i <= edges->mask; i++)
        if (edges->pair[i]) note(&wider, edges->pair[i], edges->saddle[i]);
    free(edges->pair), free(edges->saddle);
    *edges = wider;
    return 0;
}

/* Find the touching pairs of basins, each once, with the highest saddle between them, in no order.
   low, high, saddle: room for `room` edges. Returns how many there are; when that is more than `room`, nothing was
   written and a call with more room is needed; -1 without memory. */
EXPORT int64_t cellmonai_basin_edges(const uint32_t *framed, int64_t rows, int64_t width, int64_t margin,
                                     const int32_t *ids, int64_t room, int64_t *low, int64_t *high, int64_t *saddle)
{
    const int64_t pitch = width + 2 * margin;
    Edges edges = {0, 0, 0, 0};
    if (grow(&edges, 1 << 12)) return -1;
    int failed = 0;
    for (int64_t y = 0; y < rows && !failed; y++) {
        const uint32_t *h = framed + (y + margin) * pitch + margin;
        const int32_t *id = ids + y * width;
        for (int64_t x = 0; x < width; x++) {
            const int32_t here = id[x];
            if (!here) continue;
            const int64_t steps[4] = {x + 1 < width ? 1 : 0, y + 1 < rows && x ? width - 1 : 0, y + 1 < rows ? width : 0,
                                      y + 1 < rows && x + 1 < width ? width + 1 : 0};
            static const int64_t across[4] = {1, -1, 0, 1}, down[4] = {0, 1, 1, 1};
            for (int k = 0; k < 4; k++) {
                const int32_t there = id[x + steps[k]];
                if (there == here || !there) continue;
                const uint32_t other = h[x + down[k] * pitch + across[k]], lower = h[x] < other ? h[x] : other;
                const uint64_t a = (uint64_t)(here < there ? here : there), b = (uint64_t)(here < there ? there : here);
                failed |= note(&edges, a << 32 | b, lower);
            }
        }
    }
    int64_t found = failed ? -1 : edges.used;
    if (found >= 0 && found <= room) {
        int64_t at = 0;
        for (uint64_t i = 0; i <= edges.mask; i++)
            if (edges.pair[i]) {
                low[at] = (int64_t)(edges.pair[i] >> 32);
                high[at] = (int64_t)(edges.pair[i] & 0xFFFFFFFFu);
                saddle[at] = edges.saddle[i];
                at++;
            }
    }
    free(edges.pair), free(edges.saddle);
    return found;
}

/* Labels of pixels from the numbers of their basins: out[i] = label_of[ids[i]]. */
EXPORT void cellmonai_relabel(const int32_t *ids, int64_t pixels, const int32_t *label_of, int32_t *out)
{
    for (int64_t i = 0; i < pixels; i++)
        out[i] = label_of[ids[i]];
}
