/* Random: independent streams of random numbers, named by purpose and index (of a device, a link, a client),
 * so that drawing more for one purpose leaves the numbers of all others alone, and two scenarios with the
 * same seed meet the same luck. A stream is a GSL generator; GSL's distributions draw from it. */
#ifndef PARTITA_BASE_RANDOM_H
#define PARTITA_BASE_RANDOM_H

#include "base/arena.h"

#include <gsl/gsl_rng.h>
#include <stdint.h>

/* The stream of (seed, purpose, index): the same three give the same numbers on every machine. In the arena;
 * nothing to release. */
gsl_rng *random_stream(struct arena *arena, uint64_t seed, const char *purpose, uint64_t index);

#endif
