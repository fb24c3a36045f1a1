#include "cli/options.h"

#include "base/nearest.h"
#include "base/unit.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* OPTION_NAMES: a value is optional, and a word is one only when an argument stands before the option. */
enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_NAMES,
    OPTION_LIST,
    OPTION_INTEGER,
    OPTION_SECONDS,
    OPTION_SHARE
};

/* Every option of every command; `letter` names it in the commands' lists. */
static const struct option {
    char letter;
    const char *name;
    enum option_kind kind;
    size_t offset;
    const char *value, *about;
} options_table[] = {
    {'t', "--topology", OPTION_TEXT, offsetof(struct options, topology), "FILE",
     "topology file or shipped name, instead of the workload's"},
    {'s', "--set", OPTION_LIST, offsetof(struct options, sets), "KEY=VALUE",
     "change any key of the workload or the topology; may be repeated"},
    {'d', "--db", OPTION_TEXT, offsetof(struct options, database), "FILE",
     "add the run to this SQLite database"},
    {'j', "--json", OPTION_FLAG, offsetof(struct options, json), NULL,
     "print one JSON value instead of text"},
    {'q', "--quiet", OPTION_FLAG, offsetof(struct options, quiet), NULL, "print no summary"},
    {'v', "--verbose", OPTION_FLAG, offsetof(struct options, verbose), NULL,
     "print how long each phase took"},
    {'M', "--must-fit", OPTION_FLAG, offsetof(struct options, must_fit), NULL,
     "end with exit code 3 where a device lacks the memory; 0 by default"},
    {'l', "--layer", OPTION_TEXT, offsetof(struct options, layer), "NAME", "only this layer"},
    {'o', "--output", OPTION_TEXT, offsetof(struct options, output), "FILE",
     "file to write; a figure's ending (.svg .png .pdf) is its format"},
    {'r', "--run", OPTION_INTEGER, offsetof(struct options, run), "N",
     "number of the run in the database; the latest by default"},
    {'f', "--from", OPTION_SECONDS, offsetof(struct options, from), "TIME",
     "start of the part to draw, such as '20 ms'"},
    {'T', "--to", OPTION_SECONDS, offsetof(struct options, to), "TIME", "end of the part to draw"},
    {'k', "--ranks", OPTION_TEXT, offsetof(struct options, ranks), "LIST",
     "ranks to draw, such as 0,8,16; one per stage by default"},
    {'L', "--levels", OPTION_NAMES, offsetof(struct options, levels), "LIST",
     "such as ideal,alpha-beta,fluid,packet; all by default (`partita list levels`)"},
    {'F', "--format", OPTION_TEXT, offsetof(struct options, format), "NAME",
     "see `partita list exports`; csv by default"},
    {'N', "--ranks", OPTION_INTEGER, offsetof(struct options, rank_count), "N",
     "devices that take part, the first of the topology; all by default"},
    {'z', "--size", OPTION_TEXT, offsetof(struct options, size), "SIZE",
     "bytes, such as 64MB, or 1MB..1GB, which doubles; 1KB..1GB by default"},
    {'a', "--algorithm", OPTION_TEXT, offsetof(struct options, algorithm), "LIST",
     "such as ring,bruck; all: those that apply; auto, the fastest, by default"},
    {'c', "--chunk", OPTION_TEXT, offsetof(struct options, chunk), "SIZE",
     "cut into pieces of at most this size, which follow each other"},
    {'n', "--replicate", OPTION_INTEGER, offsetof(struct options, replications), "N",
     "run N times with other luck, and print means with 95 % confidence intervals"},
    {'u', "--until", OPTION_SHARE, offsetof(struct options, until), "SHARE",
     "replicate until the step time is known to this share, such as 1%"},
    {'e', "--seed", OPTION_INTEGER, offsetof(struct options, seed), "N",
     "seed of everything random, instead of the workload's"},
    {'p', "--stages", OPTION_INTEGER, offsetof(struct options, stages), "N",
     "devices of the pipeline; 4 by default"},
    {'m', "--micro", OPTION_INTEGER, offsetof(struct options, micro_batches), "N",
     "micro-batches; 8 by default"},
    {'C', "--chunks", OPTION_INTEGER, offsetof(struct options, chunks), "N",
     "stages per device; as few as the schedule allows by default"},
    {'i', "--in-flight", OPTION_INTEGER, offsetof(struct options, in_flight), "N",
     "schedule list: micro-batches that a device may hold; as many as devices by default"},
    {'W', "--times", OPTION_TEXT, offsetof(struct options, times), "F,I,W",
     "seconds of the passes on each device; 1,1,1 by default"},
    {'x', "--format", OPTION_TEXT, offsetof(struct options, format), "NAME",
     "text, csv, or transfers: csv with SEND and RECV"},
    {'y', "--compute", OPTION_TEXT, offsetof(struct options, compute), "HOW",
     "of a trace: recorded durations, or roofline: FLOPs and bytes on the topology's devices"},
    {'S', "--steps", OPTION_FLAG, offsetof(struct options, steps), NULL,
     "simulate every transfer as a flow of its own"},
};
enum { OPTIONS_COUNT = sizeof options_table / sizeof options_table[0] };

