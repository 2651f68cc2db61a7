/* What the object table is made of, from strips of a label image: whole-number sums, boxes and border pixels per label,
   the outermost pixels of every label and row, convex hulls, and sums of an image's values. Labels are slots, 0 is
   background. Twins in NumPy: cellmonai/measure/shapes. */
#include "kernels.h"

enum { AREA, X, Y, XX, YY, XY, TOP, LEFT, BOTTOM, RIGHT, STRAIGHT, DIAGONAL, CORNER, COLUMNS };

/* First place from x on that is not 0, four values at a time. */
static int64_t skip_zeros(const int32_t *row, int64_t x, int64_t width)
{
    while (x < width && row[x] == 0) {
        uint64_t four[2];
        while (x + 4 <= width && (memcpy(four, row + x, sizeof four), (four[0] | four[1]) == 0)) x += 4;
        while (x < width && row[x] == 0) x++;
    }
    return x;
}

/* Adds the run of columns start to stop, half-open, of row y. Sums wrap at 2^64; differences to a box corner do not. */
static void add_run(int64_t *tally, int64_t y, int64_t start, int64_t stop)
{
    uint64_t n = (uint64_t)(stop - start), s = (uint64_t)start, row = (uint64_t)y;
    uint64_t steps = n * (n - 1) / 2, squares = steps * (2 * n - 1) / 3; /* of 0 .. n - 1 */
    uint64_t x = n * s + steps;
    uint64_t *sums = (uint64_t *)tally;
    if (tally[AREA] == 0) {
        tally[TOP] = y;
        tally[LEFT] = start;
        tally[RIGHT] = stop;
    }
    sums[AREA] += n;
    sums[X] += x;
    sums[Y] += row * n;
    sums[XX] += n * s * s + 2 * s * steps + squares;
    sums[YY] += row * row * n;
    sums[XY] += row * x;
    tally[BOTTOM] = y + 1;
    if (start < tally[LEFT]) tally[LEFT] = start;
    if (stop > tally[RIGHT]) tally[RIGHT] = stop;
}

/* Sums and boxes of one row; notes each label's outermost pixels when `outer` is given, and returns how many there are.
   `place` holds, per label, where its latest entry in `outer` may be. */
static int64_t add_row(const int32_t *row, int64_t width, int64_t y, int64_t *tally, int32_t *outer, int32_t *place,
                       int64_t noted)
{
    for (int64_t x = skip_zeros(row, 0, width); x < width; x = skip_zeros(row, x, width)) {
        int32_t label = row[x];
        int64_t start = x;
        while (x < width && row[x] == label) x++;
        add_run(tally + COLUMNS * (int64_t)label, y, start, x);
        if (!outer) continue;
        int32_t *entry = outer + 4 * (int64_t)place[label];
        if (place[label] < noted && entry[0] == label && entry[1] == y) {
            entry[3] = (int32_t)(x - 1);
            continue;
        }
        place[label] = (int32_t)noted;
        entry = outer + 4 * noted++;
        entry[0] = label;
        entry[1] = (int32_t)y;
        entry[2] = (int32_t)start;
        entry[3] = (int32_t)(x - 1);
    }
    return noted;
}

/* Keeps the labels of pixels with a side neighbour outside their object. `border` starts one column left of the row. */
static void border_row(const int32_t *up, const int32_t *here, const int32_t *down, int64_t width, int32_t *border)
{
    border[0] = border[width + 1] = 0;
    border[1] = here[0];
    border[width] = here[width - 1];
    for (int64_t x = 1; x + 1 < width; x++) {
        int32_t v = here[x];
        int32_t differs = (v ^ up[x]) | (v ^ down[x]) | (v ^ here[x - 1]) | (v ^ here[x + 1]);
        border[x + 1] = differs ? v : 0;
    }
}

