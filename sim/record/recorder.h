/* Recorder: writes a run into a SQLite database (docs/database.md has the schema). A run's row is committed
 * as 'running' before anything is simulated and becomes 'finished' in the transaction that holds all its
 * rows, so a killed run leaves a valid database that says so. The only room that knows SQLite. */
#ifndef PARTITA_RECORD_RECORDER_H
#define PARTITA_RECORD_RECORDER_H

#include "base/account.h"
#include "record/metrics.h"

struct recorder; /* opaque */

struct recorder_run {
    const char *name;     /* the workload's */
    const char *workload; /* path as given */
    const char *topology; /* path or name */
    const char *input;    /* the full resolved input as YAML */
    const char *version;  /* of Partita */
    uint64_t seed;
};

/* Opens or creates the database (also its schema and views; a database of another schema version is refused
 * with a message) and adds the run as 'running'. NULL with *error (malloc-free static or arena text) on
 * failure. */
struct recorder *recorder_open(const char *path, const struct recorder_run *run, struct arena *arena,
                               const char **error);

/* Writes timeline, transfers, links, memory and metrics in one transaction and marks the run 'finished'. On
 * failure (full disk …) the transaction is rolled back, the run is marked 'failed' if that can be written,
 * and false is returned with *error. */
bool recorder_finish(struct recorder *recorder, const struct plan *plan, const struct job *job,
                     const struct engine_result *result, const struct metrics *metrics, double wall_seconds,
                     const char **error);
/* What else the run has to say of itself, written by recorder_finish(). Borrowed. */
void recorder_account(struct recorder *recorder, const struct account *account);
/* Marks the run 'failed' with a reason (a deadlock, a failed check). */
bool recorder_fail(struct recorder *recorder, const char *reason);
/* The run's number in the database. */
int64_t recorder_run_id(const struct recorder *recorder);
void recorder_close(struct recorder *recorder);

#endif
