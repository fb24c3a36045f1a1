#include "record/token_times.h"

#include <math.h>

void token_times_find(const struct plan *plan, const double *ends, double start, double window,
                      struct token_times *times)
{
    *times = (struct token_times){0};
    if (!plan->tokens)
        return;
    for (uint32_t t = 0; t < plan->tokens; t++) {
        struct token_time time = {INFINITY, 0, 0};
        for (uint32_t m = 0; m < plan->micro_batches; m++) {
            double end = fmax(0, ends[t * plan->micro_batches + m] - start);
            time.first = fmin(time.first, end);
            time.last = fmax(time.last, end);
            time.mean += end / plan->micro_batches;
        }
        VECTOR_PUSH(&times->at, time);
    }
    times->to_first = times->at.at[0].mean;
    if (plan->tokens > 1)
        times->per_token = (times->at.at[plan->tokens - 1].mean - times->to_first) / (plan->tokens - 1);
    if (window > 0)
        times->per_second = (double)plan->global_batch * plan->tokens / window;
}

void token_times_fini(struct token_times *times)
{
    VECTOR_FREE(&times->at);
    *times = (struct token_times){0};
}
