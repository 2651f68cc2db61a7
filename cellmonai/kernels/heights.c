/* Heights of the counting landscape: exact capped distance to the background, smoothed with integer weights.
   The twin is cellmonai/instances/heights.py; every number here is a whole number, so both give the same bytes. */
#include "kernels.h"

enum { CAP = 255, REACH = 3, RING = 8, WIDE = 20 };
static const uint32_t WEIGHT[REACH + 1] = {106, 61, 13, 1};

/* Rows to the next background pixel above, at most CAP, given those of the row above. */
static void step_down(const uint8_t *inside, const uint8_t *previous, uint8_t *row, int64_t width)
{
    for (int64_t x = 0; x < width; x++) {
        uint8_t nearer = previous[x] < CAP ? previous[x] : CAP - 1;
        row[x] = (uint8_t)((uint8_t)(nearer + 1) & (uint8_t)(0 - inside[x]));
    }
}

static void take_smaller(uint8_t *row, const uint8_t *other, int64_t width)
{
    for (int64_t x = 0; x < width; x++)
        row[x] = row[x] < other[x] ? row[x] : other[x];
}

static int64_t floor_ratio(int64_t a, int64_t b) /* b > 0 */
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* Squared distances of positions s..e-1 by the lower envelope of parabolas (Meijster et al. 2000): linear in the width,
   however far the background is. Positions from..to-1 hold all that can be nearest. */
static void envelope(const uint8_t *g, int64_t from, int64_t to, int64_t s, int64_t e, const uint16_t *depth_of,
                     uint16_t *depth, int64_t *vertex, int64_t *start)
{
    int64_t top = -1;
    for (int64_t u = from; u < to; u++) {
        int64_t gu = (int64_t)g[u] * g[u], begin = from;
        while (top >= 0) {
            int64_t v = vertex[top], gv = (int64_t)g[v] * g[v];
            /* first position where u is nearer than v */
            begin = floor_ratio(u * u - v * v + gu - gv, 2 * (u - v)) + 1;
            if (begin > start[top])
                break;
            top--;
            begin = from;
        }
        if (begin < to) {
            top++;
            vertex[top] = u;
            start[top] = begin;
        }
    }
    for (int64_t x = e - 1; x >= s; x--) {
        while (start[top] > x)
            top--;
        int64_t v = vertex[top], d = (x - v) * (x - v) + (int64_t)g[v] * g[v];
        depth[x] = depth_of[d < CAP * CAP ? d : CAP * CAP];
    }
}

/* Squared distances of positions s..e-1 by looking outwards as far as it can help. */
static void search(const uint8_t *g, int64_t from, int64_t to, int64_t s, int64_t e, const uint16_t *depth_of,
                   uint16_t *depth)
{
    for (int64_t x = s; x < e; x++) {
        int32_t best = (int32_t)g[x] * g[x];
        for (int32_t k = 1; k * k < best; k++) {
            if (x - k >= from) {
                int32_t d = k * k + (int32_t)g[x - k] * g[x - k];
                best = d < best ? d : best;
            }
            if (x + k < to) {
                int32_t d = k * k + (int32_t)g[x + k] * g[x + k];
                best = d < best ? d : best;
            }
        }
        depth[x] = depth_of[best];
    }
}

/* Depth of one row from its distances within columns; background gets 0. Returns whether there is any foreground. */
static int depth_row(const uint8_t *g, int64_t width, const uint16_t *depth_of, uint16_t *depth, int64_t *vertex,
                     int64_t *start)
{
    int any = 0;
    memset(depth, 0, (size_t)width * sizeof *depth);
    for (int64_t x = 0; x < width;) {
        if (!g[x]) {
            uint64_t eight;
            if (x + 8 <= width && (memcpy(&eight, g + x, 8), eight == 0))
                x += 8;
            else
                x++;
            continue;
        }
        int64_t s = x;
        uint8_t highest = 0;
        for (; x < width && g[x]; x++)
            highest = g[x] > highest ? g[x] : highest;
        /* the background pixel at either end counts; nothing behind it can be nearer */
        int64_t from = s > 0 ? s - 1 : 0, to = x < width ? x + 1 : width;
        if (highest > WIDE && x - s > WIDE)
            envelope(g, from, to, s, x, depth_of, depth, vertex, start);
        else
            search(g, from, to, s, x, depth_of, depth);
        any = 1;
    }
    return any;
}

