/* Steps that generate (generate.h): the passes over the prompts, then those of each further token. What
 * depends on how much a cache holds is found anew for each token, so every pass is exact. */
#ifndef PARTITA_PLAN_EMIT_TOKEN_H
#define PARTITA_PLAN_EMIT_TOKEN_H

#include "plan/emitter.h"

/* All passes of one step. */
void emit_token_step(struct emitter *e);

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
