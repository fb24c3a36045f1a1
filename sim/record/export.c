/* Export: text forms of a run, written row by row, so that memory does not grow with the run. */
#include "record/export.h"

#include "record/reader.h"

#include <errno.h>
#include <string.h>

struct export_context {
    struct reader *reader;
    int64_t run;
    FILE *to;
    const char **error;
};

/* One table of the canonical form: texts in place of identities, in the order of the key. No wall-clock time,
 * version, path or number that depends on what else the database holds. */
struct export_table {
    const char *name, *sql;
};
static const struct export_table export_tables[] = {
    {"run",
     "SELECT name, status, reason, seed, input, model, phase, schedule, precision, optimizer, recompute,"
     " global_batch, micro_batch, micro_batches, steps, ranks, fits, window, bins FROM run WHERE id = ?1"},
    {"metric", "SELECT name, scope, value, unit FROM metric WHERE run = ?1 ORDER BY name, scope"},
    {"device", "SELECT id, name, type, kind, memory, peak, speed FROM device WHERE run = ?1 ORDER BY id"},
    {"stage", "SELECT id, first_unit, last_unit, units, ranks, first_rank, axes, fullest_rank, capacity"
              " FROM stage WHERE run = ?1 ORDER BY id"},
    {"stage_memory",
     "SELECT stage, category, bytes FROM stage_memory WHERE run = ?1 ORDER BY stage, category"},
    {"rank",
     "SELECT id, device, stage, program, first_start, last_end, compute, exposed, bubble, idle, flops,"
     " energy, bytes_sent FROM rank WHERE run = ?1 ORDER BY id"},
    {"rank_exposed",
     "SELECT rank, group_name, seconds, bytes FROM rank_exposed WHERE run = ?1 ORDER BY rank, group_name"},
    {"stream", "SELECT rank, id, name, compute FROM stream WHERE run = ?1 ORDER BY rank, id"},
    {"communication_group", "SELECT id, name, members FROM communication_group WHERE run = ?1 ORDER BY id"},
    {"member", "SELECT group_id, position, rank FROM member WHERE run = ?1 ORDER BY group_id, position"},
    {"operation",
     "SELECT o.rank, o.slot, o.stream, k.name AS kind, p.name AS pass, t.text AS label, o.micro_batch,"
     " o.group_id, o.match, o.ready, o.start, o.end, o.flops, o.bytes, c.name AS cause, o.cause_rank,"
     " o.cause_slot FROM operation o CROSS JOIN kind k ON k.id = o.kind CROSS JOIN pass p ON p.id = o.pass"
     " CROSS JOIN text t ON t.id = o.label CROSS JOIN cause c ON c.id = o.cause WHERE o.run = ?1"
     " ORDER BY o.rank, o.slot"},
    {"transfer",
     "SELECT x.id, x.group_id, x.match, x.kind, t.text AS label, x.start, x.end, x.latency, x.bytes"
     " FROM transfer x CROSS JOIN text t ON t.id = x.label WHERE x.run = ?1 ORDER BY x.id"},
    {"link",
     "SELECT id, name, group_name, mode, bandwidth, latency, bytes FROM link WHERE run = ?1 ORDER BY id"},
    {"link_use", "SELECT link, bin, bytes FROM link_use WHERE run = ?1 ORDER BY link, bin"},
    {"memory", "SELECT rank, time, bytes FROM memory WHERE run = ?1 ORDER BY rank, time"},
    {"critical_path",
     "SELECT c.seq, c.rank, c.slot, t.text AS label, c.kind, c.group_name, c.start, c.seconds"
     " FROM critical_path c CROSS JOIN text t ON t.id = c.label WHERE c.run = ?1 ORDER BY c.seq"},
};

/* A CSV field (RFC 4180): quoted where it has to be. */
static void export_field(FILE *to, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, to);
        return;
    }
    putc('"', to);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', to);
        putc(*text, to);
    }
    putc('"', to);
}

