/* xoshiro256** (Blackman and Vigna 2021), its 256 bits of state filled by splitmix64 from a hash (FNV-1a) of
 * the stream's name. GSL's own generators are seeded by 32 bits, of which a hundred thousand streams would
 * share some. */
#include "base/random.h"

struct random_state {
    uint64_t word[4];
};

static uint64_t random_mix(uint64_t *counter)
{
    uint64_t z = *counter += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void random_fill(struct random_state *state, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        state->word[i] = random_mix(&seed);
}

static void random_set(void *state, unsigned long seed)
{
    random_fill(state, seed);
}

static uint64_t random_next(struct random_state *state)
{
    uint64_t *s = state->word, five = s[1] * 5, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = s[3] << 45 | s[3] >> 19;
    return (five << 7 | five >> 57) * 9;
}

static unsigned long random_get(void *state)
{
    return (unsigned long)(random_next(state) >> 32);
}

/* 53 bits, in [0, 1). */
static double random_get_double(void *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

static const gsl_rng_type random_type = {.name = "xoshiro256**",
                                         .max = UINT32_MAX,
                                         .min = 0,
                                         .size = sizeof(struct random_state),
                                         .set = random_set,
                                         .get = random_get,
                                         .get_double = random_get_double};

static uint64_t random_name(uint64_t seed, const char *purpose, uint64_t index)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *purpose; purpose++)
        hash = (hash ^ (unsigned char)*purpose) * 0x100000001b3u;
    hash ^= random_mix(&seed);
    hash ^= random_mix(&index) << 1;
    return random_mix(&hash);
}

gsl_rng *random_stream(struct arena *arena, uint64_t seed, const char *purpose, uint64_t index)
{
    gsl_rng *stream = ARENA_NEW(arena, gsl_rng);
    stream->type = &random_type;
    stream->state = ARENA_NEW(arena, struct random_state);
    random_fill(stream->state, random_name(seed, purpose, index));
    return stream;
}
