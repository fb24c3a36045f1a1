#include "study/summary.h"

#include "base/unit.h"
#include "cost/cost.h"
#include "plan/generate.h"
#include "plan/schedule.h"
#include "plan/workload_network.h"
#include "study/performance.h"

#include <jansson.h>
#include <string.h>

enum { TEXT = 64, SUMMARY_LARGEST = 6 };

static const char *summary_name(const struct scenario *s, uint32_t id)
{
    return names_text(&s->names, id);
}

/* Ranks that train or infer: hosts and drives that keep something for them are none. */
static uint32_t summary_ranks(const struct scenario *s)
{
    uint32_t ranks = 0;
    for (uint32_t r = 0; r < s->job.rank_count; r++)
        ranks += !s->job.ranks[r].store;
    return ranks;
}

/* "12.3 %" of the window. */
static void summary_share(FILE *out, const char *what, double seconds, double window)
{
    char text[TEXT];
    if (window > 0 && seconds / window < 1e-6 && seconds < 1e-9)
        return;
    fprintf(out, "  %-28s %10s  %5.1f %%\n", what, unit_format(seconds, UNIT_SECONDS, text, TEXT),
            100 * seconds / window);
}

/* The same of a trace. */
static void summary_topology(const struct scenario *s, FILE *out)
{
    uint32_t used = summary_ranks(s);
    fprintf(out, "topology  %s, %u device%s used of %u\n", summary_name(s, s->platform.name), used,
            used == 1 ? "" : "s", platform_workers(&s->platform));
}

static void summary_trace(const struct scenario *s, FILE *out)
{
    fprintf(out, "trace     %u ranks, %u nodes; computations %s\n", s->replay.ranks, s->replay.nodes,
            s->replay.compute == REPLAY_RECORDED ? "take the time recorded"
                                                 : "by their FLOPs and bytes on the devices");
    if (s->replay.contents)
        fprintf(out, "          %s\n", s->replay.contents);
    if (s->replay.copies)
        fprintf(out, "          %u of the ranks have no file and copy another\n", s->replay.copies);
    summary_topology(s, out);
    if (s->workload.level != WORKLOAD_NETWORK_FLUID)
        fprintf(out, "network   %s level\n", workload_network_levels[s->workload.level]);
}

static void summary_plan(const struct scenario *s, FILE *out)
{
    const struct plan *plan = &s->plan;
    char text[TEXT];
    double parameters = (double)model_parameters(&s->model);
    fprintf(out, "model     %s, %.6g %s parameters\n", summary_name(s, s->model.name),
            parameters / (parameters >= 1e9 ? 1e9 : 1e6), parameters >= 1e9 ? "billion" : "million");
    summary_topology(s, out);
    fprintf(out, "step      %s of %llu %s%s in %u micro-batch%s, %s, schedule %s\n",
            plan->training ? "training" : "inference", (unsigned long long)plan->global_batch,
            s->model.sample, plan->global_batch == 1 ? "" : "s", plan->micro_batches,
            plan->micro_batches == 1 ? "" : "es", precision_names[plan->precision], plan->schedule->name);
    if (plan->tokens)
        fprintf(out, "generates %u token%s after each prompt of %llu, cache in %s\n", plan->tokens,
                plan->tokens == 1 ? "" : "s", (unsigned long long)plan->prompt,
                precision_names[plan->cache_precision]);
    if (s->workload.level != WORKLOAD_NETWORK_FLUID)
        fprintf(out, "network   %s level\n", workload_network_levels[s->workload.level]);
    for (uint32_t i = 0; i < generate_prompt_stages(plan); i++) {
        const struct plan_stage *stage = &plan->stages.at[i];
        fprintf(out, "  stage %-2u %s..%s on %s%s", i,
                summary_name(s, s->model.units.at[stage->first_unit].name),
                summary_name(s, s->model.units.at[stage->first_unit + stage->unit_count - 1].name),
                summary_name(s, s->platform.devices.at[stage->devices.at[0]].name),
                stage->devices.count > 1 ? ".." : "");
        if (stage->devices.count > 1)
            fprintf(
                out, "%s",
                summary_name(s, s->platform.devices.at[stage->devices.at[stage->devices.count - 1]].name));
        for (uint32_t a = 0; a < stage->axis_count; a++)
            fprintf(out, ", %s %u", summary_name(s, stage->axes[a].name), stage->axes[a].size);
        fprintf(out, "; %s", unit_format(stage->memory.total, UNIT_BYTES, text, TEXT));
        fprintf(out, " of %s\n", unit_format(stage->memory.capacity, UNIT_BYTES, text, TEXT));
    }
}

