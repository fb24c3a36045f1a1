/* The program: reads the command line and calls the library. Each subcommand is one entry of a table, from
 * which the help texts come. */
#include "partita.h"

#include "base/nearest.h"
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct command {
    const char *name, *usage, *about;
    const char *options; /* letters of the options it takes, see options.c */
    enum partita_status (*run)(const struct options *options);
};

static enum partita_status main_run(const struct options *o);
static enum partita_status main_explain(const struct options *o);
static enum partita_status main_compare(const struct options *o);
static enum partita_status main_plot(const struct options *o);
static enum partita_status main_list(const struct options *o);
static enum partita_status main_export(const struct options *o);
static enum partita_status main_convert(const struct options *o);
static enum partita_status main_collective(const struct options *o);
static enum partita_status main_schedule(const struct options *o);

static const struct command main_commands[] = {
    {"run", "partita run WORKLOAD|MODEL|TRACE [options]",
     "simulate a workload (or a model or trace, --topology given) and print its summary", "tsdjqvMnuey",
     main_run},
    {"explain", "partita explain WORKLOAD|MODEL [options]",
     "how each layer is split, what each device computes, and what is communicated, why", "tsjl",
     main_explain},
    {"compare", "partita compare WORKLOAD [WORKLOAD ...] [options]",
     "simulate several workloads, or one on several levels of the network; results side by side", "tsjLne",
     main_compare},
    {"plot", "partita plot timeline|memory RESULTS.db [options]",
     "draw a figure from a database of results; or a network: plot topology NAME; or: plot schedules",
     "orfTkspm", main_plot},
    {"list", "partita list [KIND] [options]", "topologies, devices, models, schedules … that can be used",
     "j", main_list},
    {"export", "partita export RESULTS.db|WORKLOAD --format canonical|chrome|csv|chakra [options]",
     "write a run in another form; chakra: a run, or the plan of a workload, as execution traces", "orFts",
     main_export},
    {"convert", "partita convert FILE|TRACE [options]",
     "write a topology, model or trace of another tool as Partita's YAML; a trace also with --format chakra",
     "oFs", main_convert},
    {"collective", "partita collective KIND --topology T [options]",
     "time, algorithm and bus bandwidth of a collective against its size", "tsNzacSjo", main_collective},
    {"schedule", "partita schedule NAME|FILE.csv [options]",
     "run a pipeline schedule by itself: makespan, bubbles, activations; or write its order", "pmCiWxjo",
     main_schedule},
};
enum { MAIN_PLOT = 3 }; /* its place */
enum { MAIN_COMMANDS = sizeof main_commands / sizeof main_commands[0] };

/* With --until alone. */
enum { MAIN_REPLICATIONS = 10000 };

static enum partita_status main_run(const struct options *o)
{
    const char *sets[OPTIONS_MOST + 1];
    char compute[64];
    uint32_t set_count = o->set_count;
    memcpy(sets, o->sets, sizeof o->sets);
    if (o->compute) {
        snprintf(compute, sizeof compute, "trace.compute=%s", o->compute);
        sets[set_count++] = compute;
    }
    struct partita_options options = {.workload = o->arguments[0],
                                      .topology = o->topology,
                                      .sets = sets,
                                      .set_count = set_count,
                                      .database = o->database,
                                      .json = o->json,
                                      .quiet = o->quiet,
                                      .verbose = o->verbose,
                                      .must_fit = o->must_fit,
                                      .replications = o->replications ? o->replications : MAIN_REPLICATIONS,
                                      .until = o->until,
                                      .seed = o->seed};
    return o->replications || o->until > 0 ? partita_replicate(&options, stdout, stderr)
                                           : partita_run(&options, stdout, stderr);
}

static enum partita_status main_explain(const struct options *o)
{
    struct partita_options options = {.workload = o->arguments[0],
                                      .topology = o->topology,
                                      .sets = o->sets,
                                      .set_count = o->set_count,
                                      .json = o->json,
                                      .layer = o->layer};
    return partita_explain(&options, stdout, stderr);
}

static enum partita_status main_compare(const struct options *o)
{
    struct partita_options options = {.workload = o->arguments[0],
                                      .topology = o->topology,
                                      .sets = o->sets,
                                      .set_count = o->set_count,
                                      .json = o->json,
                                      .replications = o->replications,
                                      .seed = o->seed};
    if (!o->levels)
        return partita_compare(&options, o->arguments, (uint32_t)o->argument_count, stdout, stderr);
    if (o->argument_count == 1 && !o->replications)
        return partita_compare_levels(&options, o->levels, stdout, stderr);
    fprintf(stderr, "error: --levels goes with one workload, and not with --replicate\n");
    return PARTITA_BAD_INPUT;
}

