/* Parameters are those that GSL's manual uses, but for the lognormal, which is given by the mean and standard
 * deviation of the variable itself rather than of its logarithm. */
#include "base/distribution.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

static double constant_draw(const struct distribution *d, gsl_rng *stream)
{
    (void)stream;
    return d->parameter[0];
}

static double first_parameter(const struct distribution *d)
{
    return d->parameter[0];
}

static double uniform_draw(const struct distribution *d, gsl_rng *stream)
{
    return d->parameter[0] + (d->parameter[1] - d->parameter[0]) * gsl_rng_uniform(stream);
}

static double uniform_mean(const struct distribution *d)
{
    return (d->parameter[0] + d->parameter[1]) / 2;
}

static double normal_draw(const struct distribution *d, gsl_rng *stream)
{
    return d->parameter[0] + gsl_ran_gaussian_ziggurat(stream, d->parameter[1]);
}

/* Of the logarithm: sigma^2 = ln(1 + (sd / mean)^2), mu = ln(mean) - sigma^2 / 2. */
static double lognormal_draw(const struct distribution *d, gsl_rng *stream)
{
    double ratio = d->parameter[1] / d->parameter[0], variance = log1p(ratio * ratio);
    return gsl_ran_lognormal(stream, log(d->parameter[0]) - variance / 2, sqrt(variance));
}

static double gamma_draw(const struct distribution *d, gsl_rng *stream)
{
    return gsl_ran_gamma(stream, d->parameter[0], d->parameter[1]);
}

static double gamma_mean(const struct distribution *d)
{
    return d->parameter[0] * d->parameter[1];
}

static double weibull_draw(const struct distribution *d, gsl_rng *stream)
{
    return gsl_ran_weibull(stream, d->parameter[1], d->parameter[0]);
}

static double weibull_mean(const struct distribution *d)
{
    return d->parameter[1] * tgamma(1 + 1 / d->parameter[0]);
}

static double pareto_draw(const struct distribution *d, gsl_rng *stream)
{
    return gsl_ran_pareto(stream, d->parameter[0], d->parameter[1]);
}

static double pareto_mean(const struct distribution *d)
{
    double shape = d->parameter[0];
    return shape > 1 ? shape * d->parameter[1] / (shape - 1) : INFINITY;
}

static double exponential_draw(const struct distribution *d, gsl_rng *stream)
{
    return gsl_ran_exponential(stream, d->parameter[0]);
}

static double empirical_draw(const struct distribution *d, gsl_rng *stream)
{
    return d->values[gsl_rng_uniform_int(stream, d->count)];
}

static double empirical_mean(const struct distribution *d)
{
    double sum = 0;
    for (uint32_t i = 0; i < d->count; i++)
        sum += d->values[i];
    return sum / d->count;
}

#define SHAPE                                                                                                \
    {                                                                                                        \
        "shape", "a number > 0", false, true                                                                 \
    }
const struct distribution_kind distribution_constant = {
    .name = "constant",
    .about = "always the same value",
    .parameters = {{"value", "the value", true, false}},
    .draw = constant_draw,
    .mean = first_parameter,
};
static const struct distribution_kind distribution_uniform = {
    .name = "uniform",
    .about = "every value between low and high alike",
    .parameters = {{"low", "smallest value", true, false}, {"high", "largest value", true, false}},
    .ordered = true,
    .draw = uniform_draw,
    .mean = uniform_mean,
};
static const struct distribution_kind distribution_normal = {
    .name = "normal",
    .about = "Gaussian, by its mean and standard deviation",
    .parameters = {{"mean", "mean", true, false}, {"sd", "standard deviation", true, true}},
    .draw = normal_draw,
    .mean = first_parameter,
};
static const struct distribution_kind distribution_lognormal = {
    .name = "lognormal",
    .about = "its logarithm is normal; by the mean and standard deviation of the value itself",
    .parameters = {{"mean", "mean of the value", true, true},
                   {"sd", "standard deviation of the value", true, true}},
    .draw = lognormal_draw,
    .mean = first_parameter,
};
static const struct distribution_kind distribution_gamma = {
    .name = "gamma",
    .about = "density x^(shape - 1) e^(-x / scale)",
    .parameters = {SHAPE, {"scale", "scale; the mean is shape times scale", true, true}},
    .draw = gamma_draw,
    .mean = gamma_mean,
};
static const struct distribution_kind distribution_weibull = {
    .name = "weibull",
    .about = "survival e^(-(x / scale)^shape)",
    .parameters = {SHAPE, {"scale", "scale", true, true}},
    .draw = weibull_draw,
    .mean = weibull_mean,
};
static const struct distribution_kind distribution_pareto = {
    .name = "pareto",
    .about = "survival (minimum / x)^shape from the minimum on: heavy tails",
    .parameters = {SHAPE, {"minimum", "smallest value", true, true}},
    .draw = pareto_draw,
    .mean = pareto_mean,
};
static const struct distribution_kind distribution_exponential = {
    .name = "exponential",
    .about = "time between events that come at random",
    .parameters = {{"mean", "mean", true, true}},
    .draw = exponential_draw,
    .mean = first_parameter,
};
const struct distribution_kind distribution_empirical = {
    .name = "empirical",
    .about = "each of the given observations alike",
    .draw = empirical_draw,
    .mean = empirical_mean,
};

const struct distribution_kind *const distribution_kinds[] = {
    &distribution_constant,  &distribution_uniform,
    &distribution_normal,    &distribution_lognormal,
    &distribution_gamma,     &distribution_weibull,
    &distribution_pareto,    &distribution_exponential,
    &distribution_empirical, NULL};

const struct distribution_kind *distribution_find(const char *name)
{
    for (int i = 0; distribution_kinds[i]; i++)
        if (strcmp(distribution_kinds[i]->name, name) == 0)
            return distribution_kinds[i];
    return NULL;
}

struct distribution distribution_fixed(double value)
{
    return (struct distribution){.kind = &distribution_constant, .parameter = {value}};
}

double distribution_draw(const struct distribution *distribution, gsl_rng *stream)
{
    return distribution->kind->draw(distribution, stream);
}

double distribution_mean(const struct distribution *distribution)
{
    return distribution->kind->mean(distribution);
}

double distribution_draw_from(const struct distribution *distribution, double low, gsl_rng *stream)
{
    for (int i = 0; i < 1000; i++) {
        double value = distribution_draw(distribution, stream);
        if (value >= low)
            return value;
    }
    return low;
}
