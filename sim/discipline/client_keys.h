/* Client keys: what disciplines have in common whose clients train on samples of their own. */
#ifndef PARTITA_DISCIPLINE_CLIENT_KEYS_H
#define PARTITA_DISCIPLINE_CLIENT_KEYS_H

#include "input/fields.h"

/* A number, into an int64_t of the settings. */
#define CLIENT_KEYS_EPOCHS(into)                                                                             \
    .key = "epochs", .kind = FIELD_INTEGER, .offset = into, .low = 1, .high = 1e6,                           \
    .about = "passes of a client over its samples in a round; 1 by default"

/* A value, for read_distribution(). */
#define CLIENT_KEYS_SAMPLES(into)                                                                            \
    .key = "samples", .kind = FIELD_VALUE, .offset = into,                                                   \
    .about = "of a client: a number or a distribution; one batch by default"

#endif
