/* Distribution: a random number's law by name, with parameters. One table entry each, from which reading,
 * help and tests come; GSL draws. */
#ifndef PARTITA_BASE_DISTRIBUTION_H
#define PARTITA_BASE_DISTRIBUTION_H

#include "base/random.h"

#include <stdbool.h>

enum { DISTRIBUTION_PARAMETERS = 2 };

struct distribution;

struct distribution_parameter {
    const char *name, *about;
    bool quantity; /* in the unit of what is drawn; otherwise a pure number */
    bool positive; /* must be > 0; otherwise any */
};

struct distribution_kind {
    const char *name, *about;
    struct distribution_parameter parameters[DISTRIBUTION_PARAMETERS]; /* the first without name ends */
    bool ordered; /* the second parameter may not be below the first */
    double (*draw)(const struct distribution *, gsl_rng *);
    double (*mean)(const struct distribution *); /* INFINITY where there is none */
};

struct distribution {
    const struct distribution_kind *kind;
    double parameter[DISTRIBUTION_PARAMETERS]; /* in the kind's order */
    const double *values;                      /* empirical: the observations; not owned */
    uint32_t count;
};

extern const struct distribution_kind *const distribution_kinds[]; /* NULL-terminated */
extern const struct distribution_kind distribution_constant, distribution_empirical;

const struct distribution_kind *distribution_find(const char *name); /* NULL: none */
struct distribution distribution_fixed(double value);
double distribution_draw(const struct distribution *distribution, gsl_rng *stream);
double distribution_mean(const struct distribution *distribution);

/* Draws again what is below `low` (a time, a factor or a rate must not be negative). What never gets there in
 * a thousand draws is `low`. */
double distribution_draw_from(const struct distribution *distribution, double low, gsl_rng *stream);

#endif
