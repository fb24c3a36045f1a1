/* Client keys: what disciplines have in common whose clients train on samples of their own. */
#ifndef PARTITA_DISCIPLINE_CLIENT_KEYS_H
#define PARTITA_DISCIPLINE_CLIENT_KEYS_H

#include "input/fields.h"

/* Into the settings at `epochs` (int64_t) and `samples` (a value). */
#define CLIENT_KEYS(epochs, samples)                                                                         \
    {.key = "epochs",                                                                                        \
     .kind = FIELD_INTEGER,                                                                                  \
     .offset = epochs,                                                                                       \
     .low = 1,                                                                                               \
     .high = 1e6,                                                                                            \
     .about = "passes of a client over its samples in a round; 1 by default"},                               \
    {                                                                                                        \
        .key = "samples", .kind = FIELD_VALUE, .offset = samples,                                            \
        .about = "of a client: a number or a distribution; one batch by default"                             \
    }

#endif