/* What a device holds: by category, and the tensors that take most. */
static void summary_held(const struct scenario *s, const struct plan_memory *m, FILE *out)
{
    char text[TEXT];
    const char *separator = "          (";
    for (uint32_t c = 0; c < MEMORY_CATEGORY_COUNT; c++)
        if (m->of[c] > 0) {
            fprintf(out, "%s%s %s", separator, program_memory_names[c],
                    unit_format(m->of[c], UNIT_BYTES, text, TEXT));
            separator = ", ";
        }
    fprintf(out, ")\n");
    for (uint32_t i = 0; i < m->largest_count && i < SUMMARY_LARGEST; i++) {
        const struct plan_holding *holding = &m->largest[i];
        fprintf(out, "          %-9s %s of %s", unit_format(holding->bytes, UNIT_BYTES, text, TEXT),
                program_memory_names[holding->category], summary_name(s, holding->what));
        fprintf(out, holding->count > 1 ? ", %u tensors\n" : "\n", holding->count);
    }
}

/* The fullest host and the fullest drive that keep something for the devices. */
static void summary_stores(const struct scenario *s, FILE *out)
{
    char text[2][TEXT];
    for (uint8_t role = DEVICE_HOST; role <= DEVICE_DRIVE; role++) {
        const struct plan_store *fullest = NULL;
        for (uint32_t i = 0; i < s->plan.stores.count; i++) {
            const struct plan_store *store = &s->plan.stores.at[i];
            if (s->platform.devices.at[store->device].role == role &&
                (!fullest || store->memory.total - store->memory.capacity >
                                 fullest->memory.total - fullest->memory.capacity))
                fullest = store;
        }
        if (!fullest)
            continue;
        bool over = fullest->memory.total > fullest->memory.capacity;
        fprintf(out, "          %s of %s: %s of %s%s\n", role == DEVICE_HOST ? "host memory" : "drives",
                summary_name(s, s->platform.devices.at[fullest->device].name),
                unit_format(fullest->memory.total, UNIT_BYTES, text[0], TEXT),
                unit_format(fullest->memory.capacity, UNIT_BYTES, text[1], TEXT),
                over ? ": DOES NOT FIT" : "");
        if (over)
            summary_held(s, &fullest->memory, out);
    }
}

/* The stage that is most over its memory, what it holds, and how many others are over theirs. */
static void summary_verdict(const struct scenario *s, const struct metrics *metrics, FILE *out)
{
    char text[2][TEXT];
    uint32_t worst = 0, over = 0;
    for (uint32_t i = 0; i < generate_prompt_stages(&s->plan); i++) {
        const struct plan_memory *m = &s->plan.stages.at[i].memory, *w = &s->plan.stages.at[worst].memory;
        over += m->total > m->capacity;
        if (m->total - m->capacity > w->total - w->capacity)
            worst = i;
    }
    if (!over && metrics->crowded_rank != PROGRAM_NONE) {
        const struct device *device = &s->platform.devices.at[s->job.ranks[metrics->crowded_rank].device];
        fprintf(out,
                "memory    DOES NOT FIT: the plan fits by the order of its work, but in the run %s came to "
                "hold %s more "
                "than it has, since what it sends waits for the network\n",
                summary_name(s, device->name), unit_format(metrics->crowd, UNIT_BYTES, text[0], TEXT));
        summary_stores(s, out);
        return;
    }
    if (!over) {
        fprintf(out, "memory    fits every device\n");
        summary_stores(s, out);
        return;
    }
    const struct plan_memory *m = &s->plan.stages.at[worst].memory;
    const struct rank *rank = &s->job.ranks[s->plan.stages.at[worst].fullest_rank];
    fprintf(out, "memory    DOES NOT FIT: stage %u needs %s on %s, %s more than it has\n", worst,
            unit_format(m->total, UNIT_BYTES, text[0], TEXT),
            summary_name(s, s->platform.devices.at[rank->device].name),
            unit_format(m->total - m->capacity, UNIT_BYTES, text[1], TEXT));
    summary_held(s, m, out);
    if (over > 1)
        fprintf(out, "          and %u other stage%s are over too\n", over - 1, over == 2 ? "" : "s");
    summary_stores(s, out);
}

/* A count or a rate without a unit: whole from 1,000, else four digits. */
static const char *summary_number(double value, char *buffer)
{
    snprintf(buffer, TEXT, value >= 1000 ? "%.0f" : "%.4g", value);
    return buffer;
}

