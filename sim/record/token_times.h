/* Token times: when a step that generates text has each of its tokens. A micro-batch has a token when all its
 * work on it has ended, on every device; what is sent on for the next token is not counted. */
#ifndef PARTITA_RECORD_TOKEN_TIMES_H
#define PARTITA_RECORD_TOKEN_TIMES_H

#include "plan/plan.h"

/* One token of all samples: seconds since the step began. */
struct token_time {
    double first, mean, last; /* over the micro-batches, which hold equally many samples */
};

struct token_times {
    VECTOR(struct token_time) at; /* per token; empty: the step generates none */
    double to_first;              /* seconds to the first token: mean over the samples */
    double per_token;  /* seconds from a token to the next: mean over samples and tokens; 0: one token */
    double per_second; /* tokens that all samples together get in a second of the step */
};

/* Of the last step, which begins at `start` and takes `window` seconds. `ends`: when each micro-batch had
 * each token, [token · micro_batches + micro-batch], seconds since the run began. */
void token_times_find(const struct plan *plan, const double *ends, double start, double window,
                      struct token_times *times);
void token_times_fini(struct token_times *times);

#endif
