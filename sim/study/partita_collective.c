/* Collective: one collective of many sizes alone on a topology, as nccl-tests measure it. The job has one
 * program for all ranks with one operation per size, one after the other, so an algorithm is one run of the
 * engine. Sizes are as in nccl-tests: of the whole buffer (all-gather: the gathered one; all-to-all: what one
 * member holds). */
#include "partita.h"

#include "base/nearest.h"

#include "base/unit.h"
#include "engine/engine.h"
#include "figure/gnuplot.h"
#include "figure/palette.h"
#include "input/document.h"
#include "platform/protocol.h"
#include "platform/topology.h"
#include "study/bare_topology.h"
#include "study/explain.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECTIVE_SIZES = 64, COLLECTIVE_WIDTH = 1400, COLLECTIVE_HEIGHT = 800 };

/* What one algorithm makes of all sizes. */
struct collective_line {
    const struct algorithm *asked;
    double seconds[COLLECTIVE_SIZES];
    const char *carrier[COLLECTIVE_SIZES];  /* who did it */
    const char *protocol[COLLECTIVE_SIZES]; /* and how; "-": on the bare wire */
    bool protocols;                         /* whether any of them has one */
};

struct collective {
    const struct partita_collective_options *options;
    struct input input;
    struct names names;
    struct arena arena;
    struct platform platform;
    int kind;
    uint32_t ranks, size_count;
    double sizes[COLLECTIVE_SIZES], chunk;
    VECTOR(const struct algorithm *) asked;
    VECTOR(struct collective_line) lines;
    bool all; /* leave out what does not apply */
};

/* "64MB", "64 MB"; NULL after the last character read. */
static bool collective_bytes(const char *text, size_t length, double *out)
{
    char *end;
    enum unit unit;
    double scale, number = strtod(text, &end);
    if (end == text)
        return false;
    while (*end == ' ')
        end++;
    size_t symbol = unit_parse(end, &unit, &scale);
    *out = number * scale;
    return symbol && unit == UNIT_BYTES && end + symbol == text + length && *out >= 1 && *out <= 1e15;
}

static bool collective_sizes(struct collective *c, FILE *err)
{
    const char *text = c->options->size ? c->options->size : "1KB..1GB", *dots = strstr(text, "..");
    double low, high;
    bool good = collective_bytes(text, dots ? (size_t)(dots - text) : strlen(text), &low);
    high = low;
    if (good && dots)
        good = collective_bytes(dots + 2, strlen(dots + 2), &high) && high >= low;
    if (good && c->options->chunk)
        good = collective_bytes(c->options->chunk, strlen(text = c->options->chunk), &c->chunk);
    if (!good) {
        fprintf(err, "error: '%s': expected a size with its unit such as 64MB, or for --size 1MB..1GB\n",
                text);
        return false;
    }
    for (double size = low; size <= high && c->size_count < COLLECTIVE_SIZES; size *= 2)
        c->sizes[c->size_count++] = size;
    return true;
}

static bool collective_topology(struct collective *c, FILE *err)
{
    struct input *input = &c->input;
    if (!c->options->topology) {
        fprintf(err, "error: say --topology; see `partita list topologies`\n");
        return false;
    }
    bool good = bare_topology_read(input, c->options->topology, c->options->sets, c->options->set_count,
                                   &c->platform);
    report_print(&input->report, err);
    if (!good)
        return false;
    uint32_t devices = platform_workers(&c->platform);
    c->ranks = c->options->ranks ? (uint32_t)fmin((double)c->options->ranks, UINT32_MAX) : devices;
    if (c->ranks > devices || !devices)
        fprintf(err, "error: --ranks %u: the topology has %u devices\n", c->ranks, devices);
    return c->ranks <= devices && devices;
}

static bool collective_kind(struct collective *c, FILE *err)
{
    for (c->kind = 0; c->kind < COLLECTIVE_KIND_COUNT; c->kind++)
        if (strcmp(communication_names[c->kind], c->options->kind) == 0)
            return true;
    nearest_unknown("collective", c->options->kind, communication_names, COLLECTIVE_KIND_COUNT, err);
    return false;
}

static bool collective_ask(struct collective *c, const char *name, FILE *err)
{
    const char *problem;
    const struct algorithm *algorithm = collective_parse(name, &c->arena, &problem);
    if (!algorithm)
        fprintf(err, "error: %s\n", problem);
    else if (!(algorithm->kinds >> c->kind & 1))
        fprintf(err, "error: '%s' cannot do %s\n", name, communication_names[c->kind]);
    else
        VECTOR_PUSH(&c->asked, algorithm);
    return algorithm && algorithm->kinds >> c->kind & 1;
}