/* When a sample has its first token, and how long the others take. */
static void summary_tokens(const struct metrics *m, FILE *out)
{
    char text[3][TEXT];
    const struct token_times *times = &m->tokens;
    uint32_t last = times->at.count - 1;
    fprintf(out, "%-30s %s", "time to first token",
            unit_format(times->to_first, UNIT_SECONDS, text[0], TEXT));
    if (times->at.at[0].last > times->at.at[0].first)
        fprintf(out, " (%s to %s)", unit_format(times->at.at[0].first, UNIT_SECONDS, text[1], TEXT),
                unit_format(times->at.at[0].last, UNIT_SECONDS, text[2], TEXT));
    fprintf(out, "\n");
    if (last)
        fprintf(
            out, "%-30s %s (the first %s, the last %s)\n", "time per output token",
            unit_format(times->per_token, UNIT_SECONDS, text[0], TEXT),
            unit_format(times->at.at[1].mean - times->at.at[0].mean, UNIT_SECONDS, text[1], TEXT),
            unit_format(times->at.at[last].mean - times->at.at[last - 1].mean, UNIT_SECONDS, text[2], TEXT));
}

/* How fast it is, of a model with its plan. */
static void summary_rates(const struct scenario *s, const struct metrics *m, FILE *out)
{
    char text[2][TEXT];
    fprintf(out, "\n");
    if (s->script.discipline)
        performance_print(s, m, out);
    else
        fprintf(out, "%-30s %s\n", s->plan.training ? "step time" : "latency",
                unit_format(m->step_time, UNIT_SECONDS, text[0], TEXT));
    if (!s->script.discipline && s->steady.found)
        fprintf(out, "%-30s %s ± %s from step to step (95 %%, %u batches), %u of %u left out as warm-up\n",
                "steady state", unit_format(s->steady.period, UNIT_SECONDS, text[0], TEXT),
                unit_format(s->steady.half_width, UNIT_SECONDS, text[1], TEXT), s->steady.batches,
                s->steady.warm_up, s->steady.intervals);
    if (s->plan.tokens)
        summary_tokens(m, out);
    fprintf(out, "%-30s %s %ss/s", "throughput", summary_number(m->samples_per_s, text[0]), s->model.sample);
    if (m->tokens_per_s > 0)
        fprintf(out, ", %s tokens/s%s", summary_number(m->tokens_per_s, text[1]),
                s->plan.tokens ? " generated" : "");
    fprintf(out, "\n%-30s %s per device, MFU %.1f %% (model FLOPs, attention counted %s, over %s x %u)\n",
            "compute rate", unit_format(m->flops_per_device, UNIT_FLOPS, text[0], TEXT), 100 * m->mfu,
            s->model.causal ? "causal" : "full",
            unit_format(m->peak_flops / summary_ranks(s), UNIT_FLOPS, text[1], TEXT), summary_ranks(s));
}

/* The same of a trace, of which only the time is certain. */
static void summary_trace_rates(const struct scenario *s, const struct metrics *m, FILE *out)
{
    char text[TEXT];
    fprintf(out, "\n%-30s %s\n", s->job.steps > 1 ? "step time" : "makespan",
            unit_format(m->step_time, UNIT_SECONDS, text, TEXT));
    if (m->flops_per_device > 0)
        fprintf(out, "%-30s %s per device\n", "compute rate",
                unit_format(m->flops_per_device, UNIT_FLOPS, text, TEXT));
}

void summary_print(const struct scenario *s, const struct metrics *m, FILE *out)
{
    char text[TEXT];
    fprintf(out, "%s\n", s->workload.name);
    if (s->plan.replayed) {
        summary_trace(s, out);
        summary_trace_rates(s, m, out);
    } else {
        if (s->chosen)
            fprintf(out, "chosen    %s (what --set says goes before)\n", s->chosen);
        summary_plan(s, out);
        summary_verdict(s, m, out);
        summary_rates(s, m, out);
    }
    fprintf(out, "%-30s %s\n", "bytes sent", unit_format(m->bytes_sent, UNIT_BYTES, text, TEXT));
    if (!s->plan.replayed)
        fprintf(out, "%-30s %s\n", "peak memory of a device",
                unit_format(m->peak_memory, UNIT_BYTES, text, TEXT));
    if (m->energy > 0)
        fprintf(out, "%-30s %s\n", "energy", unit_format(m->energy, UNIT_JOULES, text, TEXT));
    if (summary_ranks(s) == 1)
        fprintf(out, "\nwhere the time goes\n");
    else
        fprintf(out, "\nwhere the time goes (mean over %u devices)\n", summary_ranks(s));
    summary_share(out, "compute", m->compute, m->window);
    for (uint32_t i = 0; i < m->exposed.count; i++) {
        char what[128];
        snprintf(what, sizeof what, "exposed %s", summary_name(s, m->exposed.at[i].group));
        summary_share(out, what, m->exposed.at[i].seconds, m->window);
    }
    summary_share(out, "bubble", m->bubble, m->window);
    summary_share(out, "idle (before and after)", m->idle, m->window);
    summary_share(out, "whole step", m->window, m->window);
    if (m->window > m->step_time * 1.001)
        summary_share(out, "  beside the next step", m->window - m->step_time, m->window);
}

