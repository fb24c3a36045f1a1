/* Explain a communication: what is sent, and why: "contracted dimension `i` is split over `tensor`: partial
 * sums → all-reduce, 100.7 MB". */
#ifndef PARTITA_STUDY_EXPLAIN_REASON_H
#define PARTITA_STUDY_EXPLAIN_REASON_H

#include "study/explain_stage.h"

#include <stdio.h>

/* What an action does: "all-reduce", "exchange", "send", "receive". */
const char *explain_reason_what(const struct action *action);

/* The reason and the bytes. `times`: so many actions of the same kind that follow one another (tiles), with
 * `messages` messages of `bytes` in all. */
void explain_reason_text(const struct derivation *d, const struct action *action, uint32_t times,
                         uint32_t messages, double bytes, FILE *out);

/* Why the gradient of a parameter is communicated, one line per collective, each after `before`. */
void explain_reason_parameter(const struct derivation *d, uint32_t parameter, const char *before, FILE *out);

#endif