static bool collective_algorithm_list(struct collective *c, FILE *err)
{
    char *text = arena_text(&c->arena, c->options->algorithms ? c->options->algorithms : "auto");
    c->all = strcmp(text, "all") == 0;
    for (uint32_t i = 0; c->all && collective_algorithms[i]; i++)
        if (collective_algorithms[i]->kinds >> c->kind & 1)
            VECTOR_PUSH(&c->asked, collective_algorithms[i]);
    bool good = true;
    for (char *next = text; next && good && !c->all; text = next) {
        next = strchr(text, ',');
        if (next)
            *next++ = '\0';
        good = collective_ask(c, text, err);
    }
    return good;
}

/* Every rank does the collective in all sizes, one after the other. */
static void collective_job(struct collective *c, struct job *job)
{
    struct arena *arena = &c->arena;
    *job = (struct job){.names = &c->names,
                        .rank_count = c->ranks,
                        .member_count = c->ranks,
                        .program_count = 1,
                        .group_count = 1,
                        .group_table_count = 1,
                        .steps = 1};
    arena_init(&job->arena);
    job->programs = ARENA_NEW(arena, struct program);
    job->programs->stream_count = 1;
    job->programs->streams = ARENA_NEW(arena, struct program_stream);
    job->programs->op_count = c->size_count;
    job->programs->ops = ARENA_ARRAY(arena, struct op, c->size_count);
    for (uint32_t i = 0; i < c->size_count; i++)
        job->programs->ops[i] = (struct op){
            .kind = OP_COLLECTIVE, .collective = (uint8_t)c->kind, .match = i, .bytes = c->sizes[i]};
    job->ranks = ARENA_ARRAY(arena, struct rank, c->ranks);
    job->members = ARENA_ARRAY(arena, uint32_t, c->ranks);
    struct index_list devices = {0};
    platform_list_workers(&c->platform, &devices);
    for (uint32_t r = 0; r < c->ranks; r++) {
        job->ranks[r].device = devices.at[r];
        job->members[r] = r;
    }
    VECTOR_FREE(&devices);
    job->groups = ARENA_NEW(arena, struct group);
    *job->groups = (struct group){
        .name = names_add(&c->names, "ranks"), .member_count = c->ranks, .match_count = c->size_count};
    job->group_table = ARENA_ARRAY(arena, uint32_t, 1);
}

/* Runs one algorithm. False when it failed; what does not apply is left out with a note. */
static bool collective_run(struct collective *c, const struct algorithm *algorithm, FILE *err)
{
    struct job job;
    struct engine_result result;
    const char *error;
    struct collective_line line = {.asked = algorithm};
    struct engine_options options = {
        .algorithm = algorithm, .chunk = c->chunk, .level = c->options->steps ? ENGINE_STEPS : ENGINE_FLUID};
    collective_job(c, &job);
    bool done = engine_run(&c->platform, &job, &options, &result, &error);
    bool other = false;
    for (uint32_t t = 0; done && t < result.transfer_count; t++) {
        const struct engine_transfer *transfer = &result.transfers[t];
        const struct activity *activity = &result.activities[transfer->activity];
        const struct algorithm *carrier = activity->algorithm;
        line.seconds[transfer->match] = transfer->end - transfer->start;
        line.carrier[transfer->match] = carrier->name;
        line.protocol[transfer->match] = "-";
        if (activity->protocol != PROTOCOL_NONE)
            line.protocol[transfer->match] = names_text(&c->names, activity->protocol);
        line.protocols |= activity->protocol != PROTOCOL_NONE;
        other |= algorithm != &collective_automatic && carrier != algorithm;
    }
    if (done && !other)
        VECTOR_PUSH(&c->lines, line);
    else if (!done)
        fprintf(err, "%s: %s\n", c->all ? "left out" : "error", error);
    else
        fprintf(err, "left out: '%s': the topology has no such structure\n", algorithm->name);
    if (done)
        engine_result_fini(&result);
    arena_fini(&job.arena);
    return done || c->all;
}

/* GB/s that the payload passes at, and that the busiest port must have carried (as nccl-tests define it). */
static double collective_rate(const struct collective *c, double bytes, double seconds, bool bus)
{
    double factor = c->kind == BARRIER ? 0 : bus ? collective_factor(c->kind, c->ranks) : 1;
    return seconds > 0 ? factor * bytes / seconds / 1e9 : 0;
}

static void collective_print_line(const struct collective *c, const struct collective_line *line, FILE *out)
{
    bool chosen = line->asked == &collective_automatic;
    fprintf(out, "# %s, %u ranks of %s, algorithm %s\n#%15s %14s %10s %10s%s%s\n#%15s %14s %10s %10s\n",
            communication_names[c->kind], c->ranks, names_text(&c->names, c->platform.name),
            line->asked->name, "size", "time", "algbw", "busbw", chosen ? "  algorithm" : "",
            line->protocols ? "  protocol" : "", "(B)", "(us)", "(GB/s)", "(GB/s)");
    for (uint32_t i = 0; i < c->size_count; i++)
        fprintf(out, "%16.0f %14.2f %10.2f %10.2f%s%s%s%s\n", c->sizes[i], 1e6 * line->seconds[i],
                collective_rate(c, c->sizes[i], line->seconds[i], false),
                collective_rate(c, c->sizes[i], line->seconds[i], true), chosen ? "  " : "",
                chosen ? line->carrier[i] : "", line->protocols ? "  " : "",
                line->protocols ? line->protocol[i] : "");
}

