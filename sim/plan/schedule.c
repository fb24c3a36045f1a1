#include "plan/schedule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const struct schedule *const schedule_table[] = {
    &gpipe_schedule,       &one_f_one_b_schedule, &eager_schedule,
    &interleaved_schedule, &looped_schedule,      &zb_h1_schedule,
    &zb_h2_schedule,       &zb_v_schedule,        &v_half_schedule,
    &v_min_schedule,       &chimera_schedule,     &dualpipe_schedule,
    &dualpipe_v_schedule,  &pipedream_schedule,   &pipedream_2bw_schedule,
    &list_schedule,        &inference_schedule,   NULL};

const struct schedule *schedule_find(const char *name)
{
    for (uint32_t i = 0; schedule_table[i]; i++)
        if (strcmp(schedule_table[i]->name, name) == 0)
            return schedule_table[i];
    return NULL;
}

uint32_t schedule_stages(const struct schedule *schedule, const struct schedule_shape *shape)
{
    if (shape->device_of)
        return shape->stages;
    return shape->devices * (schedule->placement == SCHEDULE_BOTH ? 2 : shape->chunks);
}

uint32_t schedule_device(const struct schedule *schedule, const struct schedule_shape *shape, uint32_t stage)
{
    if (shape->device_of)
        return shape->device_of[stage];
    uint32_t along = stage % shape->devices;
    bool back = schedule->placement != SCHEDULE_LOOP && stage / shape->devices % 2;
    return back ? shape->devices - 1 - along : along;
}

uint32_t schedule_stage(enum schedule_placement placement, const struct schedule_shape *shape,
                        uint32_t device, uint32_t chunk)
{
    bool back = placement != SCHEDULE_LOOP && chunk % 2;
    return chunk * shape->devices + (back ? shape->devices - 1 - device : device);
}

const char *schedule_problem(const struct schedule *schedule, const struct schedule_shape *shape, char *text,
                             size_t room)
{
    uint32_t fewest = schedule->fewest_chunks ? schedule->fewest_chunks : 1;
    uint32_t most = schedule->most_chunks ? schedule->most_chunks : 1;
    if (shape->chunks >= fewest && shape->chunks <= most)
        return schedule->problem ? schedule->problem(shape) : NULL;
    if (fewest == most)
        snprintf(text, room, "has %u stage%s per device; got chunks: %u", fewest, fewest > 1 ? "s" : "",
                 shape->chunks);
    else
        snprintf(text, room, "has %u to %u stages per device; got chunks: %u", fewest, most, shape->chunks);
    return text;
}

void schedule_add(struct schedule_list *list, uint8_t pass, uint32_t stage, uint32_t micro_batch)
{
    VECTOR_PUSH(list,
                ((struct schedule_item){.pass = pass, .stage = (uint16_t)stage, .micro_batch = micro_batch}));
}

void schedule_add_pair(struct schedule_list *list, struct schedule_item forward,
                       struct schedule_item backward)
{
    forward.overlapped = true;
    VECTOR_PUSH(list, forward);
    VECTOR_PUSH(list, backward);
}

bool schedule_equal(const struct schedule *schedule, const struct schedule_shape *shape,
                    const struct schedule_times *times, double *forward, double *input, double *weight)
{
    uint32_t stages = schedule_stages(schedule, shape);
    for (uint32_t s = 1; s < stages; s++)
        if (times->forward[s] != times->forward[0] || times->input[s] != times->input[0] ||
            times->weight[s] != times->weight[0])
            return false;
    *forward = times->forward[0] * shape->chunks;
    *input = times->input[0] * shape->chunks;
    *weight = times->weight[0] * shape->chunks;
    return true;
}