static int64_t mirrored(int64_t row, int64_t rows)
{
    while (row < 0 || row >= rows)
        row = row < 0 ? -1 - row : 2 * rows - 1 - row;
    return row;
}

/* One row of smoothed heights from seven rows of depth, on foreground only; the rest of the row is left as it is. */
static void smooth_row(const uint16_t *rows[2 * REACH + 1], const uint8_t *inside, int64_t width, uint32_t *sums,
                       uint32_t *out)
{
    for (int64_t x = 0; x < width;) {
        if (!inside[x]) {
            uint64_t eight;
            if (x + 8 <= width && (memcpy(&eight, inside + x, 8), eight == 0))
                x += 8;
            else
                x++;
            continue;
        }
        int64_t s = x;
        while (x < width && inside[x])
            x++;
        int64_t from = s - REACH > 0 ? s - REACH : 0, to = x + REACH < width ? x + REACH : width;
        uint32_t *sum = sums + REACH; /* room for the mirror image on both sides */
        for (int64_t i = from; i < to; i++)
            sum[i] = WEIGHT[0] * rows[3][i] + WEIGHT[1] * ((uint32_t)rows[2][i] + rows[4][i]) +
                     WEIGHT[2] * ((uint32_t)rows[1][i] + rows[5][i]) + WEIGHT[3] * ((uint32_t)rows[0][i] + rows[6][i]);
        if (s < REACH || x + REACH > width)
            for (int64_t k = 1; k <= REACH; k++) {
                if (s < REACH)
                    sum[-k] = sum[mirrored(-k, width)];
                if (x + REACH > width)
                    sum[width - 1 + k] = sum[mirrored(width - 1 + k, width)];
            }
        for (int64_t i = s; i < x; i++)
            out[i] = WEIGHT[0] * sum[i] + WEIGHT[1] * (sum[i - 1] + sum[i + 1]) + WEIGHT[2] * (sum[i - 2] + sum[i + 2]) +
                     WEIGHT[3] * (sum[i - 3] + sum[i + 3]);
    }
}

/* Heights of rows first..last-1 of a window.
   inside: window_rows x width, 0 or 1. Window rows beyond the wanted ones must reach CAP + REACH rows up and down, or
   the image's border. depth_of: CAP * CAP + 1 values. out: row `first` begins here, rows are `pitch` apart; only
   foreground is written. Returns 0, or -1 without memory. */
EXPORT int64_t cellmonai_heights(const uint8_t *inside, int64_t window_rows, int64_t width, int64_t first, int64_t last,
                                 const uint16_t *depth_of, uint32_t *out, int64_t pitch)
{
    int64_t low = first - REACH > 0 ? first - REACH : 0;
    int64_t high = last + REACH < window_rows ? last + REACH : window_rows;
    uint8_t *g = malloc((size_t)((high - low + 2) * width));
    uint16_t *ring = malloc((size_t)(RING * width) * sizeof *ring);
    uint32_t *sums = malloc((size_t)(width + 2 * REACH) * sizeof *sums);
    int64_t *vertex = malloc((size_t)(2 * width + 4) * sizeof *vertex);
    if (!g || !ring || !sums || !vertex) {
        free(g), free(ring), free(sums), free(vertex);
        return -1;
    }
    uint8_t *carry = g + (high - low) * width, *spare = carry + width;
    memset(carry, CAP, (size_t)width);
    for (int64_t y = 0; y < low; y++)
        step_down(inside + y * width, carry, carry, width);
    for (int64_t y = low; y < high; y++) {
        step_down(inside + y * width, y > low ? g + (y - 1 - low) * width : carry, g + (y - low) * width, width);
    }
    memset(spare, CAP, (size_t)width);
    for (int64_t y = window_rows - 1; y >= low; y--) {
        step_down(inside + y * width, spare, spare, width);
        if (y < high)
            take_smaller(g + (y - low) * width, spare, width);
    }
    int64_t done = low;
    for (int64_t y = first; y < last; y++) {
        for (; done < high && done <= y + REACH; done++)
            depth_row(g + (done - low) * width, width, depth_of, ring + (done % RING) * width, vertex,
                      vertex + width + 2);
        const uint16_t *rows[2 * REACH + 1];
        for (int64_t k = -REACH; k <= REACH; k++)
            rows[k + REACH] = ring + (mirrored(y + k, window_rows) % RING) * width;
        smooth_row(rows, inside + y * width, width, sums, out + (y - first) * pitch);
    }
    free(g), free(ring), free(sums), free(vertex);
    return 0;
}
