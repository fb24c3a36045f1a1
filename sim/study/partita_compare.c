/* Several workloads side by side: what-if in one command. Where something is random, each is replicated with
 * the same seeds (common random numbers), and the differences are those of pairs. */
#include "partita.h"

#include "study/carriers.h"
#include "study/replicate.h"
#include "study/wanted.h"

#include <jansson.h>
#include <string.h>

enum { COMPARED_TEXT = 64 };

struct compared_one {
    struct scenario scenario;
    struct engine_options engine;
    const char *file;
    struct estimate step_time, samples_per_s, mfu, peak_memory;
    struct estimate ratio; /* of the step time to the first workload's with the same seed */
    double last;           /* step time of the last replication, seconds */
};

static bool compared_load(struct compared_one *one, const struct partita_options *options, const char *file,
                          FILE *err)
{
    struct scenario_options wanted = wanted_scenario(options);
    wanted.workload = file;
    one->file = file;
    bool good = scenario_load(&one->scenario, &wanted);
    if (good) {
        one->engine = scenario_engine(&one->scenario);
        good = carriers_choose(&one->scenario, &one->engine);
    }
    report_print(&one->scenario.input.report, err);
    return good;
}

static bool compared_run(struct compared_one *one, const struct compared_one *base, uint64_t replication,
                         FILE *err)
{
    struct engine_result result;
    struct metrics metrics;
    const char *error = NULL;
    uint64_t seed = (uint64_t)base->scenario.workload.seed + replication;
    if (!replicate_once(&one->scenario, &one->engine, seed, &result, &metrics, &error)) {
        fprintf(err, "error: %s: %s\n", one->file, error);
        return false;
    }
    one->last = metrics.step_time;
    estimate_add(&one->step_time, metrics.step_time);
    estimate_add(&one->ratio, base->last > 0 ? metrics.step_time / base->last : 1);
    estimate_add(&one->samples_per_s, metrics.samples_per_s);
    estimate_add(&one->mfu, metrics.mfu);
    estimate_add(&one->peak_memory, metrics.peak_memory);
    one->scenario.plan.fits &= metrics.crowded_rank == PROGRAM_NONE;
    metrics_fini(&metrics);
    engine_result_fini(&result);
    return true;
}

/* "16.98 s" or "2.23 s +- 139 ms". */
static const char *compared_estimate(const struct estimate *e, char *text)
{
    char mean[COMPARED_TEXT], half[COMPARED_TEXT];
    unit_format(e->mean, UNIT_SECONDS, mean, sizeof mean);
    if (e->count < 2)
        snprintf(text, COMPARED_TEXT, "%.30s", mean);
    else
        snprintf(text, COMPARED_TEXT, "%.28s +- %.28s", mean,
                 unit_format(estimate_half_width(e), UNIT_SECONDS, half, sizeof half));
    return text;
}

static void compared_print(const struct compared_one *all, uint32_t count, FILE *out)
{
    char text[3][COMPARED_TEXT], ratio[COMPARED_TEXT];
    bool many = all[0].step_time.count > 1;
    if (many)
        fprintf(out, "%llu replications each, with the same seeds; +- is half the 95 %% interval\n",
                (unsigned long long)all[0].step_time.count);
    fprintf(out, "%-40s %22s %22s %14s %8s %12s %8s\n", "workload", "step time", "to the first", "samples/s",
            "MFU", "memory", "devices");
    for (uint32_t i = 0; i < count; i++) {
        const struct compared_one *one = &all[i];
        if (many)
            snprintf(ratio, sizeof ratio, "%+.2f %% +- %.2f %%", 100 * (one->ratio.mean - 1),
                     100 * estimate_half_width(&one->ratio));
        else
            snprintf(ratio, sizeof ratio, "%+.2f %%", 100 * (one->ratio.mean - 1));
        fprintf(out, "%-40.40s %22s %22s %14s %6.1f %% %12s %8u%s\n", one->file,
                compared_estimate(&one->step_time, text[0]), i ? ratio : "",
                unit_format(one->samples_per_s.mean, UNIT_NONE, text[1], COMPARED_TEXT), 100 * one->mfu.mean,
                unit_format(one->peak_memory.most, UNIT_BYTES, text[2], COMPARED_TEXT),
                one->scenario.job.rank_count, one->scenario.plan.fits ? "" : "  DOES NOT FIT");
    }
}

static void compared_json(const struct compared_one *all, uint32_t count, FILE *out)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < count; i++) {
        const struct compared_one *one = &all[i];
        bool many = one->step_time.count > 1;
        json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:I, s:f, s:o, s:f, s:o, s:f, s:f, s:f, s:b, s:i}", "workload", one->file,
                      "name", one->scenario.workload.name, "replications", (json_int_t)one->step_time.count,
                      "step_time_s", one->step_time.mean, "half_width_95_s",
                      many ? json_real(estimate_half_width(&one->step_time)) : json_null(), "ratio",
                      one->ratio.mean, "ratio_half_width_95",
                      many ? json_real(estimate_half_width(&one->ratio)) : json_null(), "samples_per_s",
                      one->samples_per_s.mean, "mfu", one->mfu.mean, "peak_memory_bytes",
                      one->peak_memory.most, "fits", (int)one->scenario.plan.fits, "devices",
                      (int)one->scenario.job.rank_count));
    }
    json_dumpf(rows, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', out);
    json_decref(rows);
}

static enum partita_status compared_all(struct compared_one *all, uint32_t count,
                                        const struct partita_options *options, FILE *err)
{
    bool random = false;
    for (uint32_t i = 0; i < count; i++)
        random |= scenario_is_random(&all[i].scenario);
    if (options->replications > 1 && !random) {
        fprintf(err,
                "error: nothing in these workloads is random, so that all replications would be the same; "
                "add `random:` to one, or leave out --replicate\n");
        return PARTITA_BAD_INPUT;
    }
    int64_t replications = options->replications > 1 ? options->replications : 1;
    for (int64_t r = 0; r < replications; r++)
        for (uint32_t i = 0; i < count; i++)
            if (!compared_run(&all[i], &all[0], (uint64_t)r, err))
                return PARTITA_FAILED;
    return PARTITA_OK;
}

enum partita_status partita_compare(const struct partita_options *options, const char *const *workloads,
                                    uint32_t count, FILE *out, FILE *err)
{
    struct arena arena;
    arena_init(&arena);
    struct compared_one *all = ARENA_ARRAY(&arena, struct compared_one, count + 1);
    enum partita_status status = PARTITA_OK;
    for (uint32_t i = 0; i < count; i++)
        if (!compared_load(&all[i], options, workloads[i], err))
            status = PARTITA_BAD_INPUT;
    if (status == PARTITA_OK)
        status = compared_all(all, count, options, err);
    if (status == PARTITA_OK && options->json)
        compared_json(all, count, out);
    else if (status == PARTITA_OK)
        compared_print(all, count, out);
    for (uint32_t i = 0; i < count; i++) {
        scenario_fini(&all[i].scenario);
    }
    arena_fini(&arena);
    return status;
}