static enum partita_status main_plot(const struct options *o)
{
    char standard[64];
    snprintf(standard, sizeof standard, "%s.svg", o->arguments[0]);
    const char *output = o->output ? o->output : standard;
    if (strcmp(o->arguments[0], "schedules") == 0 && o->argument_count == 1)
        return partita_schedule_plot(o->stages, o->micro_batches, output, stderr);
    if (o->argument_count < 2) {
        fprintf(stderr, "error: something is missing; usage: %s\n", main_commands[MAIN_PLOT].usage);
        return PARTITA_BAD_INPUT;
    }
    if (strcmp(o->arguments[0], "topology") == 0) {
        struct partita_options options = {
            .topology = o->arguments[1], .sets = o->sets, .set_count = o->set_count};
        return partita_plot_topology(&options, output, stderr);
    }
    const struct partita_plot_options options = {.kind = o->arguments[0],
                                                 .database = o->arguments[1],
                                                 .run = o->run,
                                                 .output = output,
                                                 .from = o->from,
                                                 .to = o->to,
                                                 .ranks = o->ranks};
    return partita_plot(&options, stderr);
}

static enum partita_status main_list(const struct options *o)
{
    return partita_list(o->argument_count ? o->arguments[0] : NULL, o->json, stdout, stderr);
}

/* Closes a stream; false after saying that not everything could be written. */
static bool main_written(FILE *out, const char *name)
{
    bool failed = ferror(out) != 0;
    failed = (out == stdout ? fflush(out) : fclose(out)) != 0 || failed;
    if (failed)
        fprintf(stderr, "error: cannot write %s: %s\n", name, strerror(errno));
    return !failed;
}

/* Into a file beside the one asked for, which takes its place when it is complete. Pipes and devices are
 * written to directly. */
static enum partita_status main_into_file(const struct options *o,
                                          enum partita_status (*write)(const struct options *o, FILE *out))
{
    struct stat about;
    bool direct = stat(o->output, &about) == 0 && !S_ISREG(about.st_mode);
    char *part = malloc(strlen(o->output) + sizeof ".part");
    sprintf(part, "%s%s", o->output, direct ? "" : ".part");
    FILE *out = fopen(part, "w");
    enum partita_status status = PARTITA_FAILED;
    if (!out) {
        fprintf(stderr, "error: cannot write %s: %s\n", o->output, strerror(errno));
    } else {
        status = write(o, out);
        if (!main_written(out, o->output))
            status = PARTITA_FAILED;
        if (!direct && status != PARTITA_OK)
            remove(part);
        else if (!direct && rename(part, o->output) != 0) {
            fprintf(stderr, "error: cannot write %s: %s\n", o->output, strerror(errno));
            status = PARTITA_FAILED;
        }
    }
    free(part);
    return status;
}

static enum partita_status main_write_export(const struct options *o, FILE *out)
{
    return partita_export(o->format ? o->format : "csv", o->arguments[0], o->run, out, stderr);
}

static enum partita_status main_export(const struct options *o)
{
    struct partita_options options = {
        .workload = o->arguments[0], .topology = o->topology, .sets = o->sets, .set_count = o->set_count};
    if (o->format && strcmp(o->format, "chakra") == 0)
        return partita_export_trace(&options, o->run, o->output, stderr);
    return o->output ? main_into_file(o, main_write_export) : main_write_export(o, stdout);
}

static enum partita_status main_write_converted(const struct options *o, FILE *out)
{
    struct partita_options options = {
        .topology = o->arguments[0], .sets = o->sets, .set_count = o->set_count};
    return partita_convert(&options, out, stderr);
}

static enum partita_status main_convert(const struct options *o)
{
    struct partita_options options = {
        .topology = o->arguments[0], .sets = o->sets, .set_count = o->set_count};
    const char *format = o->format ? o->format : "yaml", *known[] = {"yaml", "chakra"};
    bool chakra = strcmp(format, "chakra") == 0;
    if (!chakra && strcmp(format, "yaml") != 0) {
        nearest_unknown("format of a conversion", format, known, 2, stderr);
        return PARTITA_BAD_INPUT;
    }
    if (chakra && o->output)
        return partita_convert_trace(&options, o->output, stderr);
    if (chakra) {
        fprintf(stderr, "error: a trace is several files: --output PREFIX says where\n");
        return PARTITA_BAD_INPUT;
    }
    return o->output ? main_into_file(o, main_write_converted) : main_write_converted(o, stdout);
}

