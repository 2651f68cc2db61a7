/* The walk over the saddles: which basins become one cell. The twin is cellmonai/instances/rules.py.
   Everything a rule decides on is made of whole numbers, + - * / and sqrt, in the order of the twin. */
#include "kernels.h"
#include "regions.h"
#include <math.h>

enum { SCORES = 9 };

static int64_t root_of(int64_t *root, int64_t member)
{
    while (root[member] != member) {
        root[member] = root[root[member]];
        member = root[member];
    }
    return member;
}

static void flatten(int64_t *root, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        root[i] = root_of(root, i);
}

/* Unite along edges, from the highest saddle down, where the lower peak rises at most max(least, share * peak) above
   the saddle; the higher peak survives, of equal peaks the earlier basin. root: filled with 0..count-1 by the caller. */
EXPORT void cellmonai_unite_shallow(int64_t count, const int64_t *peak, int64_t edges, const int64_t *low,
                                    const int64_t *high, const int64_t *saddle, double least, double share,
                                    int64_t *root)
{
    for (int64_t i = 0; i < edges; i++) {
        int64_t higher = root_of(root, low[i]), lower = root_of(root, high[i]);
        if (higher == lower) continue;
        if (peak[lower] > peak[higher] || (peak[lower] == peak[higher] && lower < higher)) {
            const int64_t swap = lower;
            lower = higher;
            higher = swap;
        }
        const double allowed = share * (double)peak[lower] > least ? share * (double)peak[lower] : least;
        if ((double)(peak[lower] - saddle[i]) <= allowed) root[lower] = higher;
    }
    flatten(root, count);
}

/* Unite along edges unless both sides hold a seed. seeded is overwritten. */
EXPORT void cellmonai_unite_seeds(int64_t count, uint8_t *seeded, int64_t edges, const int64_t *low,
                                  const int64_t *high, int64_t *root)
{
    for (int64_t i = 0; i < edges; i++) {
        const int64_t one = root_of(root, low[i]), other = root_of(root, high[i]);
        if (one == other || (seeded[one] && seeded[other])) continue;
        root[other] = one;
        seeded[one] |= seeded[other];
    }
    flatten(root, count);
}

/* log2 of a positive number, straight between powers of two: exact in doubles, the same on every machine. */
static double straight_log2(double value)
{
    int exponent = 0;
    while (value >= 2.0) value /= 2.0, exponent++;
    while (value < 1.0) value *= 2.0, exponent--;
    return exponent + (value - 1.0);
}

/* Area over that of the ellipse with the same second moments, pixels taken as squares: 1 for an ellipse. */
static double fill_of(const int64_t *s)
{
    const uint64_t area = (uint64_t)s[AREA], top = (uint64_t)s[TOP], left = (uint64_t)s[LEFT];
    const double a = (double)s[AREA];
    const double y = (double)(int64_t)((uint64_t)s[SUM_Y] - top * area) / a;
    const double x = (double)(int64_t)((uint64_t)s[SUM_X] - left * area) / a;
    const double yy = (double)(int64_t)((uint64_t)s[SUM_YY] - 2 * top * (uint64_t)s[SUM_Y] + top * top * area) / a;
    const double xx = (double)(int64_t)((uint64_t)s[SUM_XX] - 2 * left * (uint64_t)s[SUM_X] + left * left * area) / a;
    const double xy = (double)(int64_t)((uint64_t)s[SUM_XY] - left * (uint64_t)s[SUM_Y] - top * (uint64_t)s[SUM_X] +
                                        top * left * area) / a;
    const double vy = yy - y * y + 1.0 / 12.0, vx = xx - x * x + 1.0 / 12.0, c = xy - x * y;
    const double det = vy * vx - c * c;
    return det > 0.0 ? a / (12.566370614359172 * sqrt(det)) : 1.0;
}

static void add(int64_t *to, const int64_t *from)
{
    for (int column = AREA; column <= SUM_XY; column++)
        to[column] = (int64_t)((uint64_t)to[column] + (uint64_t)from[column]);
    if (from[TOP] < to[TOP]) to[TOP] = from[TOP];
    if (from[LEFT] < to[LEFT]) to[LEFT] = from[LEFT];
    if (from[BOTTOM] > to[BOTTOM]) to[BOTTOM] = from[BOTTOM];
    if (from[RIGHT] > to[RIGHT]) to[RIGHT] = from[RIGHT];
}

/* What the learned rule looks at, in the order of cellmonai/instances/pair_score.py. */
static void features_of(const int64_t *one, const int64_t *other, int64_t saddle, int64_t width, double unit,
                        double median_area, double *f)
{
    const int64_t *low = one[PEAK_HEIGHT] <= other[PEAK_HEIGHT] ? one : other, *high = low == one ? other : one;
    const double lo = (double)low[PEAK_HEIGHT] / unit, hi = (double)high[PEAK_HEIGHT] / unit, s = (double)saddle / unit;
    const double a = (double)one[AREA], b = (double)other[AREA], smaller = a < b ? a : b;
    int64_t both[COLUMNS];
    memcpy(both, one, sizeof both);
    add(both, other);
    const double open = 1.0 - fill_of(both);
    const double parts = (a * (1.0 - fill_of(one)) + b * (1.0 - fill_of(other))) / (a + b);
    const double dy = (double)(one[PEAK_PIXEL] / width - other[PEAK_PIXEL] / width);
    const double dx = (double)(one[PEAK_PIXEL] % width - other[PEAK_PIXEL] % width);
    const double distance = sqrt(dy * dy + dx * dx);
    f[0] = 1.0;
    f[1] = (lo - s) / lo;
    f[2] = open > 0.0 ? open : 0.0;
    f[3] = open - parts;
    f[4] = straight_log2(smaller / median_area);
    f[5] = straight_log2((a + b) / median_area);
    f[6] = s / hi;
    f[7] = distance / (lo + hi);
    f[8] = distance / sqrt(smaller);
}

/* Unite along edges where the weighted features of the two sides, as they are united by then, sum to more than 0.
   table: the basins' sums, which are overwritten. */
EXPORT void cellmonai_unite_learned(int64_t count, int64_t *table, int64_t edges, const int64_t *low,
                                    const int64_t *high, const int64_t *saddle, int64_t width, double unit,
                                    double median_area, const double *weights, int64_t *root)
{
    for (int64_t i = 0; i < edges; i++) {
        int64_t higher = root_of(root, low[i]), lower = root_of(root, high[i]);
        if (higher == lower) continue;
        int64_t *one = table + higher * COLUMNS, *other = table + lower * COLUMNS;
        if (other[PEAK_HEIGHT] > one[PEAK_HEIGHT] || (other[PEAK_HEIGHT] == one[PEAK_HEIGHT] && lower < higher)) {
            int64_t *table_swap = one, swap = higher;
            one = other, other = table_swap;
            higher = lower, lower = swap;
        }
        double f[SCORES], score = 0.0;
        features_of(one, other, saddle[i], width, unit, median_area, f);
        for (int k = 0; k < SCORES; k++)
            score += weights[k] * f[k];
        if (score > 0.0) {
            add(one, other);
            root[lower] = higher;
        }
    }
    flatten(root, count);
}