static json_t *summary_json_memory(const struct plan_memory *m)
{
    json_t *object = json_object();
    for (uint32_t c = 0; c < MEMORY_CATEGORY_COUNT; c++)
        json_object_set_new(object, program_memory_names[c], json_real(m->of[c]));
    json_object_set_new(object, "total", json_real(m->total));
    json_object_set_new(object, "capacity", json_real(m->capacity));
    return object;
}

static json_t *summary_json_stores(const struct scenario *s)
{
    json_t *stores = json_array();
    for (uint32_t i = 0; i < s->plan.stores.count; i++) {
        const struct plan_store *store = &s->plan.stores.at[i];
        json_array_append_new(stores, json_pack("{s:s, s:o}", "device",
                                                summary_name(s, s->platform.devices.at[store->device].name),
                                                "memory_bytes", summary_json_memory(&store->memory)));
    }
    return stores;
}

static json_t *summary_json_stages(const struct scenario *s)
{
    json_t *stages = json_array();
    for (uint32_t i = 0; i < generate_prompt_stages(&s->plan); i++) {
        const struct plan_stage *stage = &s->plan.stages.at[i];
        json_array_append_new(
            stages,
            json_pack(
                "{s:s, s:s, s:i, s:o}", "first", summary_name(s, s->model.units.at[stage->first_unit].name),
                "last", summary_name(s, s->model.units.at[stage->first_unit + stage->unit_count - 1].name),
                "devices", (int)stage->devices.count, "memory_bytes", summary_json_memory(&stage->memory)));
    }
    return stages;
}

static json_t *summary_json_tokens(const struct scenario *s, const struct metrics *m)
{
    json_t *ends = json_array();
    for (uint32_t t = 0; t < m->tokens.at.count; t++)
        json_array_append_new(ends, json_real(m->tokens.at.at[t].mean));
    return json_pack("{s:I, s:I, s:f, s:f, s:o}", "prompt", (json_int_t)s->plan.prompt, "tokens",
                     (json_int_t)s->plan.tokens, "time_to_first_token_s", m->tokens.to_first,
                     "time_per_output_token_s", m->tokens.per_token, "token_ends_s", ends);
}

void summary_json(const struct scenario *s, const struct metrics *m, uint64_t events, double wall_seconds,
                  FILE *out)
{
    json_t *exposed = json_object();
    for (uint32_t i = 0; i < m->exposed.count; i++)
        json_object_set_new(exposed, summary_name(s, m->exposed.at[i].group),
                            json_real(m->exposed.at[i].seconds));
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o, s:f, s:f, "
                  "s:b, s:f, s:I, s:I, s:s, s:o, s:I, s:f}",
                  "name", s->workload.name, "model", summary_name(s, s->model.name), "topology",
                  summary_name(s, s->platform.name), "step",
                  s->plan.replayed   ? "replay"
                  : s->plan.training ? "training"
                                     : "inference",
                  "step_time_s", m->step_time, "window_s", m->window, "samples_per_s", m->samples_per_s,
                  "tokens_per_s", m->tokens_per_s, "flops_per_device", m->flops_per_device, "mfu", m->mfu,
                  "bubble_fraction", m->bubble_fraction, "compute_s", m->compute, "bubble_s", m->bubble,
                  "idle_s", m->idle, "exposed_communication_s", exposed, "peak_memory_bytes", m->peak_memory,
                  "energy_j", m->energy, "fits", s->plan.fits && m->crowded_rank == PROGRAM_NONE,
                  "bytes_sent", m->bytes_sent, "devices", (json_int_t)summary_ranks(s), "parameters",
                  (json_int_t)model_parameters(&s->model), "attention", s->model.causal ? "causal" : "full",
                  "stages", summary_json_stages(s), "events", (json_int_t)events, "wall_s", wall_seconds);
    if (s->plan.stores.count)
        json_object_set_new(object, "stores", summary_json_stores(s));
    if (s->plan.tokens)
        json_object_set_new(object, "generation", summary_json_tokens(s, m));
    if (s->chosen)
        json_object_set_new(object, "chosen", json_string(s->chosen));
    if (s->script.discipline)
        json_object_set_new(object, "discipline", performance_json(s));
    json_dumpf(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', out);
    json_decref(object);
}
