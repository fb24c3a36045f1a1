/* plan [CASE…]: what planning costs in processor seconds and peak memory, per case (all when none is named):
 * from the files to the programs and the verdict on memory, for `explain` also the whole text, and for a bare
 * model the search for its plan and for what would fit. Nothing is simulated. Each case has a process of its
 * own, so that its peak memory is its own. */
#include "clock.h"

#include "study/explain.h"
#include "study/remedy.h"
#include "study/scenario.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SETS = 8, REPEATS = 5 };

struct bench {
    const char *name, *about, *workload;
    const char *text;     /* the workload itself; NULL: a shipped one */
    const char *topology; /* of a bare model; NULL: the workload's */
    bool explain;
    const char *sets[SETS];
    double seconds, memory; /* wanted: seconds, million bytes; 0: not said */
};

static const char llama[] = "name: Llama-3.1 405B on 16,384 GPUs\n"
                            "topology: dgx-h100\n"
                            "set: {nodes: 2048}\n"
                            "model: llama3-405b\n"
                            "step: training\n"
                            "batch: {global: 2048, micro: 1, sequence: 8192}\n"
                            "precision: bf16\n"
                            "optimizer: adam\n"
                            "plan: {tensor: 8, pipeline: 16, data: 128, schedule: 1f1b}\n";

static const struct bench benches[] = {
    {.name = "explain",
     .about = "GPT-3 175B on 1,024 GPUs, tensor 8, pipeline 8, data 16: the text of partita explain",
     .workload = "gpt3-175b-64gpu",
     .explain = true,
     .sets = {"topology.nodes=128", "plan.pipeline=8", "plan.data=16"},
     .seconds = 0.05},
    {.name = "explain-16",
     .about = "the same with pipeline 16, data 8",
     .workload = "gpt3-175b-64gpu",
     .explain = true,
     .sets = {"topology.nodes=128", "plan.pipeline=16", "plan.data=8"},
     .seconds = 0.05},
    {.name = "llama",
     .about = "Llama-3.1 405B on 16,384 GPUs, tensor 8, pipeline 16, data 128, 16 micro-batches",
     .workload = "llama.yaml",
     .text = llama,
     .seconds = 0.15,
     .memory = 100},
    {.name = "llama-zero",
     .about = "the same with sequence parallelism and ZeRO 1",
     .workload = "llama.yaml",
     .text = llama,
     .sets = {"plan.sequence-parallel=yes", "plan.zero=1"},
     .seconds = 0.15,
     .memory = 100},
    {.name = "bare",
     .about = "a plan for Llama-3.1 405B on 64 H100, where it does not fit, and remedies",
     .workload = "llama3-405b",
     .topology = "dgx-h100",
     .seconds = 1},
    {.name = "bare-experts",
     .about = "the same for DeepSeek-V3",
     .workload = "deepseek-v3",
     .topology = "dgx-h100",
     .seconds = 1},
};

static uint32_t count_sets(const struct bench *bench)
{
    uint32_t count = 0;
    while (count < SETS && bench->sets[count])
        count++;
    return count;
}

static bool plan_once(const struct bench *bench, FILE *nowhere)
{
    if (bench->explain) {
        struct explain_options options = {.subject = bench->workload,
                                          .sets = bench->sets,
                                          .set_count = count_sets(bench),
                                          .data_root = PARTITA_SOURCE};
        return explain_run(&options, nowhere, stderr);
    }
    struct scenario scenario;
    struct scenario_options options = {.workload = bench->workload,
                                       .text = bench->text,
                                       .topology = bench->topology,
                                       .sets = bench->sets,
                                       .set_count = count_sets(bench),
                                       .data_root = PARTITA_SOURCE};
    bool good = scenario_load(&scenario, &options);
    if (good && bench->topology && !scenario.plan.fits)
        remedy_print(&scenario, &options, nowhere);
    report_print(&scenario.input.report, stderr);
    scenario_fini(&scenario);
    return good;
}

/* The peak is that of the first time; the seconds are the least of several. */
static bool measure(const struct bench *bench)
{
    FILE *nowhere = fopen("/dev/null", "w");
    double least = 0, peak = 0;
    bool good = nowhere != NULL;
    for (int i = 0; i < REPEATS && good; i++) {
        double begin = clock_cpu();
        good = plan_once(bench, nowhere);
        double seconds = clock_cpu() - begin;
        least = i && least < seconds ? least : seconds;
        peak = i ? peak : clock_peak();
    }
    if (nowhere)
        fclose(nowhere);
    if (!good)
        return false;
    printf("%-12s %.4f s CPU", bench->name, least);
    if (bench->seconds > 0)
        printf(" (wanted %g)", bench->seconds);
    printf(", %.1f MB peak", peak);
    if (bench->memory > 0)
        printf(" (wanted %g)", bench->memory);
    printf("  %s\n", bench->about);
    return true;
}

static bool measure_alone(const struct bench *bench)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        bool good = measure(bench);
        fflush(stdout);
        _exit(good ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(int argc, char **argv)
{
    bool good = true;
    for (size_t b = 0; b < sizeof benches / sizeof benches[0]; b++) {
        bool wanted = argc == 1;
        for (int i = 1; i < argc; i++)
            wanted |= strcmp(argv[i], benches[b].name) == 0;
        good = (!wanted || measure_alone(&benches[b])) && good;
    }
    return good ? 0 : 1;
}
