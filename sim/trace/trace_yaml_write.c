#include "trace/trace_yaml.h"

#include "platform/array.h"
#include "platform/import.h"
#include "program/program.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct yaml_writer {
    const struct trace *trace;
    struct input *scratch;
    FILE *out;
    bool renumber; /* identities are too large for a number of YAML: places in the list instead */
};

/* In double quotes; names have no control characters. */
static void yaml_text(struct yaml_writer *w, const char *text)
{
    fputc('"', w->out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', w->out);
        fputc(*text, w->out);
    }
    fputc('"', w->out);
}

static void yaml_name(struct yaml_writer *w, const char *key, uint32_t name)
{
    if (!name)
        return;
    fprintf(w->out, ", %s: ", key);
    yaml_text(w, names_text(w->trace->names, name));
}

/* A plain number in the fewest digits that read back to the same. */
static void yaml_number(struct yaml_writer *w, const char *key, double number)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    fprintf(w->out, ", %s: %s", key, text);
}

static void yaml_seconds(struct yaml_writer *w, const char *key, double seconds)
{
    fprintf(w->out, ", %s: %s", key, seconds > 0 ? import_seconds(w->scratch, seconds) : "0 s");
}

static void yaml_bytes(struct yaml_writer *w, const char *key, double bytes)
{
    yaml_number(w, key, bytes);
    fputs(" B", w->out);
}

static void yaml_integer(struct yaml_writer *w, const char *key, int64_t number)
{
    fprintf(w->out, ", %s: %lld", key, (long long)number);
}

static const struct trace_yaml_word *yaml_word(const struct trace_node *node)
{
    const struct trace_yaml_word *nothing = &trace_yaml_words[TRACE_YAML_WORDS - 1];
    for (uint32_t i = 0; i < TRACE_YAML_WORDS; i++) {
        const struct trace_yaml_word *word = &trace_yaml_words[i];
        bool marks = word->host == node->host && word->fixed == (node->fixed && !node->host);
        bool kind = word->kind == node->kind || (word->kind == 7 && node->kind == 8);
        if (word->type == node->type &&
            (node->type == TRACE_COMPUTE ? marks : node->type != TRACE_COLLECTIVE || kind))
            return word;
    }
    return nothing;
}

static void yaml_waits(struct yaml_writer *w, const struct trace_rank *rank, const char *key, uint32_t first,
                       uint32_t count)
{
    if (!count)
        return;
    fprintf(w->out, ", %s: [", key);
    for (uint32_t i = first; i < first + count; i++)
        fprintf(w->out, "%s%llu", i > first ? ", " : "",
                w->renumber ? (unsigned long long)rank->dependencies.at[i]
                            : (unsigned long long)rank->ids.at[i]);
    fputc(']', w->out);
}

static void yaml_work(struct yaml_writer *w, const struct trace_node *node)
{
    if (!isnan(node->seconds))
        yaml_seconds(w, "takes", node->seconds);
    else if (node->duration > 0)
        yaml_seconds(w, "recorded", node->duration);
    if (node->start > 0)
        yaml_seconds(w, "starts", node->start);
    if (node->flops > 0)
        yaml_number(w, "flops", node->flops);
    if (!isnan(node->model_flops))
        yaml_number(w, "model-flops", node->model_flops);
    if (node->bytes > 0)
        yaml_bytes(w, "memory", node->bytes);
    if (node->allocates > 0)
        yaml_bytes(w, "allocates", node->allocates);
    if (node->frees > 0)
        yaml_bytes(w, "frees", node->frees);
}

static void yaml_communication(struct yaml_writer *w, const struct trace_rank *rank,
                               const struct trace_node *node)
{
    if (!isnan(node->size))
        yaml_bytes(w, "bytes", node->size);
    yaml_name(w, "group", node->pg);
    if (node->target >= 0)
        yaml_integer(w, "to", node->target);
    if (node->source >= 0)
        yaml_integer(w, "from", node->source);
    if (node->tag)
        yaml_integer(w, "tag", node->tag);
    for (uint32_t d = 0, first = 1; d < ARRAY_RANK && node->without >> d; d++)
        if (node->without >> d & 1) {
            fprintf(w->out, "%s%u", first ? ", without: [" : ", ", d);
            first = 0;
        }
    if (node->without & ((1u << ARRAY_RANK) - 1))
        fputc(']', w->out);
    if (node->rendezvous)
        fputs(", rendezvous: yes", w->out);
    for (uint32_t i = 0; i < node->share_count; i++)
        fprintf(w->out, ", %s%.17g", i ? "" : "shares: [", rank->shares.at[node->first_share + i]);
    if (node->share_count)
        fputc(']', w->out);
}

static void yaml_node(struct yaml_writer *w, const struct trace_rank *rank, uint32_t index)
{
    const struct trace_node *node = &rank->nodes.at[index];
    uint32_t data = node->dependency_count - node->control_count;
    fprintf(w->out, "        - {id: %llu, %s: ", w->renumber ? index : (unsigned long long)node->id,
            yaml_word(node)->word);
    yaml_text(w, names_text(w->trace->names, node->name));
    yaml_work(w, node);
    yaml_communication(w, rank, node);
    yaml_name(w, "stream", node->stream);
    yaml_name(w, "label", node->label);
    if (node->pass >= 0)
        fprintf(w->out, ", pass: \"%s\"", program_pass_names[node->pass]);
    if (node->micro_batch)
        yaml_integer(w, "micro-batch", node->micro_batch);
    if (node->step)
        yaml_integer(w, "step", node->step);
    yaml_waits(w, rank, "after", node->first_dependency, data);
    yaml_waits(w, rank, "order", node->first_dependency + data, node->control_count);
    fputs("}\n", w->out);
}

