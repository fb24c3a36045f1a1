/* Traffic: the step's transfers, the links that they crossed, and how many bytes each link carried in each of
 * SCHEMA_BINS equal parts of the window. A transfer's bytes are spread evenly over its time behind its
 * latency. Transfers are binned once per activity and then scaled to the activity's links, so the cost is
 * O(transfers + (activities + usages) · bins). Every link has its total; bins are kept for the TRAFFIC_LINKS
 * busiest, so that a machine of a hundred thousand links does not fill the disk. */
#include "record/rows.h"
#include "record/schema.h"

#include <stdlib.h>
#include <string.h>

enum { TRAFFIC_LINKS = 512 };

static const char *const traffic_modes[] = {
    [LINK_FULL_DUPLEX] = "full-duplex", [LINK_HALF_DUPLEX] = "half-duplex", [LINK_SHARED] = "shared"};

struct traffic {
    struct rows *rows;
    uint32_t *first_match; /* per group: where its matches begin in `kinds` */
    const char **kinds;    /* per communication: "message", "all-reduce" …; NULL: of another step */
    uint32_t *order;       /* the step's transfers by activity; first_transfer[a] .. first_transfer[a + 1] */
    uint32_t *first_transfer;
    double *link_bytes; /* per link */
    uint32_t *row;      /* per link: its row of bins, UINT32_MAX: none is kept */
    double *bins;       /* rows of SCHEMA_BINS */
};

struct busy_link {
    double bytes;
    uint32_t link;
};

/* Finds out which communications belong to the step, and what they are. */
static void traffic_kinds(struct traffic *traffic)
{
    const struct job *job = traffic->rows->job;
    struct arena *arena = traffic->rows->arena;
    uint32_t count = 0;
    traffic->first_match = ARENA_ARRAY(arena, uint32_t, job->group_count);
    for (uint32_t i = 0; i < job->group_count; i++) {
        traffic->first_match[i] = count;
        count += job->groups[i].match_count;
    }
    traffic->kinds = ARENA_ARRAY(arena, const char *, count);
    for (uint32_t i = 0; i < job->rank_count; i++) {
        const struct rank *rank = &job->ranks[i];
        const struct program *program = &job->programs[rank->program];
        for (uint32_t slot = 0; slot < program->op_count; slot++) {
            const struct op *op = &program->ops[slot];
            if (op->kind == OP_COMPUTE || !rows_recorded(traffic->rows, op))
                continue;
            uint32_t group = job->group_table[rank->first_group + op->group];
            traffic->kinds[traffic->first_match[group] + op->match] =
                op->kind == OP_COLLECTIVE ? communication_names[op->collective] : "message";
        }
    }
}

static const char *traffic_kind(const struct traffic *traffic, const struct engine_transfer *transfer)
{
    return traffic->kinds[traffic->first_match[transfer->group] + transfer->match];
}

