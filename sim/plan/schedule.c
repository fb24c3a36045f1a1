#include "plan/schedule.h"

#include <string.h>

const struct schedule *const schedule_table[] = {&gpipe_schedule, &one_f_one_b_schedule, &inference_schedule,
                                                 NULL};

const struct schedule *schedule_find(const char *name)
{
    for (uint32_t i = 0; schedule_table[i]; i++)
        if (strcmp(schedule_table[i]->name, name) == 0)
            return schedule_table[i];
    return NULL;
}
