#include "record/token_times.h"

#include <math.h>

/* When each micro-batch has each token: [token · micro_batches + micro_batch]. */
static void token_times_ends(const struct plan *plan, const struct job *job,
                             const struct engine_result *result, double start, double *ends)
{
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct program *program = &job->programs[job->ranks[r].program];
        const struct engine_record *records = &result->records[result->first_record[r]];
        for (uint32_t i = 0; i < program->op_count; i++) {
            const struct op *op = &program->ops[i];
            bool works = op->pass == PASS_F || op->pass == PASS_D;
            if (op->step != job->steps - 1 || !works || op->kind == OP_SEND)
                continue;
            double *end = &ends[op->token * plan->micro_batches + op->micro_batch];
            *end = fmax(*end, records[i].end - start);
        }
    }
}

void token_times_find(const struct plan *plan, const struct job *job, const struct engine_result *result,
                      double start, double window, struct token_times *times)
{
    struct arena arena;
    *times = (struct token_times){0};
    if (!plan->tokens)
        return;
    arena_init(&arena);
    double *ends = ARENA_ARRAY(&arena, double, (size_t)plan->tokens * plan->micro_batches);
    token_times_ends(plan, job, result, start, ends);
    for (uint32_t t = 0; t < plan->tokens; t++) {
        struct token_time time = {INFINITY, 0, 0};
        for (uint32_t m = 0; m < plan->micro_batches; m++) {
            double end = ends[t * plan->micro_batches + m];
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
    arena_fini(&arena);
}

void token_times_fini(struct token_times *times)
{
    VECTOR_FREE(&times->at);
    *times = (struct token_times){0};
}
