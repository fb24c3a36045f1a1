#include "study/generation.h"

#include "model/build.h"
#include "model/decode.h"
#include "plan/generate.h"

static struct place generation_place(const struct scenario *scenario)
{
    return value_get(scenario->workload.batch, "generate")->place;
}

const char *generation_obstacle(struct scenario *scenario, const struct value *document)
{
    const struct value *parameters = value_get(document, "parameters");
    if (!parameters || !value_get(parameters, "sequence"))
        return "it has no parameter `sequence`";
    return decode_obstacle(&scenario->model, &scenario->input.arena);
}

/* Whether the model can do it, and has positions enough. */
static bool generation_possible(struct scenario *scenario, const struct value *document)
{
    struct input *input = &scenario->input;
    struct place place = generation_place(scenario);
    const char *name = names_text(&scenario->names, scenario->model.name);
    if (scenario->workload.step == 0)
        return report_error(&input->report, place, "batch.generate is for inference: say `step: inference`");
    const char *obstacle = generation_obstacle(scenario, document);
    if (obstacle)
        return report_error(&input->report, place, "%s cannot generate token by token: %s", name, obstacle);
    uint64_t rows = decode_positions(&scenario->model);
    double longest = scenario->model.tokens + (double)scenario->workload.generate - 1;
    return !rows || longest <= (double)rows ||
           report_error(&input->report, place,
                        "%s has a table of %llu positions; %.0f of the prompt and %lld more tokens need %.0f",
                        name, (unsigned long long)rows, scenario->model.tokens,
                        (long long)scenario->workload.generate, longest);
}

bool generation_model(struct scenario *scenario, const struct value *document, struct value *set)
{
    struct input *input = &scenario->input;
    struct arena *arena = &input->arena;
    if (!scenario->workload.generate)
        return true;
    if (!generation_possible(scenario, document))
        return false;
    struct value *one = value_clone(arena, set);
    struct place place = generation_place(scenario);
    struct value *position = value_new_scalar(arena, place, "1", false), *given = value_get(one, "sequence");
    if (given)
        *given = *position;
    else
        value_put(arena, one, "sequence", place, position);
    if (!build_model(input, document, one, scenario->model.batch, &scenario->token_model))
        return false;
    decode_sample(&scenario->model);
    decode_sample(&scenario->token_model);
    decode_step(&scenario->token_model);
    return true;
}

bool generation_plan(struct scenario *scenario)
{
    if (!scenario->workload.generate)
        return true;
    struct generate_lengths lengths = {(uint64_t)scenario->model.tokens,
                                       (uint32_t)scenario->workload.generate};
    return generate_stages(&scenario->plan, &scenario->token_plan, &scenario->token_model, lengths,
                           &scenario->arena, generation_place(scenario), &scenario->input.report);
}
