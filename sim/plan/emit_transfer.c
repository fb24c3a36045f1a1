#include "plan/emit_transfer.h"

#include "plan/emit_token.h"

/* In how many chunks a transfer to or from another stage goes. */
static uint32_t emit_transfer_chunks(const struct emitter *e, const struct part *part,
                                     const struct action *action)
{
    if (action->kind == ACTION_EXCHANGE || action->peer == MODEL_NONE)
        return 1;
    return wavefront_between(&part->wave, &e->waves[action->peer]);
}

/* Whether a transfer that is not in chunks has its turn: received before the first one, sent after the last.
 */
static bool emit_transfer_due(const struct emitter *e, const struct part *part, const struct action *action)
{
    if (action->kind == ACTION_EXCHANGE || emit_transfer_chunks(e, part, action) == part->wave.chunks)
        return true;
    return e->chunk == (action->kind == ACTION_SEND ? part->wave.chunks - 1 : 0);
}

/* Matches of transfers between stages: the same on both sides whatever their schedules are. */
static uint32_t emit_transfer_match(const struct emitter *e, const struct part *part,
                                    const struct action *action)
{
    const struct builder *b = &e->builder;
    bool importer = (action->kind == ACTION_RECEIVE) != action->backward;
    uint32_t here = part->role.stage;
    uint32_t each = cast_transfers(e->cast, importer ? here : action->peer, importer ? action->peer : here);
    struct emit_token_round of = emit_token_round(e, part, action);
    uint32_t pass = (b->step * of.rounds + of.round) * e->plan->micro_batches + b->micro_batch;
    uint32_t match = pass * each + action->slot;
    uint32_t chunks = emit_transfer_chunks(e, part, action);
    return match * chunks + (chunks > 1 ? e->chunk : 0);
}

void emit_transfer(struct emitter *e, struct part *part, bool backward, uint32_t index,
                   const struct index_list *after)
{
    const struct action *action = emitter_action(part, backward, index);
    uint32_t count, first_receive = PROGRAM_NONE, receives = 0;
    const uint32_t *messages = cast_messages(e->cast, part->role.stage, part->role.member, action, &count);
    uint32_t match = action->kind == ACTION_EXCHANGE ? MODEL_NONE : emit_transfer_match(e, part, action);
    bool whole = action->kind != ACTION_EXCHANGE && emit_transfer_chunks(e, part, action) == 1;
    if (!emit_transfer_due(e, part, action))
        return;
    for (int receive = 0; receive < 2; receive++) /* sends first, so that the receives stand together */
        for (uint32_t k = 0; k < count; k++) {
            const struct message_part *message = &part->d->messages.at[messages[k]];
            bool incoming = action->kind == ACTION_RECEIVE ||
                            (action->kind == ACTION_EXCHANGE && message->to == part->role.member);
            if (incoming != (receive == 1))
                continue;
            uint32_t group = cast_channel(e->cast, part->role.stage, action, message);
            uint32_t op =
                builder_communicate(&e->builder, incoming ? OP_RECEIVE : OP_SEND, 0, group, match,
                                    message->elements * action->element_bytes * (whole ? 1 : e->share),
                                    action->part, incoming ? NULL : after);
            if (incoming && !receives++)
                first_receive = op;
        }
    emitter_note(part, backward, index, first_receive, receives);
}

void emit_transfer_input(struct emitter *e)
{
    e->builder.pass = PASS_N;
    for (uint32_t m = 0; m < e->plan->micro_batches; m++)
        for (uint32_t s = 0; s < e->plan->stages.count; s++) {
            const struct derivation *d = &e->cast->derivations[s];
            if (e->orders && !orders_passes(e->orders, s, m))
                continue;
            uint32_t each = cast_transfers(e->cast, s, MODEL_NONE);
            for (uint32_t i = 0; i < d->forward.count; i++) {
                const struct action *action = &d->forward.at[i];
                if (action->kind != ACTION_RECEIVE || action->peer != MODEL_NONE)
                    continue;
                e->builder.micro_batch = m;
                for (uint32_t k = 0; k < action->message_count; k++) {
                    const struct message_part *message = &d->messages.at[action->first_message + k];
                    builder_communicate(&e->builder, OP_SEND, 0, cast_channel(e->cast, s, action, message),
                                        (e->builder.step * e->plan->micro_batches + m) * each + action->slot,
                                        message->elements * action->element_bytes, action->part, NULL);
                }
            }
        }
}