static void collective_print(const struct collective *c, FILE *out)
{
    for (uint32_t l = 0; l < c->lines.count; l++) {
        fputs(l ? "\n" : "", out);
        collective_print_line(c, &c->lines.at[l], out);
    }
}

static void collective_json(const struct collective *c, FILE *out)
{
    json_t *results = json_array();
    for (uint32_t l = 0; l < c->lines.count; l++) {
        const struct collective_line *line = &c->lines.at[l];
        for (uint32_t i = 0; i < c->size_count; i++)
            json_array_append_new(
                results,
                json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f}", "asked", line->asked->name, "algorithm",
                          line->carrier[i], "protocol", line->protocol[i], "size_bytes", c->sizes[i],
                          "time_s", line->seconds[i], "algorithm_bytes_per_s",
                          1e9 * collective_rate(c, c->sizes[i], line->seconds[i], false), "bus_bytes_per_s",
                          1e9 * collective_rate(c, c->sizes[i], line->seconds[i], true)));
    }
    json_t *root = json_pack("{s:s, s:s, s:i, s:s, s:o}", "collective", communication_names[c->kind],
                             "topology", names_text(&c->names, c->platform.name), "ranks", (int)c->ranks,
                             "level", c->options->steps ? "steps" : "fluid", "results", results);
    json_dumpf(root, out, JSON_INDENT(1));
    fputc('\n', out);
    json_decref(root);
}

static bool collective_plot(struct collective *c, const char **error)
{
    struct gnuplot plot;
    double largest = 0;
    if (!gnuplot_open(&plot, c->options->output, COLLECTIVE_WIDTH, COLLECTIVE_HEIGHT, &c->arena, error))
        return false;
    gnuplot_text(&plot, "heading",
                 arena_format(&c->arena, "%s of %u devices: %s", communication_names[c->kind], c->ranks,
                              names_text(&c->names, c->platform.name)));
    FILE *data = gnuplot_data(&plot, "rates");
    const char **labels = ARENA_ARRAY(&c->arena, const char *, c->lines.count + 1);
    gnuplot_command(&plot, "array colours[%u]", c->lines.count + 1);
    for (uint32_t l = 0; l < c->lines.count; l++) {
        labels[l] = c->lines.at[l].asked->name;
        gnuplot_command(&plot, "colours[%u] = %u", l + 1, palette_line(l, c->lines.count));
        for (uint32_t i = 0; data && i < c->size_count; i++) {
            double rate = collective_rate(c, c->sizes[i], c->lines.at[l].seconds[i], true);
            largest = fmax(largest, rate);
            fprintf(data, "%.9g %.9g\n", c->sizes[i], rate);
        }
        if (data)
            fprintf(data, "\n\n");
    }
    gnuplot_texts(&plot, "labels", labels, c->lines.count);
    gnuplot_number(&plot, "line_count", c->lines.count);
    gnuplot_number(&plot, "low", c->sizes[0] / (c->size_count > 1 ? 1 : 2));
    gnuplot_number(&plot, "high", c->sizes[c->size_count - 1] * (c->size_count > 1 ? 1 : 2));
    gnuplot_number(&plot, "largest", largest > 0 ? largest : 1);
    return gnuplot_run(&plot, arena_format(&c->arena, "%s/plot/busbw.gp", partita_data_folder()), error);
}

static enum partita_status collective_do(struct collective *c, FILE *out, FILE *err)
{
    const char *error = NULL;
    if (!collective_kind(c, err) || !collective_sizes(c, err) || !collective_algorithm_list(c, err) ||
        !collective_topology(c, err))
        return PARTITA_BAD_INPUT;
    for (uint32_t i = 0; i < c->asked.count; i++)
        if (!collective_run(c, c->asked.at[i], err))
            return PARTITA_FAILED;
    if (c->options->json)
        collective_json(c, out);
    else
        collective_print(c, out);
    if (!c->options->output || collective_plot(c, &error))
        return PARTITA_OK;
    fprintf(err, "error: %s\n", error);
    return PARTITA_FAILED;
}

enum partita_status partita_collective(const struct partita_collective_options *options, FILE *out, FILE *err)
{
    struct collective c = {.options = options};
    input_init(&c.input, partita_data_folder());
    names_init(&c.names);
    arena_init(&c.arena);
    platform_init(&c.platform, &c.names);
    enum partita_status status = collective_do(&c, out, err);
    VECTOR_FREE(&c.asked);
    VECTOR_FREE(&c.lines);
    platform_fini(&c.platform);
    arena_fini(&c.arena);
    names_fini(&c.names);
    input_fini(&c.input);
    return status;
}
