/* Explain: prints what a model is, and how a plan splits it: for each layer the shapes and work, each
 * device's share, and each communication with its reason, forward and backward. Units that read the same are
 * printed once. */
#ifndef PARTITA_STUDY_EXPLAIN_H
#define PARTITA_STUDY_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct explain_options {
    const char *subject;  /* a workload or a model: file or shipped name */
    const char *topology; /* or NULL */
    const char *const *sets;
    uint32_t set_count;
    const char *data_root;
    const char *layer; /* only this one; NULL: all */
    bool json;
};

/* False after printing what was wrong to `err`. */
bool explain_run(const struct explain_options *options, FILE *out, FILE *err);

#endif
