/* Steps that generate (generate.h): the passes over the prompts, then those of each further token. What
 * depends on how much a cache holds is found anew for each token, so every pass is exact. */
#ifndef PARTITA_PLAN_EMIT_TOKEN_H
#define PARTITA_PLAN_EMIT_TOKEN_H

#include "plan/emitter.h"

/* The prompt, the second token, those that are alike, and the last one. */
enum { EMIT_TOKEN_SECTIONS = 4 };

/* All passes of one step. Where plan->folded says so, of tokens that are alike the first is written, as a
 * section that recurs; plan->folded is taken back if they are not alike, and the job is then good for
 * nothing. */
void emit_token_step(struct emitter *e);

/* Whether a plan's tokens can be folded. */
bool emit_token_folds(const struct plan *plan);

/* Once the program of a rank, and once all are there: what they say of sections. */
void emit_token_sections(struct emitter *e, struct program *program, struct arena *arena);
void emit_token_job(struct emitter *e, struct job *job);

/* Before the first kernel of a pass: receives the token that the pass before it chose, for which that kernel
 * waits. */
void emit_token_feed(struct emitter *e, struct part *part);

/* Whether an action is left out of its place in the pass: what is fed is received before the pass, and sent
 * only while there is another token to make. */
bool emit_token_skips(const struct emitter *e, const struct action *action);

/* The next kernel, of forward action `index`, leaves its output in the cache. */
void emit_token_keep(struct emitter *e, const struct part *part, uint32_t index);

/* Which of `rounds` transfers along one channel, in one step and for one micro-batch, an action is. */
struct emit_token_round {
    uint32_t round, rounds;
};
struct emit_token_round emit_token_round(const struct emitter *e, const struct part *part,
                                         const struct action *action);

#endif
