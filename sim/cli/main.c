/* The program: reads the command line and calls the library. Each subcommand is one entry of a table, from
 * which the help texts come. */
#include "partita.h"

#include "cli/options.h"

#include <string.h>

struct command {
    const char *name, *usage, *about;
    const char *options; /* letters of the options it takes, see options.c */
    enum partita_status (*run)(const struct options *options);
};

static enum partita_status main_run(const struct options *o);
static enum partita_status main_explain(const struct options *o);
static enum partita_status main_plot(const struct options *o);
static enum partita_status main_list(const struct options *o);
static enum partita_status main_export(const struct options *o);

static const struct command main_commands[] = {
    {"run", "partita run WORKLOAD [options]", "simulate a workload and print its summary", "tsdjqv",
     main_run},
    {"explain", "partita explain WORKLOAD|MODEL [options]",
     "how each layer is split, what each device computes, and what is communicated, why", "tsjl",
     main_explain},
    {"plot", "partita plot timeline|memory RESULTS.db [options]", "draw a figure from a database of results",
     "orfTk", main_plot},
    {"list", "partita list [KIND] [options]", "topologies, devices, models, schedules … that can be used",
     "j", main_list},
    {"export", "partita export RESULTS.db --format canonical|chrome|csv [options]",
     "write a run in another form", "orF", main_export},
};
enum { MAIN_COMMANDS = sizeof main_commands / sizeof main_commands[0] };

static enum partita_status main_run(const struct options *o)
{
    struct partita_options options = {.workload = o->arguments[0],
                                      .topology = o->topology,
                                      .sets = o->sets,
                                      .set_count = o->set_count,
                                      .database = o->database,
                                      .json = o->json,
                                      .quiet = o->quiet,
                                      .verbose = o->verbose};
    return partita_run(&options, stdout, stderr);
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

static enum partita_status main_plot(const struct options *o)
{
    const char *output = o->output ? o->output : "timeline.svg";
    return partita_plot(o->arguments[0], o->arguments[1], o->run, output, o->from, o->to, o->ranks, stderr);
}

static enum partita_status main_list(const struct options *o)
{
    return partita_list(o->argument_count ? o->arguments[0] : NULL, o->json, stdout, stderr);
}

static enum partita_status main_export(const struct options *o)
{
    FILE *out = o->output ? fopen(o->output, "w") : stdout;
    if (!out) {
        fprintf(stderr, "error: cannot write '%s'\n", o->output);
        return PARTITA_FAILED;
    }
    enum partita_status status =
        partita_export(o->format ? o->format : "csv", o->arguments[0], o->run, out, stderr);
    if (out != stdout && fclose(out) != 0) {
        fprintf(stderr, "error: cannot write '%s'\n", o->output);
        status = PARTITA_FAILED;
    }
    return status;
}

static void main_help(FILE *to)
{
    fprintf(to, "partita %s: simulates distributed deep learning\n\nusage:\n", partita_version());
    for (int i = 0; i < MAIN_COMMANDS; i++)
        fprintf(to, "  %-62s %s\n", main_commands[i].usage, main_commands[i].about);
    fprintf(to, "  %-62s %s\n", "partita help [COMMAND]", "this text, or a command's options");
    fprintf(to, "  %-62s %s\n\n", "partita --version", "the version");
    fprintf(to, "A first example:  partita run vgg16-four-pis\n");
}

static const struct command *main_find(const char *name)
{
    for (int i = 0; i < MAIN_COMMANDS; i++)
        if (strcmp(main_commands[i].name, name) == 0)
            return &main_commands[i];
    const char *known[MAIN_COMMANDS];
    for (int i = 0; i < MAIN_COMMANDS; i++)
        known[i] = main_commands[i].name;
    options_unknown("command", name, known, MAIN_COMMANDS);
    return NULL;
}

static int main_command_help(const char *name)
{
    const struct command *command = main_find(name);
    if (!command)
        return PARTITA_BAD_INPUT;
    printf("usage: %s\n\n%s\n\n", command->usage, command->about);
    options_help(command->options, stdout);
    return PARTITA_OK;
}

/* Arguments that stand in the usage line before the options. */
static int main_wanted(const struct command *command, int *most)
{
    bool two = command->run == main_plot, none = command->run == main_list;
    *most = two ? 2 : 1;
    return none ? 0 : *most;
}

int main(int count, char **words)
{
    if (count < 2 || strcmp(words[1], "help") == 0 || strcmp(words[1], "--help") == 0 ||
        strcmp(words[1], "-h") == 0) {
        if (count > 2)
            return main_command_help(words[2]);
        main_help(count < 2 ? stderr : stdout);
        return count < 2 ? PARTITA_BAD_INPUT : PARTITA_OK;
    }
    if (strcmp(words[1], "--version") == 0) {
        printf("partita %s\n", partita_version());
        return PARTITA_OK;
    }
    const struct command *command = main_find(words[1]);
    struct options options;
    int most;
    if (!command || !options_read(&options, command->options, count - 2, words + 2))
        return PARTITA_BAD_INPUT;
    if (options.help)
        return main_command_help(command->name);
    int least = main_wanted(command, &most);
    if (options.argument_count < least || options.argument_count > most) {
        fprintf(stderr, "error: expected: %s\n", command->usage);
        return PARTITA_BAD_INPUT;
    }
    enum partita_status status = command->run(&options);
    if (fflush(stdout) != 0 && status == PARTITA_OK) {
        fprintf(stderr, "error: cannot write the output\n");
        status = PARTITA_FAILED;
    }
    return (int)status;
}