/* The query's rows as CSV; doubles with the 17 digits that give them back exactly. */
static bool export_rows(struct export_context *context, const char *sql)
{
    struct reader_rows rows = reader_query(context->reader, sql, context->run, 0);
    for (int i = 0; i < rows.columns; i++)
        fprintf(context->to, "%s%s", i ? "," : "", reader_column(&rows, i));
    putc('\n', context->to);
    while (reader_next(&rows)) {
        for (int i = 0; i < rows.columns; i++) {
            if (i)
                putc(',', context->to);
            enum reader_type type = reader_type(&rows, i);
            if (type == READER_REAL)
                fprintf(context->to, "%.17g", reader_real(&rows, i));
            else if (type != READER_NULL)
                export_field(context->to, reader_text(&rows, i));
        }
        putc('\n', context->to);
    }
    return reader_done(&rows, context->error);
}

static bool export_canonical(struct export_context *context)
{
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof export_tables / sizeof export_tables[0]; i++) {
        fprintf(context->to, "%s# %s\n", i ? "\n" : "", export_tables[i].name);
        ok = export_rows(context, export_tables[i].sql);
    }
    return ok;
}

static bool export_csv(struct export_context *context)
{
    return export_rows(context, "SELECT rank, device, stage, stream, slot, kind, pass, label, micro_batch,"
                                " group_name, ready, start, end, seconds, flops, bytes, cause, cause_rank,"
                                " cause_slot FROM timeline WHERE run = ?1 ORDER BY rank, slot");
}

/* A JSON string. */
static void export_string(FILE *to, const char *text)
{
    putc('"', to);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(to, "\\%c", c);
        else if (c < 0x20)
            fprintf(to, "\\u%04x", c);
        else
            putc(c, to);
    }
    putc('"', to);
}

/* Names of processes (ranks) and threads (streams); those of compute streams sort first. */
static bool export_chrome_names(struct export_context *context)
{
    FILE *to = context->to;
    struct reader_rows rows = reader_query(
        context->reader,
        "SELECT r.id, d.name, r.stage FROM rank r CROSS JOIN device d ON d.run = r.run AND d.id = r.device"
        " WHERE r.run = ?1 ORDER BY r.id",
        context->run, 0);
    const char *separator = "\n";
    for (; reader_next(&rows); separator = ",\n") {
        const long long rank = (long long)reader_int(&rows, 0);
        fprintf(to, "%s{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%lld,\"args\":{\"name\":", separator,
                rank);
        export_string(to, reader_text(&rows, 1));
        fprintf(
            to,
            "}},\n{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%lld,\"args\":{\"sort_index\":%lld}}",
            rank, rank);
        if (reader_type(&rows, 2) != READER_NULL)
            fprintf(to,
                    ",\n{\"ph\":\"M\",\"name\":\"process_labels\",\"pid\":%lld,\"args\":{\"labels\":\"stage "
                    "%lld\"}}",
                    rank, (long long)reader_int(&rows, 2));
    }
    if (!reader_done(&rows, context->error))
        return false;
    rows = reader_query(context->reader,
                        "SELECT rank, id, name, compute FROM stream WHERE run = ?1 ORDER BY rank, id",
                        context->run, 0);
    for (; reader_next(&rows); separator = ",\n") {
        const long long rank = (long long)reader_int(&rows, 0), stream = (long long)reader_int(&rows, 1);
        fprintf(to, "%s{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%lld,\"tid\":%lld,\"args\":{\"name\":",
                separator, rank, stream);
        export_string(to, reader_text(&rows, 2));
        fprintf(to,
                "}},\n{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%lld,\"tid\":%lld,"
                "\"args\":{\"sort_index\":%lld}}",
                rank, stream, stream + (reader_int(&rows, 3) ? 0 : 1000));
    }
    return reader_done(&rows, context->error);
}

enum { CHROME_START = 8, CHROME_SECONDS, CHROME_FLOPS, CHROME_BYTES };

