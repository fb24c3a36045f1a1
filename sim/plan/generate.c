#include "plan/generate.h"

#include "model/decode.h"
#include "plan/boundary.h"

/* Where an axis splits positions, it splits those of the cache. */
static void generate_labels(struct names *names, struct plan_axis *axis)
{
    uint32_t s = names_add(names, "s"), k = names_add(names, "k"), count = 0;
    bool positions = false;
    for (; count < PLAN_LABELS && axis->labels[count]; count++)
        positions |= axis->labels[count] == s;
    if (positions && count < PLAN_LABELS)
        axis->labels[count] = k;
}

/* A stage of the prompt as one of a token. */
static struct plan_stage generate_stage(const struct plan *plan, const struct plan_stage *prompt,
                                        struct arena *arena)
{
    struct plan_stage stage = *prompt;
    stage.direction = 1;
    stage.balanced = 0;
    stage.devices = (struct index_list){0};
    for (uint32_t i = 0; i < prompt->devices.count; i++)
        VECTOR_PUSH(&stage.devices, prompt->devices.at[i]);
    for (uint32_t a = 0; a < stage.axis_count; a++)
        generate_labels(plan->platform->names, &stage.axes[a]);
    if (stage.meshes)
        stage.meshes = arena_copy(arena, prompt->meshes, prompt->mesh_count * sizeof *prompt->meshes);
    for (uint32_t m = 0; m < stage.mesh_count; m++)
        for (uint32_t a = 0; a < stage.meshes[m].axis_count; a++)
            generate_labels(plan->platform->names, &stage.meshes[m].axes[a]);
    return stage;
}

bool generate_stages(struct plan *plan, struct plan *token, struct model *model,
                     struct generate_lengths lengths, struct arena *arena, struct place place,
                     struct report *report)
{
    uint32_t count = plan->stages.count;
    if (plan->orders)
        return report_error(report, place,
                            "batch.generate goes by its own order of passes, not by that of a file");
    if (plan->time_chunks > 1)
        return report_error(report, place,
                            "batch.generate cannot stand beside plan.time-chunks: a token is one "
                            "position");
    for (uint32_t s = 0; s < count; s++)
        if (plan->stages.at[s].fused_count)
            return report_error(report, plan->stages.at[s].place,
                                "fused tiles cannot stand beside batch.generate: they have no sequences");
    for (uint32_t s = 0; s < count; s++) {
        struct plan_stage stage = generate_stage(plan, &plan->stages.at[s], arena);
        VECTOR_PUSH(&plan->stages, stage);
    }
    plan->prompt = lengths.prompt;
    plan->tokens = lengths.tokens;
    plan->token = token;
    *token = *plan;
    token->model = model;
    token->past = true;
    decode_past(model, generate_past(plan, lengths.tokens > 1 ? lengths.tokens - 1 : 1));
    return true;
}

const struct plan *generate_plan_of(const struct plan *plan, uint32_t stage)
{
    return plan->token && stage >= generate_prompt_stages(plan) ? plan->token : plan;
}

uint32_t generate_prompt_stages(const struct plan *plan)
{
    return plan->token || plan->past ? plan->stages.count / 2 : plan->stages.count;
}

uint64_t generate_past(const struct plan *plan, uint32_t index)
{
    return index ? plan->prompt + index - 1 : 0;
}

/* Whether a tensor has as many positions as the cache. */
static bool generate_grows(const struct model *model, uint32_t tensor)
{
    uint32_t producer = model->tensors.at[tensor].producer;
    if (producer == MODEL_NONE)
        return false;
    const struct layer_op *layer_op = &model->operators.at[producer];
    for (uint32_t k = 0; layer_op->grows && k < model->tensors.at[tensor].rank; k++)
        if (layer_op->output.dims[k].dim == layer_op->grows - 1)
            return true;
    return false;
}

/* Messages are counted once, for the longest cache: they must not depend on its length. */
static bool generate_constant(const struct derivation *d, struct report *report)
{
    for (uint32_t i = 0; i < d->forward.count; i++) {
        const struct action *action = &d->forward.at[i];
        if (action->message_count && generate_grows(d->plan->model, action->tensor))
            return report_error(
                report, d->stage->place,
                "batch.generate: under this split, '%s' of all earlier positions would be sent "
                "from device to device for every token; split it in another way",
                names_text(d->plan->model->names, d->plan->model->tensors.at[action->tensor].name));
    }
    return true;
}

/* What would not fit a computer is refused. */
bool generate_writable(const struct plan *plan, const struct derivation *derivations, struct report *report)
{
    enum {
        MOST = 100000000
    }; /* actions of one stage, of which about a third become operations of 120 bytes */
    uint32_t most = 0;
    for (uint32_t s = generate_prompt_stages(plan); s < plan->stages.count; s++)
        most = derivations[s].forward.count > most ? derivations[s].forward.count : most;
    double actions = (double)most * plan->tokens * plan->micro_batches * plan->steps;
    return plan->glance || plan->folded || actions <= MOST ||
           report_error(
               report, plan->stages.at[0].place,
               "batch.generate: %u tokens, each in %u passes of %u kernels and messages, are more "
               "than can be written out (%u); say fewer tokens or larger micro-batches (batch.micro)",
               plan->tokens, plan->micro_batches * plan->steps, most, (unsigned)MOST);
}

bool generate_feed(const struct plan *plan, struct derivation *derivations, struct report *report)
{
    if (!plan->token)
        return true;
    uint32_t prompts = generate_prompt_stages(plan), input = decode_input(plan->token->model);
    bool good = true;
    for (uint32_t s = prompts; s < plan->stages.count; s++) {
        good = generate_constant(&derivations[s], report) && good;
        if (derivations[s].first_form[input] == MODEL_NONE)
            continue;
        boundary_feed(&derivations[prompts - 1], decode_output(plan->model), &derivations[s], input);
        boundary_feed(&derivations[plan->stages.count - 1], decode_output(plan->token->model),
                      &derivations[s], input);
    }
    return good && generate_writable(plan, derivations, report);
}
