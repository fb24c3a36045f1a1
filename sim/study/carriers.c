#include "study/carriers.h"

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

struct tally {
    uint32_t group; /* name */
    int kind;
    const struct algorithm *algorithm;
    uint32_t times;
};

void carriers_print(const struct scenario *s, const struct engine_result *result, FILE *out)
{
    VECTOR(struct tally) tallies = {0};
    for (uint32_t t = 0; t < result->transfer_count; t++) {
        const struct engine_transfer *transfer = &result->transfers[t];
        const struct activity *activity = &result->activities[transfer->activity];
        uint32_t group = s->job.groups[transfer->group].name, i = 0;
        if (!activity->algorithm || s->job.groups[transfer->group].member_count < 2)
            continue;
        while (i < tallies.count && (tallies.at[i].group != group || tallies.at[i].kind != activity->kind ||
                                     tallies.at[i].algorithm != activity->algorithm))
            i++;
        if (i == tallies.count)
            VECTOR_PUSH(&tallies, ((struct tally){group, activity->kind, activity->algorithm, 0}));
        tallies.at[i].times++;
    }
    if (tallies.count)
        fprintf(out, "\ncollectives\n");
    for (uint32_t i = 0; i < tallies.count; i++)
        fprintf(out, "  %-28s %10u by %s\n",
                arena_format(&((struct scenario *)s)->arena, "%s %s",
                             names_text(&s->names, tallies.at[i].group),
                             communication_names[tallies.at[i].kind]),
                tallies.at[i].times, tallies.at[i].algorithm->name);
    VECTOR_FREE(&tallies);
}