static bool traffic_transfers(struct traffic *traffic)
{
    struct rows *rows = traffic->rows;
    const struct engine_result *result = rows->result;
    double begin = rows->metrics->window_start;
    sqlite3_stmt *statement = rows_insert(rows, "transfer", 10);
    bool ok = statement;
    for (uint32_t i = 0; ok && i < result->transfer_count; i++) {
        const struct engine_transfer *transfer = &result->transfers[i];
        const char *kind = traffic_kind(traffic, transfer);
        if (!kind)
            continue;
        int64_t label = rows_text(rows, transfer->label);
        ok = label &&
             rows_add(statement, "iuuutirrrr", rows->run, i, transfer->group, transfer->match, kind, label,
                      transfer->start - begin, transfer->end - begin, transfer->latency, transfer->bytes);
    }
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

/* Counting sort of the step's transfers by activity. */
static void traffic_order(struct traffic *traffic)
{
    const struct engine_result *result = traffic->rows->result;
    struct arena *arena = traffic->rows->arena;
    traffic->first_transfer = ARENA_ARRAY(arena, uint32_t, result->activity_count + 2);
    traffic->order = ARENA_ARRAY(arena, uint32_t, result->transfer_count);
    for (uint32_t i = 0; i < result->transfer_count; i++)
        if (traffic_kind(traffic, &result->transfers[i]))
            traffic->first_transfer[result->transfers[i].activity + 2]++;
    for (uint32_t i = 2; i < result->activity_count + 2; i++)
        traffic->first_transfer[i] += traffic->first_transfer[i - 1];
    for (uint32_t i = 0; i < result->transfer_count; i++)
        if (traffic_kind(traffic, &result->transfers[i]))
            traffic->order[traffic->first_transfer[result->transfers[i].activity + 1]++] = i;
}

static void traffic_link_bytes(struct traffic *traffic)
{
    const struct engine_result *result = traffic->rows->result;
    traffic->link_bytes =
        ARENA_ARRAY(traffic->rows->arena, double, traffic->rows->plan->platform->links.count);
    for (uint32_t i = 0; i < result->activity_count; i++) {
        const struct activity *activity = &result->activities[i];
        double bytes = 0;
        for (uint32_t j = traffic->first_transfer[i]; j < traffic->first_transfer[i + 1]; j++)
            bytes += result->transfers[traffic->order[j]].bytes * activity->bytes_factor;
        for (uint32_t j = 0; j < activity->usage.count; j++)
            traffic->link_bytes[activity->usage.at[j].link] += bytes * activity->usage.at[j].coefficient;
    }
}

static int busy_link_order(const void *left, const void *right)
{
    const struct busy_link *a = left, *b = right;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a->link < b->link ? -1 : a->link > b->link;
}

/* Gives a row of bins to each of the busiest links. */
static void traffic_rows(struct traffic *traffic)
{
    struct arena *arena = traffic->rows->arena;
    uint32_t links = traffic->rows->plan->platform->links.count, count = 0;
    struct busy_link *busy = ARENA_ARRAY(arena, struct busy_link, links);
    traffic->row = ARENA_ARRAY(arena, uint32_t, links);
    for (uint32_t i = 0; i < links; i++) {
        traffic->row[i] = UINT32_MAX;
        if (traffic->link_bytes[i] > 0)
            busy[count++] = (struct busy_link){traffic->link_bytes[i], i};
    }
    qsort(busy, count, sizeof *busy, busy_link_order);
    if (count > TRAFFIC_LINKS)
        count = TRAFFIC_LINKS;
    for (uint32_t i = 0; i < count; i++)
        traffic->row[busy[i].link] = i;
    traffic->bins = ARENA_ARRAY(arena, double, (size_t)count *SCHEMA_BINS);
}

/* Spreads bytes evenly over [from, to], both in bins; what rounding leaves over goes to the last one. */
static void traffic_spread(double *bins, double bytes, double from, double to)
{
    int first = from <= 0 ? 0 : from >= SCHEMA_BINS ? SCHEMA_BINS - 1 : (int)from;
    double rate = to > from ? bytes / (to - from) : 0, left = bytes;
    for (; first < SCHEMA_BINS - 1 && first + 1 < to; first++) {
        double part = rate * (first + 1 - (from > first ? from : first));
        bins[first] += part;
        left -= part;
    }
    bins[first] += left;
}

static void traffic_bins(struct traffic *traffic)
{
    const struct engine_result *result = traffic->rows->result;
    const struct metrics *metrics = traffic->rows->metrics;
    double scale = metrics->window > 0 ? SCHEMA_BINS / metrics->window : 0;
    for (uint32_t i = 0; i < result->activity_count; i++) {
        const struct activity *activity = &result->activities[i];
        double bins[SCHEMA_BINS] = {0};
        for (uint32_t j = traffic->first_transfer[i]; j < traffic->first_transfer[i + 1]; j++) {
            const struct engine_transfer *transfer = &result->transfers[traffic->order[j]];
            double from = transfer->start + transfer->latency;
            if (from >= transfer->end)
                from = transfer->start;
            traffic_spread(bins, transfer->bytes * activity->bytes_factor,
                           (from - metrics->window_start) * scale,
                           (transfer->end - metrics->window_start) * scale);
        }
        for (uint32_t j = 0; j < activity->usage.count; j++) {
            uint32_t row = traffic->row[activity->usage.at[j].link];
            for (size_t bin = 0; row != UINT32_MAX && bin < SCHEMA_BINS; bin++)
                traffic->bins[(size_t)row * SCHEMA_BINS + bin] +=
                    bins[bin] * activity->usage.at[j].coefficient;
        }
    }
}

static bool traffic_links(struct traffic *traffic)
{
    struct rows *rows = traffic->rows;
    const struct platform *platform = rows->plan->platform;
    sqlite3_stmt *links = rows_insert(rows, "link", 8), *use = rows_insert(rows, "link_use", 4);
    bool ok = links && use;
    for (uint32_t i = 0; ok && i < platform->links.count; i++) {
        const struct link *link = &platform->links.at[i];
        if (traffic->link_bytes[i] <= 0)
            continue;
        ok = rows_add(links, "iutttrrr", rows->run, i, rows_name(rows, link->name),
                      rows_name(rows, link->group), traffic_modes[link->mode], link->bandwidth, link->latency,
                      traffic->link_bytes[i]);
        for (uint32_t bin = 0; ok && traffic->row[i] != UINT32_MAX && bin < SCHEMA_BINS; bin++) {
            double bytes = traffic->bins[(size_t)traffic->row[i] * SCHEMA_BINS + bin];
            if (bytes > 0)
                ok = rows_add(use, "iuur", rows->run, i, bin, bytes);
        }
    }
    bool closed = sqlite3_finalize(use) == SQLITE_OK;
    return sqlite3_finalize(links) == SQLITE_OK && closed && ok;
}

static bool traffic_write(struct rows *rows)
{
    struct traffic traffic = {.rows = rows};
    traffic_kinds(&traffic);
    traffic_order(&traffic);
    traffic_link_bytes(&traffic);
    traffic_rows(&traffic);
    traffic_bins(&traffic);
    return traffic_transfers(&traffic) && traffic_links(&traffic);
}

const struct rows_writer rows_traffic = {.name = "transfer", .write = traffic_write};