/* One complete event, with an arrow from send to receive. Times are microseconds. */
static void export_chrome_event(FILE *to, const struct reader_rows *rows)
{
    const long long rank = (long long)reader_int(rows, 0), stream = (long long)reader_int(rows, 1);
    const char *kind = reader_text(rows, 2), *pass = reader_text(rows, 3);
    double start = reader_real(rows, CHROME_START) * 1e6, seconds = reader_real(rows, CHROME_SECONDS) * 1e6;
    fprintf(to, ",\n{\"ph\":\"X\",\"pid\":%lld,\"tid\":%lld,\"ts\":%.6f,\"dur\":%.6f,\"cat\":", rank, stream,
            start, seconds);
    export_string(to, strcmp(kind, "compute") == 0 ? pass : kind);
    fputs(",\"name\":", to);
    export_string(to, reader_text(rows, 4));
    fprintf(to, ",\"args\":{\"pass\":\"%s\",\"micro_batch\":%lld", pass, (long long)reader_int(rows, 5));
    if (reader_type(rows, CHROME_FLOPS) != READER_NULL)
        fprintf(to, ",\"flops\":%.17g", reader_real(rows, CHROME_FLOPS));
    fprintf(to, ",\"bytes\":%.17g}}", reader_real(rows, CHROME_BYTES));
    bool send = strcmp(kind, "send") == 0;
    if (send || strcmp(kind, "receive") == 0)
        fprintf(
            to,
            ",\n{\"ph\":\"%s\",\"pid\":%lld,\"tid\":%lld,\"ts\":%.6f,\"id\":\"%s.%s\",\"cat\":\"message\","
            "\"name\":\"message\"%s}",
            send ? "s" : "f", rank, stream, send ? start : start + seconds, reader_text(rows, 6),
            reader_text(rows, 7), send ? "" : ",\"bp\":\"e\"");
}

static bool export_chrome(struct export_context *context)
{
    fputs("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"run\":", context->to);
    export_string(context->to,
                  reader_string(context->reader, "SELECT name FROM run WHERE id = ?1", context->run, ""));
    fputs("},\"traceEvents\":[", context->to);
    if (!export_chrome_names(context))
        return false;
    struct reader_rows rows = reader_query(
        context->reader,
        "SELECT o.rank, o.stream, k.name, p.name, t.text, o.micro_batch, o.group_id, o.match, o.start,"
        " o.end - o.start, o.flops, o.bytes FROM operation o CROSS JOIN kind k ON k.id = o.kind"
        " CROSS JOIN pass p ON p.id = o.pass CROSS JOIN text t ON t.id = o.label WHERE o.run = ?1"
        " ORDER BY o.rank, o.slot",
        context->run, 0);
    while (reader_next(&rows))
        export_chrome_event(context->to, &rows);
    fputs("\n]}\n", context->to);
    return reader_done(&rows, context->error);
}

/* Opens, finds the run, writes, and checks that everything reached the file. */
static bool export_with(bool (*write)(struct export_context *), const char *database, int64_t run, FILE *to,
                        struct arena *arena, const char **error)
{
    struct export_context context = {.to = to, .error = error};
    context.reader = reader_open(database, arena, error);
    if (!context.reader)
        return false;
    context.run = reader_run(context.reader, run, error);
    bool ok = context.run && write(&context);
    errno = 0;
    if (ok && (fflush(to) != 0 || ferror(to))) {
        *error = arena_format(arena, "cannot write the export: %s", errno ? strerror(errno) : "output error");
        ok = false;
    }
    reader_close(context.reader);
    return ok;
}

static bool export_write_canonical(const char *database, int64_t run, FILE *to, struct arena *arena,
                                   const char **error)
{
    return export_with(export_canonical, database, run, to, arena, error);
}

static bool export_write_chrome(const char *database, int64_t run, FILE *to, struct arena *arena,
                                const char **error)
{
    return export_with(export_chrome, database, run, to, arena, error);
}

static bool export_write_csv(const char *database, int64_t run, FILE *to, struct arena *arena,
                             const char **error)
{
    return export_with(export_csv, database, run, to, arena, error);
}

static const struct export_format export_as_canonical = {
    .name = "canonical",
    .about =
        "every table in a fixed order, without wall-clock times, versions and paths: equal runs, equal bytes",
    .write = export_write_canonical};
static const struct export_format export_as_chrome = {
    .name = "chrome", .about = "a trace for Perfetto or chrome://tracing", .write = export_write_chrome};
static const struct export_format export_as_csv = {
    .name = "csv", .about = "the timeline, one line per operation", .write = export_write_csv};

const struct export_format *const export_formats[] = {&export_as_canonical, &export_as_chrome, &export_as_csv,
                                                      NULL};
