#include "plan/workload_schedule.h"

#include "input/document.h"
#include "plan/schedule_csv.h"
#include "plan/scheduled.h"

static struct place workload_schedule_place(const struct workload *workload)
{
    const struct value *value = workload->plan ? value_get(workload->plan, "schedule") : NULL;
    return value ? value->place : workload->plan ? workload->plan->place : workload->place;
}

/* Reads the order of a file. */
static bool workload_schedule_orders(struct input *input, const struct workload *workload, const char *name,
                                     struct plan *plan)
{
    struct place place = workload_schedule_place(workload);
    const char *path = document_find(input, "workloads", name, place);
    if (!path)
        return false;
    plan->schedule = &schedule_csv_file;
    plan->orders = vector_grow(NULL, &(uint32_t){0}, sizeof *plan->orders);
    return schedule_csv_read(input, path, plan->training, place, plan->orders);
}

bool workload_schedule(struct input *input, const struct workload *workload, const struct plan_keys *read,
                       struct plan *plan)
{
    plan->schedule = plan->training ? &one_f_one_b_schedule : &inference_schedule;
    plan->in_flight = (uint32_t)read->in_flight;
    plan->blocking = read->blocking;
    struct place place = workload_schedule_place(workload);
    if (read->schedule && plan_keys_is_file(read->schedule))
        return workload_schedule_orders(input, workload, read->schedule, plan);
    if (read->schedule)
        plan->schedule = schedule_find(read->schedule); /* known: checked when read */
    plan->time_chunks = (uint32_t)read->time_chunks;
    plan->chunks = (uint32_t)read->chunks;
    if (!plan->chunks)
        plan->chunks = plan->schedule->fewest_chunks ? plan->schedule->fewest_chunks : 1;
    if (plan->schedule->training != plan->training)
        return report_error(&input->report, place, "schedule %s is for %s; this step is %s",
                            plan->schedule->name, plan->training ? "inference" : "training",
                            plan->training ? "training" : "inference");
    if (plan->schedule->asynchronous && workload->plan && value_get(workload->plan, "barrier") &&
        read->barrier)
        return report_error(&input->report, value_get(workload->plan, "barrier")->place,
                            "schedule %s never meets before the optimizer: it is asynchronous",
                            plan->schedule->name);
    return true;
}

/* Stages that share devices in a way of their own get the one schedule that can be made for any. */
static void workload_schedule_join(struct input *input, const struct plan_keys *read, struct plan *plan)
{
    bool open = !read->schedule || plan->schedule->anywhere;
    if (!plan->training || !read->stages || read->chunks || plan->orders || !open)
        return;
    if (scheduled_join(plan)) {
        plan->schedule = &list_schedule;
        if (!read->schedule)
            scheduled_warn(plan, &input->report);
        return;
    }
    vector_release(plan->device_of);
    plan->device_of = NULL;
}

bool workload_schedule_fits(struct input *input, const struct workload *workload,
                            const struct plan_keys *read, struct plan *plan)
{
    workload_schedule_join(input, read, plan);
    struct place place = workload_schedule_place(workload);
    struct schedule_shape shape = scheduled_shape(plan);
    char text[128];
    if (plan->orders && plan->orders->micro_batches != plan->micro_batches)
        return report_error(&input->report, place,
                            "this schedule is for %u micro-batches; the step has %u (batch.global, "
                            "batch.micro and plan.data decide)",
                            plan->orders->micro_batches, plan->micro_batches);
    if (plan->orders || !plan->training)
        return true;
    if (!shape.device_of &&
        shape.devices * shape.chunks * (plan->schedule->placement == SCHEDULE_BOTH ? 2 : 1) !=
            plan->stages.count)
        return report_error(&input->report, place, "%u stages are not a multiple of %u chunks",
                            plan->stages.count, shape.chunks);
    const char *problem = schedule_problem(plan->schedule, &shape, text, sizeof text);
    return !problem ||
           report_error(&input->report, place, "schedule %s %s; there are %u devices and %u micro-batches",
                        plan->schedule->name, problem, shape.devices, shape.micro_batches);
}
