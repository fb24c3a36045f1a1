/* Recorder: a run's life in the database. Two transactions: one adds the run's row as 'running', one writes
 * everything and makes it 'finished'. A rollback journal with synchronous = OFF survives the death of the
 * process at any moment (the system still has the pages); only a crash of the machine could damage the file,
 * and waiting for the disk would cost more than the simulation. */
#include "record/recorder.h"

#include "plan/optimizer.h"
#include "plan/recompute.h"
#include "plan/schedule.h"
#include "record/rows.h"
#include "record/schema.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>

enum { RECORDER_WAIT = 60000 }; /* milliseconds to wait for another writer */

struct recorder {
    sqlite3 *db;
    struct arena *arena; /* the caller's */
    const char *path;
    const struct account *account; /* not owned; NULL: there is none */
    int64_t run;
};

static bool recorder_sql(const struct recorder *recorder, const char *sql)
{
    return sqlite3_exec(recorder->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Why a file could not be opened, in the user's words. */
static const char *recorder_open_error(const struct recorder *recorder)
{
    struct stat about;
    const char *folder = dirname(arena_text(recorder->arena, recorder->path));
    if (stat(folder, &about) != 0)
        return arena_format(recorder->arena, "%s: cannot open it: the folder '%s' does not exist",
                            recorder->path, folder);
    if (!S_ISDIR(about.st_mode))
        return arena_format(recorder->arena, "%s: cannot open it: '%s' is not a folder", recorder->path,
                            folder);
    if (stat(recorder->path, &about) == 0 && S_ISDIR(about.st_mode))
        return arena_format(recorder->arena, "%s: cannot open it: it is a folder", recorder->path);
    return schema_error(recorder->db, recorder->path, "open it", recorder->arena);
}

static bool recorder_add_run(struct recorder *recorder, const struct recorder_run *run)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(recorder->db,
                       "INSERT INTO run (name, workload, topology, input, version, seed, status, started)"
                       " VALUES (?, ?, ?, ?, ?, ?, 'running', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                       -1, &statement, NULL);
    bool ok = statement && rows_add(statement, "ttttti", run->name ? run->name : "", run->workload,
                                    run->topology, run->input, run->version, (int64_t)run->seed);
    recorder->run = sqlite3_last_insert_rowid(recorder->db);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

/* Schema and run row in one transaction. The page size only counts for a new file. */
static bool recorder_begin(struct recorder *recorder, const struct recorder_run *run, const char **error)
{
    static const char settings[] = "PRAGMA page_size = 8192; PRAGMA synchronous = OFF;"
                                   "PRAGMA cache_size = -131072; PRAGMA temp_store = MEMORY;";
    sqlite3_busy_timeout(recorder->db, RECORDER_WAIT);
    if (!recorder_sql(recorder, settings) || !recorder_sql(recorder, "BEGIN IMMEDIATE")) {
        *error = schema_error(recorder->db, recorder->path, "write to it", recorder->arena);
        return false;
    }
    if (!schema_open(recorder->db, recorder->path, true, recorder->arena, error))
        return false;
    if (recorder_add_run(recorder, run) && recorder_sql(recorder, "COMMIT"))
        return true;
    *error = schema_error(recorder->db, recorder->path, "add a run", recorder->arena);
    return false;
}

struct recorder *recorder_open(const char *path, const struct recorder_run *run, struct arena *arena,
                               const char **error)
{
    struct recorder *recorder = ARENA_NEW(arena, struct recorder);
    *recorder = (struct recorder){.arena = arena, .path = arena_text(arena, path)};
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX; /* one thread at a time */
    bool ok = sqlite3_open_v2(path, &recorder->db, flags, NULL) == SQLITE_OK;
    if (!ok)
        *error = recorder_open_error(recorder);
    if (ok && recorder_begin(recorder, run, error))
        return recorder;
    sqlite3_close(recorder->db); /* rolls back */
    return NULL;
}

/* What is known of the run once it has been planned. */
static bool recorder_describe(const struct recorder *recorder, const struct rows *rows, double wall_seconds)
{
    const struct plan *plan = rows->plan;
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(
        recorder->db,
        "UPDATE run SET status = 'finished', wall = ?, model = ?, phase = ?, schedule = ?,"
        " precision = ?, optimizer = ?, recompute = ?, global_batch = ?, micro_batch = ?,"
        " micro_batches = ?, steps = ?, ranks = ?, fits = ?, window = ?, bins = ? WHERE id = ?",
        -1, &statement, NULL);
    bool ok =
        statement &&
        rows_add(statement, "rttttttiiuuuurui", wall_seconds, rows_name(rows, plan->model->name),
                 plan->replayed   ? NULL
                 : plan->training ? "training"
                                  : "inference",
                 plan->schedule ? plan->schedule->name : NULL, precision_names[plan->precision],
                 plan->training ? optimizer_names[plan->optimizer] : NULL,
                 plan->training ? recompute_names[plan->recompute] : NULL, (int64_t)plan->global_batch,
                 (int64_t)plan->micro_batch, plan->micro_batches, rows->job->steps, rows->job->rank_count,
                 plan->fits && rows->metrics->crowded_rank == PROGRAM_NONE ? 1u : 0u, rows->metrics->window,
                 (uint32_t)SCHEMA_BINS, recorder->run);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool recorder_write(struct recorder *recorder, struct rows *rows, double wall_seconds,
                           const char **error)
{
    errno = 0; /* for the message */
    const char *doing = "write the run";
    bool ok = recorder_sql(recorder, "BEGIN IMMEDIATE") && rows_open(rows);
    for (int i = 0; ok && rows_writers[i]; i++) {
        ok = rows_writers[i]->write(rows);
        if (!ok)
            doing = arena_format(recorder->arena, "write the table '%s'", rows_writers[i]->name);
    }
    ok = ok && recorder_describe(recorder, rows, wall_seconds) && recorder_sql(recorder, "COMMIT");
    if (!ok) /* before another call forgets what happened */
        *error = schema_error(recorder->db, recorder->path, doing, recorder->arena);
    rows_close(rows);
    return ok;
}

bool recorder_finish(struct recorder *recorder, const struct plan *plan, const struct job *job,
                     const struct engine_result *result, const struct metrics *metrics, double wall_seconds,
                     const char **error)
{
    struct critical critical;
    if (!critical_path(job, result, metrics, &critical, error)) {
        recorder_fail(recorder, *error);
        return false;
    }
    struct rows rows = {.db = recorder->db,
                        .run = recorder->run,
                        .arena = recorder->arena,
                        .plan = plan,
                        .job = job,
                        .result = result,
                        .metrics = metrics,
                        .account = recorder->account,
                        .critical = &critical};
    bool ok = recorder_write(recorder, &rows, wall_seconds, error);
    if (!ok) {
        recorder_sql(recorder, "ROLLBACK"); /* fails when SQLite has already rolled back */
        recorder_fail(recorder, *error);
    }
    critical_fini(&critical);
    return ok;
}

bool recorder_fail(struct recorder *recorder, const char *reason)
{
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(recorder->db, "UPDATE run SET status = 'failed', reason = ? WHERE id = ?", -1,
                       &statement, NULL);
    bool ok = statement && rows_add(statement, "ti", reason, recorder->run);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

void recorder_account(struct recorder *recorder, const struct account *account)
{
    recorder->account = account;
}

int64_t recorder_run_id(const struct recorder *recorder)
{
    return recorder->run;
}

void recorder_close(struct recorder *recorder)
{
    if (recorder)
        sqlite3_close(recorder->db);
}
