#include "base/estimate.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

void estimate_add(struct estimate *estimate, double value)
{
    double before = value - estimate->mean;
    estimate->least = !estimate->count || value < estimate->least ? value : estimate->least;
    estimate->most = !estimate->count || value > estimate->most ? value : estimate->most;
    estimate->count++;
    estimate->mean += before / (double)estimate->count;
    estimate->squares += before * (value - estimate->mean);
}

double estimate_deviation(const struct estimate *estimate)
{
    return estimate->count > 1 ? sqrt(estimate->squares / (double)(estimate->count - 1)) : 0;
}

double estimate_half_width(const struct estimate *estimate)
{
    if (estimate->count < 2)
        return INFINITY;
    double quantile = gsl_cdf_tdist_Pinv(0.975, (double)(estimate->count - 1));
    return quantile * estimate_deviation(estimate) / sqrt((double)estimate->count);
}
