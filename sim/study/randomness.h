/* Randomness: reads `random:` of a workload: by what factor computations take longer or shorter, which
 * devices straggle now and then, how bandwidths vary. Each purpose and device or link draws from a stream of
 * its own (base/random.h). */
#ifndef PARTITA_STUDY_RANDOMNESS_H
#define PARTITA_STUDY_RANDOMNESS_H

#include "engine/engine.h"
#include "input/read_distribution.h"

/* The computations of some devices. */
struct randomness_kernels {
    struct distribution factor;
    struct index_list devices;
};

/* A transient straggler: in each step, each of the devices with this probability. */
struct randomness_straggler {
    struct distribution factor;
    struct index_list devices;
    double probability;
};

/* At 0, `every`, 2 every … each of the links has this factor of its bandwidth. */
struct randomness_link {
    struct distribution factor;
    struct index_list links;
    double every; /* seconds */
};

struct randomness {
    VECTOR(struct randomness_kernels) kernels;
    VECTOR(struct randomness_straggler) stragglers;
    VECTOR(struct randomness_link) links;
};

/* `map` NULL: nothing is random. Reports and returns false on bad input; fini in either case. */
bool randomness_read(struct input *input, const struct value *map, const struct platform *platform,
                     struct randomness *randomness);
void randomness_fini(struct randomness *randomness);

/* Whether two seeds may give two results. */
bool randomness_is_any(const struct randomness *randomness);

/* The luck of one run of a job, from the beginning. Its state is in the arena and borrows the rest. */
struct engine_random randomness_start(const struct randomness *randomness, const struct platform *platform,
                                      const struct job *job, uint64_t seed, struct arena *arena);

#endif