/* Counts the kinds of border pixels of one row by 2 per border neighbour at a side and 10 per one at a corner. */
static void add_kinds(const int32_t *up, const int32_t *here, const int32_t *down, int64_t width, int64_t *tally)
{
    static const int8_t kind_of[49] = {[4] = STRAIGHT,  [6] = STRAIGHT,  [14] = STRAIGHT, [16] = STRAIGHT,
                                       [24] = STRAIGHT, [26] = STRAIGHT, [20] = DIAGONAL, [32] = DIAGONAL,
                                       [12] = CORNER,   [22] = CORNER};
    for (int64_t x = skip_zeros(here, 1, width + 1); x <= width; x = skip_zeros(here, x + 1, width + 1)) {
        int32_t v = here[x];
        int code = 2 * ((here[x - 1] == v) + (here[x + 1] == v) + (up[x] == v) + (down[x] == v)) +
                   10 * ((up[x - 1] == v) + (up[x + 1] == v) + (down[x - 1] == v) + (down[x + 1] == v));
        if (kind_of[code]) tally[COLUMNS * (int64_t)v + kind_of[code]]++;
    }
}

/* Adds rows top .. top + rows of a label image to the tally, int64 (labels, 13).

   strip: the rows, (rows, width), with `above` rows before and `below` rows behind them in memory, two each unless the
   image ends. outer: room for a label, row, leftmost and rightmost column per run, or null; place: int32 per label.
   Returns the number of entries in outer, or -1 without memory. */
EXPORT int64_t cellmonai_label_strip(const int32_t *strip, int64_t rows, int64_t width, int64_t above, int64_t below,
                                     int64_t top, int64_t *tally, int32_t *outer, int32_t *place)
{
    if (rows <= 0 || width <= 0) return 0;
    int32_t *scratch = calloc((size_t)(4 * (width + 2)), sizeof *scratch);
    if (!scratch) return -1;
    int32_t *border[3] = {scratch, scratch + (width + 2), scratch + 2 * (width + 2)};
    const int32_t *nothing = scratch + 3 * (width + 2);
    int64_t noted = 0;
#define ROW(y) ((y) < -above || (y) >= rows + below ? nothing : strip + (y) * width)
    for (int64_t y = -1; y <= rows; y++) { /* border pixels are known a row ahead of their kinds */
        int32_t *last = border[0];
        border[0] = border[1];
        border[1] = border[2];
        border[2] = last;
        border_row(ROW(y - 1), ROW(y), ROW(y + 1), width, border[2]);
        if (y >= 1) add_kinds(border[0], border[1], border[2], width, tally);
        if (y >= 0 && y < rows) noted = add_row(ROW(y), width, top + y, tally, outer, place, noted);
    }
#undef ROW
    free(scratch);
    return noted;
}

/* Leaves the corners of the left side of each label's convex hull. Points, sorted by label and row, one per row, are
   thinned in place; returns how many stay. For right sides give negative columns. */
EXPORT int64_t cellmonai_hull_side(int64_t n, int32_t *label, int32_t *row, int32_t *column)
{
    int64_t kept = 0, first = 0;
    for (int64_t i = 0; i < n; i++) {
        if (kept == 0 || label[i] != label[kept - 1]) first = kept;
        while (kept - first >= 2) {
            int64_t a = kept - 2, b = kept - 1;
            int64_t inward = ((int64_t)row[b] - row[a]) * ((int64_t)column[i] - column[a]) -
                             ((int64_t)row[i] - row[a]) * ((int64_t)column[b] - column[a]);
            if (inward > 0) break;
            kept--;
        }
        label[kept] = label[i];
        row[kept] = row[i];
        column[kept++] = column[i];
    }
    return kept;
}

static int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); } /* b > 0 */

/* The first column of every row whose pixel centre lies in or on a hull, given the corners of its left side. A hull is
   that of the middles of pixel sides, so it reaches half a pixel farther than the pixel centres. */
static void first_columns(int64_t n, const int32_t *row, const int32_t *column, int32_t *begin)
{
    begin[0] = column[0];
    for (int64_t i = 0; i + 1 < n; i++) {
        int64_t dy = (int64_t)row[i + 1] - row[i], dx = (int64_t)column[i + 1] - column[i];
        begin[dy] = column[i + 1];
        for (int64_t step = 0; step <= dy; step++) {
            int64_t twice = 2 * (dy * column[i] + step * dx); /* column on the side, times 2 dy */
            int64_t reach = twice - dy;                       /* half a pixel left of it, or half a row up or down */
            if (step > 0 && twice - dx < reach) reach = twice - dx;
            if (step < dy && twice + dx < reach) reach = twice + dx;
            int32_t place = (int32_t)ceil_div(reach, 2 * dy);
            if ((step > 0 && step < dy) || place < begin[step]) begin[step] = place;
        }
        begin += dy;
    }
}

