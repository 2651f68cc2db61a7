/* A row of sums about a region: the columns of cellmonai/instances/regions.py, in the same order. */
#ifndef CELLMONAI_REGIONS_H
#define CELLMONAI_REGIONS_H

enum {
    PEAK_HEIGHT, PEAK_PIXEL, EXIT_TO, FIRST_PIXEL, IS_SEED,
    AREA, SUM_Y, SUM_X, SUM_YY, SUM_XX, SUM_XY,
    TOP, LEFT, BOTTOM, RIGHT,
    COLUMNS
};

#endif
