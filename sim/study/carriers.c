#include "study/carriers.h"

#include "record/tally.h"

static bool known_group(struct scenario *s, const struct workload_carrier *carrier, uint32_t *name)
{
    const char *known[64];
    uint32_t count = 0;
    *name = names_find(&s->names, carrier->group);
    for (uint32_t g = 0; g < s->job.group_count; g++) {
        bool seen = false;
        if (s->job.groups[g].name == *name)
            return true;
        for (uint32_t k = 0; k < count && !seen; k++)
            seen = known[k] == names_text(&s->names, s->job.groups[g].name);
        if (!seen && count < FIELDS_COUNT(known))
            known[count++] = names_text(&s->names, s->job.groups[g].name);
    }
    return fields_no_such(&s->input, carrier->place, "kind of collective or group", carrier->group, known,
                          count);
}

bool carriers_choose(struct scenario *s, struct engine_options *options)
{
    uint32_t count = s->workload.carrier_count;
    struct engine_choice *choices = ARENA_ARRAY(&s->arena, struct engine_choice, count + 1);
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        const struct workload_carrier *carrier = &s->workload.carriers[i];
        choices[i] = (struct engine_choice){UINT32_MAX, carrier->kind, carrier->algorithm};
        if (carrier->group)
            good = known_group(s, carrier, &choices[i].group) && good;
    }
    options->choices = choices;
    options->choice_count = count;
    return good;
}

void carriers_print(const struct scenario *s, const struct engine_result *result, FILE *out)
{
    struct tally_list tallies;
    tally_collectives(&s->job, result, &tallies);
    if (tallies.count)
        fprintf(out, "\ncollectives\n");
    for (uint32_t i = 0; i < tallies.count; i++) {
        const struct tally *tally = &tallies.at[i];
        char what[128];
        snprintf(what, sizeof what, "%s %s", names_text(&s->names, tally->group),
                 communication_names[tally->kind]);
        fprintf(out, "  %-28s %10u by %s\n", what, tally->times, tally->algorithm->name);
    }
    VECTOR_FREE(&tallies);
}
