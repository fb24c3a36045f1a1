#include "study/explain_cost.h"

#include "base/unit.h"
#include "collective/collective.h"
#include "plan/workload.h"
#include "platform/protocol.h"

#include <math.h>

enum { TEXT = 64 };

static double explain_cost_steps(const struct derivation *d, const struct action *action)
{
    if (action->loop == MODEL_NONE || action->streamed) /* a ring takes as long as the collective by rings */
        return 1;
    const struct step_loop *loop =
        action->backward ? &d->backward_loops.at[action->loop] : &d->forward_loops.at[action->loop];
    return loop->steps - (action->transient ? 1 : 0);
}

/* The part of an action's bytes that one time step has. */
static double explain_cost_part(const struct derivation *d, const struct action *action)
{
    if (action->loop == MODEL_NONE || action->streamed)
        return 1;
    return 1.0 / (action->backward ? d->backward_loops.at[action->loop].steps
                                   : d->forward_loops.at[action->loop].steps);
}

/* The device that a message leaves from or comes to: of this stage, or of the other one. */
static uint32_t explain_cost_device(const struct derivation *d, const struct action *action, uint32_t member,
                                    bool sender)
{
    bool here = action->kind == ACTION_EXCHANGE || (action->kind == ACTION_SEND) == sender;
    if (here)
        return d->stage->devices.at[member];
    return action->peer == MODEL_NONE ? d->plan->input_device
                                      : d->plan->stages.at[action->peer].devices.at[member];
}

/* One message by the protocol that is fastest for it, or on the bare wire. */
static bool explain_cost_message(struct platform *platform, uint32_t from, uint32_t to, double bytes,
                                 struct activity *best)
{
    double least = INFINITY, latency, cap;
    for (uint32_t i = 0; i <= platform->protocol_names.count; i++) {
        uint32_t protocol =
            i < platform->protocol_names.count ? platform->protocol_names.at[i] : PROTOCOL_NONE;
        struct activity activity;
        if (!collective_message(platform, from, to, protocol, &activity))
            continue;
        double seconds = collective_pieces(&activity, bytes, 1, &latency, &cap);
        if (!(seconds < least)) {
            collective_activity_fini(&activity);
            continue;
        }
        if (isfinite(least))
            collective_activity_fini(best);
        least = seconds;
        *best = activity;
    }
    return isfinite(least);
}

/* All messages of an exchange at once. *busiest: bytes on the link that takes longest. */
static double explain_cost_messages(struct explain_stage *stage, const struct action *action, double *busiest)
{
    const struct derivation *d = stage->d;
    struct platform *platform = d->plan->platform;
    double *loads = ARENA_ARRAY(&stage->arena, double, platform->links.count + 1);
    double latency = 0, seconds = 0, part = explain_cost_part(d, action);
    *busiest = 0;
    for (uint32_t k = 0; k < action->message_count; k++) {
        const struct message_part *message = &d->messages.at[action->first_message + k];
        uint32_t from = explain_cost_device(d, action, message->from, true);
        uint32_t to = explain_cost_device(d, action, message->to, false);
        struct activity activity;
        double bytes = message->elements * action->element_bytes * part;
        if (from == to || !explain_cost_message(platform, from, to, bytes, &activity))
            continue;
        latency = fmax(latency, activity.latency);
        for (uint32_t u = 0; u < activity.usage.count; u++) {
            double *load = &loads[activity.usage.at[u].link];
            *load += bytes * activity.usage.at[u].coefficient * activity.bytes_factor;
            double takes = *load / platform->links.at[activity.usage.at[u].link].bandwidth;
            *busiest = takes > seconds ? *load : *busiest;
            seconds = fmax(seconds, takes);
        }
        collective_activity_fini(&activity);
    }
    return latency + seconds;
}

double explain_cost_seconds(struct explain_stage *stage, const struct action *action)
{
    const struct derivation *d = stage->d;
    double busiest, steps = explain_cost_steps(d, action);
    if (action->kind != ACTION_COLLECTIVE)
        return steps * explain_cost_messages(stage, action, &busiest);
    double bytes = derive_payload(d, action, (struct coordinates){{0}}) * explain_cost_part(d, action);
    return steps * price_seconds(stage->prices, action->collective, action->axes, bytes);
}

void explain_cost_text(struct explain_stage *stage, const struct action *action, FILE *out)
{
    const struct derivation *d = stage->d;
    double busiest = 0, bytes = 0;
    char text[2][TEXT];
    const char *each = action->loop == MODEL_NONE || action->streamed ? "" : " in each step";
    if (action->kind == ACTION_COLLECTIVE) {
        bytes = derive_payload(d, action, (struct coordinates){{0}}) * explain_cost_part(d, action);
        const struct activity *by = price_activity(stage->prices, action->collective, action->axes, bytes);
        if (!by) {
            fprintf(out, "its devices have no route to each other");
            return;
        }
        busiest = bytes * by->bytes_factor;
        fprintf(out, "by %s in %.0f round%s", by->algorithm->name, by->rounds, by->rounds > 1 ? "s" : "");
    } else {
        explain_cost_messages(stage, action, &busiest);
        fprintf(out, "all messages at once");
    }
    fprintf(out, ", %s on the busiest link%s: %s predicted", unit_format(busiest, UNIT_BYTES, text[0], TEXT),
            each, unit_format(explain_cost_seconds(stage, action), UNIT_SECONDS, text[1], TEXT));
    if (action->loop != MODEL_NONE)
        fprintf(out, " for all steps");
}
