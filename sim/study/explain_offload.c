#include "study/explain_offload.h"

#include "base/unit.h"
#include "plan/offload.h"
#include "platform/route.h"

#include <math.h>

enum { TEXT = 64 };

/* What a rank sends to, or gets from, its stores in the last step; the narrowest link on the way. */
struct explain_offload_way {
    double bytes, narrowest;
};

static struct explain_offload_way explain_offload_way(const struct scenario *s, uint32_t rank, uint8_t kind)
{
    const struct job *job = &s->job;
    const struct program *program = &job->programs[job->ranks[rank].program];
    struct explain_offload_way way = {0, INFINITY};
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != kind || op->step + 1 != job->steps)
            continue;
        const struct group *group = &job->groups[job->group_table[job->ranks[rank].first_group + op->group]];
        uint32_t from = job->members[group->first_member], to = job->members[group->first_member + 1];
        if (!job->ranks[kind == OP_SEND ? to : from].store)
            continue;
        way.bytes += op->bytes;
        uint32_t count;
        const uint32_t *links = route_links((struct platform *)&s->platform, job->ranks[from].device,
                                            job->ranks[to].device, &count);
        for (uint32_t l = 0; count != UINT32_MAX && l < count; l++)
            way.narrowest = fmin(way.narrowest, s->platform.links.at[links[l]].bandwidth);
    }
    return way;
}

static void explain_offload_place(const char **separator, const char *what, uint8_t place, FILE *out)
{
    if (place == PLAN_DEVICE)
        return;
    fprintf(out, "%s %s %s", *separator, what, place == PLAN_HOST ? "in host memory" : "on drives");
    *separator = ",";
}

static void explain_offload_line(const struct explain_offload_way *way, const char *what, FILE *out)
{
    char text[3][TEXT];
    if (way->bytes > 0)
        fprintf(out, "    %s %s per step and device: %s at %s, without overlap and other traffic\n", what,
                unit_format(way->bytes, UNIT_BYTES, text[0], TEXT),
                unit_format(way->bytes / way->narrowest, UNIT_SECONDS, text[1], TEXT),
                unit_format(way->narrowest, UNIT_BYTES_PER_SECOND, text[2], TEXT));
}

void explain_offload_stage(const struct scenario *s, uint32_t stage, FILE *out)
{
    const struct plan_offload *to = &s->plan.offload;
    const char *separator = "  kept elsewhere:";
    if (!offload_any(&s->plan))
        return;
    explain_offload_place(&separator, "optimizer states", to->optimizer, out);
    explain_offload_place(&separator, "gradients", to->gradients, out);
    explain_offload_place(&separator, "parameters", to->parameters, out);
    explain_offload_place(&separator, "activations", to->activations, out);
    fprintf(out, "%s\n",
            !s->plan.training ? ""
            : to->host_step   ? "; the host updates"
            : to->optimizer   ? "; the device updates"
                              : "");
    uint32_t rank = s->plan.stages.at[stage].ranks[0];
    struct explain_offload_way down = explain_offload_way(s, rank, OP_SEND);
    struct explain_offload_way up = explain_offload_way(s, rank, OP_RECEIVE);
    explain_offload_line(&down, "away:", out);
    explain_offload_line(&up, "back:", out);
}

/* Seconds that a host computes in the last step. */
static double explain_offload_work(const struct scenario *s, uint32_t rank)
{
    const struct program *program = &s->job.programs[s->job.ranks[rank].program];
    double seconds = 0;
    for (uint32_t i = 0; i < program->op_count; i++)
        if (program->ops[i].kind == OP_COMPUTE && program->ops[i].step + 1 == s->job.steps)
            seconds += program->ops[i].seconds;
    return seconds;
}

void explain_offload_stores(const struct scenario *s, FILE *out)
{
    char text[2][TEXT];
    for (uint32_t i = 0; i < s->plan.stores.count; i++) {
        const struct plan_store *store = &s->plan.stores.at[i];
        uint32_t program = s->job.ranks[store->rank].program, alike = 0;
        bool first = true;
        for (uint32_t k = 0; k < s->plan.stores.count; k++) {
            bool same = s->job.ranks[s->plan.stores.at[k].rank].program == program;
            alike += same;
            first &= !(same && k < i);
        }
        if (!first)
            continue;
        fprintf(out, "%s", names_text(&s->names, s->platform.devices.at[store->device].name));
        if (alike > 1)
            fprintf(out, " and %u like it", alike - 1);
        const char *separator = ":";
        fprintf(out, ": memory %s of %s", unit_format(store->memory.total, UNIT_BYTES, text[0], TEXT),
                unit_format(store->memory.capacity, UNIT_BYTES, text[1], TEXT));
        for (uint32_t c = 0; c < MEMORY_CATEGORY_COUNT; c++)
            if (store->memory.of[c] > 0) {
                fprintf(out, "%s %s %s", separator, program_memory_names[c],
                        unit_format(store->memory.of[c], UNIT_BYTES, text[0], TEXT));
                separator = ",";
            }
        double work = explain_offload_work(s, store->rank);
        if (work > 0)
            fprintf(out, "; computes %s per step", unit_format(work, UNIT_SECONDS, text[0], TEXT));
        fprintf(out, "\n");
    }
}
