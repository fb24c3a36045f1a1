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

void tally_collectives(const struct job *job, const struct engine_result *result, struct tally_list *out)
{
    *out = (struct tally_list){0};
    for (uint32_t t = 0; t < result->transfer_count; t++) {
        const struct group *group = &job->groups[result->transfers[t].group];
        if (result->transfers[t].activity >= result->activity_count || group->member_count < 2)
            continue;
        const struct activity *activity = &result->activities[result->transfers[t].activity];
        if (activity->algorithm)
            tally_of(out, group->name, activity->kind, activity->algorithm)->times++;
    }
    for (uint32_t i = 0; job->lead && i < out->count; i++) /* all steps are alike */
        out->at[i].times = out->at[i].times / job->steps * (job->steps + job->lead);
}