static const struct option *options_find(const char *allowed, const char *word, size_t length)
{
    const char *known[OPTIONS_COUNT];
    int count = 0;
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        if (!strchr(allowed, options_table[i].letter))
            continue;
        if (strlen(options_table[i].name) == length && strncmp(options_table[i].name, word, length) == 0)
            return &options_table[i];
        known[count++] = options_table[i].name;
    }
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    nearest_unknown("option", name, known, (size_t)count, stderr);
    return NULL;
}

static bool options_seconds(const char *name, const char *text, double *out)
{
    char *end;
    enum unit unit;
    double scale = 1, number = strtod(text, &end);
    while (*end == ' ')
        end++;
    size_t length = unit_parse(end, &unit, &scale);
    if (end == text || (number != 0 && (!length || unit != UNIT_SECONDS)) || end[length]) {
        fprintf(stderr, "error: %s: expected %s; got '%s'\n", name, unit_expected(UNIT_SECONDS), text);
        return false;
    }
    *out = number * scale;
    return true;
}

static bool options_integer(const char *name, const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || *end || errno || number < 1) {
        fprintf(stderr, "error: %s: expected a whole number from 1; got '%s'\n", name, text);
        return false;
    }
    *out = number;
    return true;
}

static bool options_share(const char *name, const char *text, double *out)
{
    char *end;
    double number = strtod(text, &end);
    bool percent = end != text && *end == '%' && !end[1];
    *out = percent ? number / 100 : number;
    if (end == text || (*end && !percent) || !(*out > 0 && *out < 1)) {
        fprintf(stderr, "error: %s: expected a share between 0 and 1, such as 1%% or 0.01; got '%s'\n", name,
                text);
        return false;
    }
    return true;
}

static bool options_store(struct options *options, const struct option *option, const char *text)
{
    void *target = (char *)options + option->offset;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)target = true;
        return true;
    case OPTION_TEXT:
    case OPTION_NAMES:
        *(const char **)target = text;
        return true;
    case OPTION_LIST:
        if (options->set_count == OPTIONS_MOST) {
            fprintf(stderr, "error: more than %d --set options\n", OPTIONS_MOST);
            return false;
        }
        options->sets[options->set_count++] = text;
        return true;
    case OPTION_INTEGER:
        return options_integer(option->name, text, target);
    case OPTION_SECONDS:
        return options_seconds(option->name, text, target);
    case OPTION_SHARE:
        return options_share(option->name, text, target);
    }
    return false;
}

bool options_read(struct options *options, const char *allowed, int count, char **words)
{
    memset(options, 0, sizeof *options);
    for (int i = 0; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            options->help = true;
            continue;
        }
        if (word[0] != '-' || !word[1]) {
            if (options->argument_count == 8) {
                fprintf(stderr, "error: too many arguments: '%s'\n", word);
                return false;
            }
            options->arguments[options->argument_count++] = word;
            continue;
        }
        size_t length = strcspn(word, "=");
        const struct option *option = options_find(allowed, word, length);
        if (!option)
            return false;
        const char *text = word[length] ? word + length + 1 : NULL;
        if (option->kind == OPTION_FLAG && text) {
            fprintf(stderr, "error: %s takes no value\n", option->name);
            return false;
        }
        bool names = option->kind == OPTION_NAMES;
        if (option->kind != OPTION_FLAG && !text && i + 1 < count && strncmp(words[i + 1], "--", 2) != 0 &&
            !(names && options->argument_count == 0))
            text = words[++i];
        if (names && !text)
            text = "";
        if (option->kind != OPTION_FLAG && !text) {
            fprintf(stderr, "error: %s needs a value: %s\n", option->name, option->value);
            return false;
        }
        if (!options_store(options, option, text))
            return false;
    }
    return true;
}

void options_help(const char *allowed, FILE *to)
{
    char name[64];
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        if (!strchr(allowed, options_table[i].letter))
            continue;
        snprintf(name, sizeof name, "%s%s%s", options_table[i].name, options_table[i].value ? " " : "",
                 options_table[i].value ? options_table[i].value : "");
        fprintf(to, "  %-22s %s\n", name, options_table[i].about);
    }
}
