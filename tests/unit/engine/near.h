/* Near: compares doubles and prints both when they differ. Include after cmocka.h. */
#ifndef PARTITA_TEST_NEAR_H
#define PARTITA_TEST_NEAR_H

#include <math.h>

#define assert_near(value, expected, tolerance)                                                              \
    near_check((value), (expected), (tolerance), __FILE__, __LINE__)

static inline void near_check(double value, double expected, double tolerance, const char *file, int line)
{
    if (!(fabs(value - expected) <= tolerance)) {
        print_error("%.17g is not %.17g (tolerance %g)\n", value, expected, tolerance);
        _fail(file, line);
    }
}

#endif
