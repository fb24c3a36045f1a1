#include "plan/offload.h"

#include "platform/route.h"

#include <math.h>
#include <string.h>

bool offload_any(const struct plan *plan)
{
    const struct plan_offload *to = &plan->offload;
    return to->optimizer || to->gradients || to->parameters || to->activations;
}

bool offload_shares(const struct plan *plan)
{
    const struct plan_offload *to = &plan->offload;
    return plan->training && (to->optimizer || to->gradients || to->parameters);
}

bool offload_needs(const struct plan *plan, int place)
{
    const struct plan_offload *to = &plan->offload;
    bool kept = to->optimizer == place || to->gradients == place || to->parameters == place ||
                to->activations == place;
    /* The host makes updates, and adds up gradients on their way to a drive. */
    return kept || (place == PLAN_HOST && (to->host_step || to->gradients != PLAN_DEVICE));
}

/* Whether a device of the platform works in some stage, or sends the samples. */
static bool offload_works(const struct plan *plan, uint32_t device)
{
    if (device == plan->input_device)
        return true;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        for (uint32_t m = 0; m < plan->stages.at[s].devices.count; m++)
            if (plan->stages.at[s].devices.at[m] == device)
                return true;
    return false;
}

uint32_t offload_store(const struct plan *plan, uint32_t device, int place)
{
    struct platform *platform = plan->platform;
    uint8_t role = place == PLAN_HOST ? DEVICE_HOST : DEVICE_DRIVE;
    uint32_t nearest = MODEL_NONE;
    double least = INFINITY;
    for (uint32_t d = 0; d < platform->devices.count && offload_needs(plan, place); d++) {
        struct route route;
        if (platform->devices.at[d].role != role || !route_find(platform, device, d, &route) ||
            route.latency >= least || offload_works(plan, d))
            continue;
        least = route.latency;
        nearest = d;
    }
    return nearest;
}

void offload_init(struct offload *o, const struct plan *plan, struct builder *builder)
{
    *o = (struct offload){.plan = plan, .builder = builder};
    const struct cast_rank *rank = &builder->cast->ranks.at[builder->rank];
    for (uint32_t s = 0; s < 2; s++) {
        o->stores[s] = rank->stores[s];
        if (o->stores[s] == MODEL_NONE)
            continue;
        o->groups[s][0] = cast_offload(builder->cast, o->stores[s], builder->rank);
        o->groups[s][1] = cast_offload(builder->cast, builder->rank, o->stores[s]);
    }
}

void offload_fini(struct offload *o)
{
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t way = 0; way < 2; way++)
            VECTOR_FREE(&o->notes[s][way]);
    VECTOR_FREE(&o->updates);
    VECTOR_FREE(&o->leaving);
    VECTOR_FREE(&o->left);
}

static uint32_t offload_message(struct offload *o, const struct offload_note *note, bool down, double bytes,
                                uint32_t label, const struct index_list *after)
{
    uint32_t s = note->store - 1u, way = down;
    struct offload_note kept = *note;
    kept.down = down;
    kept.step = o->builder->step;
    kept.micro_batch = o->builder->micro_batch;
    builder_close(o->builder);
    uint32_t op = builder_communicate(o->builder, down ? OP_SEND : OP_RECEIVE, 0, o->groups[s][way],
                                      MODEL_NONE, bytes, label, after);
    VECTOR_PUSH(&o->notes[s][way], kept);
    return op;
}

uint32_t offload_send(struct offload *o, const struct offload_note *note, double bytes, uint32_t label,
                      const struct index_list *after)
{
    uint32_t op = offload_message(o, note, true, bytes, label, after);
    if (note->what == OFFLOAD_ACTIVATION || note->what == OFFLOAD_GRADIENT)
        VECTOR_PUSH(&o->leaving, op);
    return op;
}

void offload_pause(struct offload *o)
{
    uint32_t ahead = o->plan->offload.prefetch + 1, units = o->left.count;
    uint32_t until = units >= ahead ? o->left.at[units - ahead] : 0;
    VECTOR_PUSH(&o->left, o->leaving.count);
    for (; o->awaited < until; o->awaited++)
        VECTOR_PUSH(&o->builder->gate, o->leaving.at[o->awaited]);
}

uint32_t offload_receive(struct offload *o, const struct offload_note *note, double bytes, uint32_t label,
                         const struct index_list *after)
{
    return offload_message(o, note, false, bytes, label, after);
}

uint32_t offload_brought(const struct offload *o, uint8_t store, uint8_t what, uint32_t key)
{
    const struct offload_notes *down = &o->notes[store - 1][1];
    for (uint32_t i = down->count; i-- > 0;)
        if (down->at[i].what == what && down->at[i].key == key && down->at[i].step == o->builder->step &&
            down->at[i].micro_batch == o->builder->micro_batch)
            return i;
    return PROGRAM_NONE;
}

void offload_script(const struct offload *o, const struct program *program, struct arena *arena,
                    struct offload_script *out)
{
    const struct cast_rank *rank = &o->builder->cast->ranks.at[o->builder->rank];
    uint32_t count = 0;
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t way = 0; way < 2; way++)
            count += o->notes[s][way].count;
    *out = (struct offload_script){
        .events = ARENA_ARRAY(arena, struct offload_event, count + 1),
        .updates = arena_copy(arena, o->updates.at, o->updates.count * sizeof *o->updates.at),
        .keys = o->keys};
    for (uint32_t i = 0; i < program->op_count && offload_any(o->plan); i++) {
        const struct op *op = &program->ops[i];
        for (uint32_t s = 0; s < 2 && op->kind != OP_COMPUTE; s++)
            for (uint32_t way = 0; way < 2; way++)
                if (o->stores[s] != MODEL_NONE && rank->groups.at[op->group] == o->groups[s][way])
                    out->events[out->count++] =
                        (struct offload_event){o->notes[s][way].at[op->match], *op, op->match};
    }
    memcpy(out->held, o->held, sizeof out->held);
}