static enum partita_status main_collective(const struct options *o)
{
    struct partita_collective_options options = {.kind = o->arguments[0],
                                                 .topology = o->topology,
                                                 .sets = o->sets,
                                                 .set_count = o->set_count,
                                                 .ranks = o->rank_count,
                                                 .size = o->size,
                                                 .algorithms = o->algorithm,
                                                 .chunk = o->chunk,
                                                 .steps = o->steps,
                                                 .json = o->json,
                                                 .output = o->output};
    return partita_collective(&options, stdout, stderr);
}

static enum partita_status main_write_schedule(const struct options *o, FILE *out)
{
    struct partita_schedule_options options = {.schedule = o->arguments[0],
                                               .devices = o->stages,
                                               .micro_batches = o->micro_batches,
                                               .chunks = o->chunks,
                                               .in_flight = o->in_flight,
                                               .times = o->times,
                                               .format = o->format,
                                               .json = o->json};
    return partita_schedule(&options, out, stderr);
}

static enum partita_status main_schedule(const struct options *o)
{
    return o->output ? main_into_file(o, main_write_schedule) : main_write_schedule(o, stdout);
}

static void main_help(FILE *to)
{
    fprintf(to, "partita %s: simulates distributed deep learning\n\nusage:\n", partita_version());
    for (int i = 0; i < MAIN_COMMANDS; i++)
        fprintf(to, "  %-66s %s\n", main_commands[i].usage, main_commands[i].about);
    fprintf(to, "  %-66s %s\n", "partita help [COMMAND]", "this text, or a command's options");
    fprintf(to, "  %-66s %s\n\n", "partita --version", "the version");
    fprintf(to, "A first example:  partita run vgg16-four-pis\n");
}

static const struct command *main_find(const char *name)
{
    for (int i = 0; i < MAIN_COMMANDS; i++)
        if (strcmp(main_commands[i].name, name) == 0)
            return &main_commands[i];
    const char *known[MAIN_COMMANDS + 2] = {"help", "--version"};
    for (int i = 0; i < MAIN_COMMANDS; i++)
        known[i + 2] = main_commands[i].name;
    nearest_unknown("command", name, known, MAIN_COMMANDS + 2, stderr);
    return NULL;
}

static enum partita_status main_command_help(const char *name)
{
    const struct command *command = main_find(name);
    if (!command)
        return PARTITA_BAD_INPUT;
    printf("usage: %s\n\n%s\n\n", command->usage, command->about);
    options_help(command->options, stdout);
    return PARTITA_OK;
}

enum { MAIN_COMPARED = 8 };

/* Arguments that stand in the usage line before the options. */
static int main_wanted(const struct command *command, int *most)
{
    bool two = command->run == main_plot, none = command->run == main_list;
    *most = two ? 2 : command->run == main_compare ? MAIN_COMPARED : 1;
    return none ? 0 : 1;
}

static enum partita_status main_call(int count, char **words)
{
    const struct command *command = main_find(words[0]);
    struct options options;
    int most;
    if (!command || !options_read(&options, command->options, count - 1, words + 1))
        return PARTITA_BAD_INPUT;
    if (options.help)
        return main_command_help(command->name);
    int least = main_wanted(command, &most);
    if (options.argument_count >= least && options.argument_count <= most)
        return command->run(&options);
    if (options.argument_count > most)
        fprintf(stderr, "error: '%s' is one word too many; usage: %s\n", options.arguments[most],
                command->usage);
    else
        fprintf(stderr, "error: something is missing; usage: %s\n", command->usage);
    return PARTITA_BAD_INPUT;
}

int main(int count, char **words)
{
    const char *first = count < 2 ? "" : words[1];
    enum partita_status status = PARTITA_OK;
    if (count < 2) {
        main_help(stderr);
        status = PARTITA_BAD_INPUT;
    } else if (strcmp(first, "help") == 0 || strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0) {
        if (count > 2)
            status = main_command_help(words[2]);
        else
            main_help(stdout);
    } else if (strcmp(first, "--version") == 0) {
        printf("partita %s\n", partita_version());
    } else {
        status = main_call(count - 1, words + 1);
    }
    if (!main_written(stdout, "the output") && status == PARTITA_OK)
        status = PARTITA_FAILED;
    return (int)status;
}