/* First columns, row by row and object by object. Corners of object i begin at first[i]; for right sides give negative
   columns, and get minus the last columns. */
EXPORT void cellmonai_hull_rows(int64_t objects, const int64_t *first, const int32_t *row, const int32_t *column,
                                int32_t *begin)
{
    for (int64_t i = 0; i < objects; i++) {
        first_columns(first[i + 1] - first[i], row + first[i], column + first[i], begin);
        begin += (int64_t)row[first[i + 1] - 1] - row[first[i]] + 1;
    }
}

static int64_t magnitude(int64_t a) { return a < 0 ? -a : a; }

/* Squared width of the hull across direction (dy, dx). */
static double squared_width(int64_t n, const int32_t *row, const int32_t *column, int64_t dy, int64_t dx, double y_um,
                            double x_um)
{
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t i = 0; i < n; i++) {
        int64_t across = dy * column[i] - dx * row[i];
        if (across < low) low = across;
        if (across > high) high = across;
    }
    int64_t reach = magnitude(dy) > magnitude(dx) ? magnitude(dy) : magnitude(dx); /* half a pixel on both sides */
    double span = (double)(high - low + reach) * (y_um * x_um), up = (double)dy * y_um, along = (double)dx * x_um;
    return span * span / (up * up + along * along);
}

/* Squares of the largest and smallest diameter of each hull. Corners go once around the object; those of object i begin
   at first[i]. y_um, x_um: size of a pixel, 1 for lengths in px. */
EXPORT void cellmonai_hull_lengths(int64_t objects, const int64_t *first, const int32_t *row, const int32_t *column,
                                   double y_um, double x_um, double *longest, double *narrowest)
{
    static const int64_t direction[4][2] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};
    for (int64_t i = 0; i < objects; i++) {
        const int32_t *r = row + first[i], *c = column + first[i];
        int64_t n = first[i + 1] - first[i];
        double most = 0, least = squared_width(n, r, c, direction[0][0], direction[0][1], y_um, x_um);
        for (int64_t a = 0; a < n; a++) {
            for (int64_t b = 0; b <= a; b++) {
                double y = (double)magnitude((int64_t)r[a] - r[b]), x = (double)magnitude((int64_t)c[a] - c[b]);
                double short_y = y * y_um, short_x = x * x_um, long_y = (y + 1) * y_um, long_x = (x + 1) * x_um;
                double upright = long_y * long_y + short_x * short_x, level = short_y * short_y + long_x * long_x;
                if (upright > most) most = upright;
                if (level > most) most = level;
            }
        }
        for (int64_t a = -3; a < n; a++) {
            int64_t next = a + 1 < n ? a + 1 : 0;
            int64_t dy = a < 0 ? direction[a + 4][0] : (int64_t)r[next] - r[a];
            int64_t dx = a < 0 ? direction[a + 4][1] : (int64_t)c[next] - c[a];
            if (dy == 0 && dx == 0) continue;
            double width = squared_width(n, r, c, dy, dx, y_um, x_um);
            if (width < least) least = width;
        }
        longest[i] = most;
        narrowest[i] = least;
    }
}

/* Adds the values under each label; whole numbers exactly, floats one after the other in raster order. */
#define VALUE_SUMS(NAME, VALUE, TOTAL)                                                                                \
    EXPORT void cellmonai_value_sums_##NAME(const int32_t *labels, const VALUE *values, int64_t pixels, TOTAL *total) \
    {                                                                                                                 \
        for (int64_t x = skip_zeros(labels, 0, pixels); x < pixels; x = skip_zeros(labels, x, pixels)) {              \
            int32_t label = labels[x];                                                                                \
            TOTAL sum = total[label];                                                                                 \
            for (; x < pixels && labels[x] == label; x++) sum += (TOTAL)values[x];                                    \
            total[label] = sum;                                                                                       \
        }                                                                                                             \
    }

VALUE_SUMS(uint8, uint8_t, uint64_t)
VALUE_SUMS(uint16, uint16_t, uint64_t)
VALUE_SUMS(int64, int64_t, uint64_t)
VALUE_SUMS(float32, float, double)
VALUE_SUMS(float64, double, double)
