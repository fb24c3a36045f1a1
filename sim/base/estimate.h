/* Estimate: the mean of repeated observations with its 95 % confidence interval (Student's t). */
#ifndef PARTITA_BASE_ESTIMATE_H
#define PARTITA_BASE_ESTIMATE_H

#include <stdint.h>

/* Observations one by one, by Welford's algorithm. A zeroed one is empty. */
struct estimate {
    uint64_t count;
    double mean, squares; /* squares: sum of squared deviations from the mean */
    double least, most;
};

void estimate_add(struct estimate *estimate, double value);
double
estimate_deviation(const struct estimate *estimate); /* standard deviation of one; 0 for fewer than two */

/* Half the width of the 95 % interval of the mean; INFINITY for fewer than two observations. */
double estimate_half_width(const struct estimate *estimate);

#endif
