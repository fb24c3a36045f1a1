/* Generate: inference that writes text. A step is the pass over the prompts of its samples, which gives the
 * first token of each, and then a pass for each further token, in which one position per sample meets the
 * keys and values of those before it (model/decode.h).
 *
 * The stages of a plan stand there twice: those of the prompt (direction 0), and on the same devices those of
 * a token (direction 1), whose derivations belong to a plan of their own with the model of one token. What
 * the axes of the mesh split follows from the operators there as everywhere; where a prompt's sequence is
 * split, the positions of the cache are. A sequence of one position is not split: who would share it does all
 * of it. Between two tokens, the one that was chosen goes back to the first stage. */
#ifndef PARTITA_PLAN_GENERATE_H
#define PARTITA_PLAN_GENERATE_H

#include "plan/derive.h"

struct generate_lengths {
    uint64_t prompt; /* tokens of each sample that are given */
    uint32_t tokens; /* that each sample is to get, >= 1 */
};

/* Adds the stages of a token to a plan of inference. `token` becomes their plan, `model` is its model.
 * Reports (at `place`) what a plan asks for that generating does not do. */
bool generate_stages(struct plan *plan, struct plan *token, struct model *model,
                     struct generate_lengths lengths, struct arena *arena, struct place place,
                     struct report *report);

/* The plan that a stage belongs to. */
const struct plan *generate_plan_of(const struct plan *plan, uint32_t stage);

/* Stages of the prompt, which are those of a plan that generates nothing. */
uint32_t generate_prompt_stages(const struct plan *plan);

/* After all stages have been derived: sends the token that was chosen from the last stage of the prompt, and
 * of a token, to those that read it next. Reports what changes with the length of the cache and cannot. */
bool generate_feed(const struct plan *plan, struct derivation *derivations, struct report *report);

/* Whether all tokens can be written out, one by one: that needs memory for each; reports if not. */
bool generate_writable(const struct plan *plan, const struct derivation *derivations, struct report *report);

/* How many positions the caches hold in the pass that makes token `index` (0: the prompt, then 1, 2 …). */
uint64_t generate_past(const struct plan *plan, uint32_t index);

#endif
