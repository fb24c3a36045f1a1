#include "program/program.h"

const char *const program_kind_names[OP_KIND_COUNT + 1] = {"compute", "send", "receive", "collective", 0};
const char *const program_pass_names[PASS_COUNT + 1] = {"F", "I", "W", "B", "R", "O", "S", "-", "D", 0};
const char *const program_memory_names[] = {"parameters",  "gradients",   "optimizer",
                                            "activations", "temporaries", "communication",
                                            "gathered",    "cache",       0};

struct op_cost program_cost(const struct job *job, const struct op *op, uint32_t time)
{
    if (op->costs)
        return job->costs[op->costs - 1 + time];
    return (struct op_cost){op->seconds, op->bytes, op->flops, op->model_flops, op->memory_bytes};
}

struct op program_op(const struct job *job, const struct op *op, uint32_t time)
{
    struct op at = *op;
    at.token += time;
    if (!op->costs)
        return at;
    const struct op_cost *cost = &job->costs[op->costs - 1 + time];
    at.seconds = cost->seconds;
    at.bytes = cost->bytes;
    at.flops = cost->flops;
    at.model_flops = cost->model_flops;
    at.memory_bytes = cost->memory_bytes;
    return at;
}

double program_size(const struct job *job, const struct memory_change *change, uint32_t time)
{
    return change->sizes ? job->sizes[change->sizes - 1 + time] : change->bytes;
}

static uint32_t program_times(const struct job *job, uint32_t section)
{
    return job->section_count ? job->section_times[section] : 1;
}

bool program_next(const struct job *job, const struct program *program, struct program_stretch *at)
{
    uint32_t count = job->section_count ? job->section_count : 1;
    if (at->section != PROGRAM_NONE && at->time + 1 < program_times(job, at->section)) {
        at->time++;
        return true;
    }
    at->section++; /* of PROGRAM_NONE: 0 */
    at->time = 0;
    if (at->section >= count)
        return false;
    at->first = job->section_count ? program->sections[at->section] : 0;
    at->end = job->section_count ? program->sections[at->section + 1] : program->op_count;
    return true;
}
