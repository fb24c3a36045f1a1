/* Steady state: from the times at which something recurs (steps, rounds, updates) to its period with a
 * confidence interval, the warm-up left out. The warm-up is what MSER-5 cuts off (White, "An effective
 * truncation heuristic for bias reduction in simulation output", Simulation 69, 1997): intervals are averaged
 * in fives, and so many of the first averages go that the standard error of the rest is least. The interval
 * is by batch means (Law, "Simulation Modeling and Analysis", 9.5.3). */
#ifndef PARTITA_BASE_STEADY_H
#define PARTITA_BASE_STEADY_H

#include <stdbool.h>
#include <stdint.h>

enum { STEADY_LEAST = 50 }; /* intervals: with fewer nothing is said */

struct steady {
    bool found; /* there are enough intervals, the cut lies in their first half, and the rest has no trend */
    uint32_t warm_up; /* intervals left out, a multiple of five */
    uint32_t intervals, batches;
    double period;     /* seconds: mean of the intervals that are left */
    double half_width; /* of its 95 % confidence interval */
};

/* `times`: ascending, `count` of them. Without a steady state the period is the mean of all intervals. */
struct steady steady_find(const double *times, uint32_t count);

#endif