/* What two nodes must have in common to be written as one; indices of their waits and shares follow. */
#define MEMBER(name)                                                                                         \
    {                                                                                                        \
        offsetof(struct trace_node, name), sizeof(((struct trace_node *)0)->name)                            \
    }
static const struct {
    size_t offset, size;
} yaml_compared[] = {MEMBER(id),          MEMBER(name),         MEMBER(type),
                     MEMBER(start),       MEMBER(duration),     MEMBER(seconds),
                     MEMBER(flops),       MEMBER(bytes),        MEMBER(size),
                     MEMBER(kind),        MEMBER(source),       MEMBER(target),
                     MEMBER(tag),         MEMBER(pg),           MEMBER(host),
                     MEMBER(fixed),       MEMBER(stream),       MEMBER(label),
                     MEMBER(model_flops), MEMBER(allocates),    MEMBER(frees),
                     MEMBER(pass),        MEMBER(micro_batch),  MEMBER(step),
                     MEMBER(rendezvous),  MEMBER(share_count),  MEMBER(dependency_count),
                     MEMBER(without),     MEMBER(control_count)};
#undef MEMBER

static bool yaml_same(const struct trace_rank *a, const struct trace_rank *b)
{
    if (a->nodes.count != b->nodes.count || a->ids.count != b->ids.count || !a->device != !b->device ||
        a->shares.count != b->shares.count)
        return false;
    for (uint32_t i = 0; i < a->nodes.count; i++)
        for (size_t m = 0; m < sizeof yaml_compared / sizeof yaml_compared[0]; m++)
            if (memcmp((const char *)&a->nodes.at[i] + yaml_compared[m].offset,
                       (const char *)&b->nodes.at[i] + yaml_compared[m].offset, yaml_compared[m].size) != 0)
                return false;
    return (!a->ids.count || memcmp(a->ids.at, b->ids.at, a->ids.count * sizeof *a->ids.at) == 0) &&
           (!a->shares.count ||
            memcmp(a->shares.at, b->shares.at, a->shares.count * sizeof *a->shares.at) == 0);
}

/* The devices of ranks that do the same, in the order of the ranks; of one alone no list. */
static void yaml_devices(struct yaml_writer *w, uint32_t first, const uint32_t *same)
{
    uint32_t count = 0, at = 0;
    for (uint32_t r = first; r < w->trace->ranks.count; r++)
        count += same[r] == first;
    fputs(count > 1 ? "      device: [" : "      device: ", w->out);
    for (uint32_t r = first; r < w->trace->ranks.count; r++)
        if (same[r] == first) {
            fputs(at++ ? ", " : "", w->out);
            yaml_text(w, names_text(w->trace->names, w->trace->ranks.at[r].device));
        }
    fputs(count > 1 ? "]\n" : "\n", w->out);
}

static void yaml_rank(struct yaml_writer *w, uint32_t first, const uint32_t *same)
{
    const struct trace_rank *rank = &w->trace->ranks.at[first];
    const char *between = "[";
    fputs("    - of: ", w->out);
    for (uint32_t r = first; r < w->trace->ranks.count; r++)
        if (same[r] == first) {
            fprintf(w->out, "%s%u", between, w->trace->ranks.at[r].rank);
            between = ", ";
        }
    fputs("]\n", w->out);
    if (rank->device)
        yaml_devices(w, first, same);
    fputs(rank->nodes.count ? "      nodes:\n" : "      nodes: []\n", w->out);
    for (uint32_t i = 0; i < rank->nodes.count; i++)
        yaml_node(w, rank, i);
}

static void yaml_groups(struct yaml_writer *w)
{
    if (w->trace->groups.count)
        fputs("  groups:\n", w->out);
    for (uint32_t g = 0; g < w->trace->groups.count; g++) {
        const struct trace_group *group = &w->trace->groups.at[g];
        fputs("    ", w->out);
        yaml_text(w, names_text(w->trace->names, group->name));
        fputs(": [", w->out);
        for (uint32_t m = 0; m < group->members.count; m++)
            fprintf(w->out, "%s%u", m ? ", " : "", group->members.at[m]);
        fputs("]\n", w->out);
    }
}

static bool yaml_is_large(const struct trace *trace)
{
    const uint64_t most = UINT64_C(1) << 53; /* beyond, doubles are not all whole numbers */
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        for (uint32_t i = 0; i < trace->ranks.at[r].nodes.count; i++)
            if (trace->ranks.at[r].nodes.at[i].id >= most)
                return true;
    return false;
}

void trace_yaml_write(const struct trace *trace, struct input *scratch, FILE *out)
{
    struct yaml_writer w = {.trace = trace, .scratch = scratch, .out = out, .renumber = yaml_is_large(trace)};
    struct arena arena;
    arena_init(&arena);
    uint32_t *same = ARENA_ARRAY(&arena, uint32_t, trace->ranks.count + 1);
    yaml_groups(&w);
    fputs("  ranks:\n", out);
    for (uint32_t r = 0; r < trace->ranks.count; r++) {
        same[r] = r;
        for (uint32_t s = 0; s < r && same[r] == r; s++)
            if (same[s] == s && yaml_same(&trace->ranks.at[s], &trace->ranks.at[r]))
                same[r] = s;
    }
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        if (same[r] == r)
            yaml_rank(&w, r, same);
    arena_fini(&arena);
}
