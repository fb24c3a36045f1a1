/* Options: the words after a subcommand. */
#ifndef PARTITA_CLI_OPTIONS_H
#define PARTITA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { OPTIONS_MOST = 256 };

struct options {
    const char *arguments[8]; /* words that are not options */
    int argument_count;
    const char *topology, *database, *layer, *output, *format, *ranks, *size, *algorithm, *chunk, *levels,
        *times, *compute;
    const char *sets[OPTIONS_MOST];
    uint32_t set_count;
    bool json, quiet, verbose, must_fit, steps, help;
    int64_t run, rank_count;
    int64_t stages, micro_batches, chunks, in_flight;
    int64_t replications, seed;
    double from, to; /* seconds */
    double until;    /* share */
};

/* Reads the words; `allowed` has the letters of the options that the command takes. Prints what is wrong and
 * returns false. */
bool options_read(struct options *options, const char *allowed, int count, char **words);

/* Prints the options of a command, a line each. */
void options_help(const char *allowed, FILE *to);

#endif
