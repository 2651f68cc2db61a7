/* Connected components of a strip by runs: pieces of rows of equal value, united where those of neighbouring rows touch.
   The twin is cellmonai/instances/components.py. */
#include "kernels.h"

typedef struct {
    int32_t row, start, stop, value;
} Run;

static int32_t root_of(int32_t *parent, int32_t run)
{
    while (parent[run] != run) {
        parent[run] = parent[parent[run]];
        run = parent[run];
    }
    return run;
}

/* Number the regions of equal nonzero value 1..N by their first pixel in raster order. diagonal: 1 joins pixels across
   a corner, 0 does not. ids: rows x width, 0 where the value is 0. Returns N, or -1 without memory. */
EXPORT int64_t cellmonai_components(const int32_t *values, int64_t rows, int64_t width, int64_t diagonal, int32_t *ids)
{
    int64_t room = 4 * (rows + width) + 1024, count = 0, above = 0, here = 0;
    Run *runs = malloc((size_t)room * sizeof *runs);
    int32_t *parent = malloc((size_t)room * sizeof *parent);
    for (int64_t y = 0; y < rows && runs && parent; y++) {
        const int32_t *value = values + y * width;
        if (count + width > room) {
            room = 2 * room + width;
            Run *more_runs = realloc(runs, (size_t)room * sizeof *runs);
            int32_t *more_parent = realloc(parent, (size_t)room * sizeof *parent);
            runs = more_runs ? more_runs : (free(runs), NULL);
            parent = more_parent ? more_parent : (free(parent), NULL);
            if (!runs || !parent) break;
        }
        above = here;
        here = count;
        int64_t other = above;
        for (int64_t x = 0; x < width;) {
            if (!value[x]) {
                uint64_t two;
                if (x + 2 <= width && (memcpy(&two, value + x, 8), two == 0))
                    x += 2;
                else
                    x++;
                continue;
            }
            const int64_t start = x;
            while (x < width && value[x] == value[start])
                x++;
            const int32_t run = (int32_t)count++;
            runs[run] = (Run){(int32_t)y, (int32_t)start, (int32_t)x, value[start]};
            parent[run] = run;
            while (other < here && runs[other].stop + diagonal <= start)
                other++;
            for (int64_t next = other; next < here && runs[next].start < x + diagonal; next++)
                if (runs[next].value == runs[run].value) {
                    int32_t one = root_of(parent, (int32_t)next), two = root_of(parent, run);
                    if (one < two)
                        parent[two] = one;
                    else
                        parent[one] = two;
                }
        }
    }
    if (!runs || !parent) {
        free(runs), free(parent);
        return -1;
    }
    int32_t number = 0;
    for (int64_t run = 0; run < count; run++) /* a root comes before all that hang on it */
        parent[run] = parent[run] == run ? -(++number) : parent[run];
    for (int64_t run = 0; run < count; run++) {
        int32_t end = (int32_t)run;
        while (parent[end] >= 0)
            end = parent[end];
        parent[run] = parent[end];
    }
    memset(ids, 0, (size_t)(rows * width) * sizeof *ids);
    for (int64_t i = 0; i < count; i++)
        for (int64_t x = runs[i].start; x < runs[i].stop; x++)
            ids[runs[i].row * width + x] = -parent[i];
    free(runs), free(parent);
    return number;
}
