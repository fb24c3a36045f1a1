/* Report: the messages about bad input. Readers go on after an error where they can, so that several errors
 * are reported in one go; whoever asked checks report_errors() before using what was read. */
#ifndef PARTITA_BASE_REPORT_H
#define PARTITA_BASE_REPORT_H

#include "base/arena.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Where a value stands. Lines and columns count from 1; line 0 means "the file as a whole" and a NULL file
 * "not from a file" (then nothing is printed before the message). */
struct place {
    const char *file;
    uint32_t line, column;
};

struct message {
    struct place place;
    bool warning;
    const char *text;
};

struct report {
    struct arena texts;
    VECTOR(struct message) list;
    uint32_t errors, warnings;
};

void report_init(struct report *report);
void report_fini(struct report *report);

/* Adds an error (or a warning): one sentence without a full stop that says what is wrong and what was
 * expected. The same message at the same place is kept once. Returns false, so that a reader can `return
 * report_error(…)`. */
bool report_error(struct report *report, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_warning(struct report *report, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints `file:line:column: error: text`, a line a message. */
void report_print(const struct report *report, FILE *to);

#endif
