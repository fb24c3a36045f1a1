#include "record/tally.h"

static struct tally *tally_of(struct tally_list *list, uint32_t group, int kind,
                              const struct algorithm *algorithm)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i].group == group && list->at[i].kind == kind && list->at[i].algorithm == algorithm)
            return &list->at[i];
    VECTOR_PUSH(list, ((struct tally){group, kind, algorithm, 0}));
    return &list->at[list->count - 1];
}

/* Adds transfers of a group by an activity. */
static void tally_add(const struct job *job, const struct engine_result *result, uint32_t g, uint32_t a,
                      uint32_t times, struct tally_list *out)
{
    if (!times || a >= result->activity_count || job->groups[g].member_count < 2)
        return;
    const struct activity *activity = &result->activities[a];
    if (activity->algorithm)
        tally_of(out, job->groups[g].name, activity->kind, activity->algorithm)->times += times;
}

void tally_collectives(const struct job *job, const struct engine_result *result, struct tally_list *out)
{
    *out = (struct tally_list){0};
    for (uint32_t t = 0; t < result->transfer_count; t++)
        tally_add(job, result, result->transfers[t].group, result->transfers[t].activity, 1, out);
    for (uint32_t a = 0; result->lead_sums && a < result->activity_count; a++)
        tally_add(job, result, result->lead_sums[a].group, a, (uint32_t)result->lead_sums[a].transfers, out);
}
