/* Schema: the SQL text, and the check of a file's identity and version. Big tables are WITHOUT ROWID, keyed
 * and filled in the order of their keys, and hold identities instead of texts; views resolve them. CROSS JOIN
 * in a view fixes the order of its loops: the big table outside, look-ups by key inside. */
#include "record/schema.h"

#include "engine/engine.h"

#include <errno.h>
#include <string.h>

static const char schema_tables[] =
    "CREATE TABLE text (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE kind (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE pass (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE cause (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE run ("
    " id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " status TEXT NOT NULL CHECK (status IN ('running', 'finished', 'failed')), reason TEXT,"
    " started TEXT NOT NULL, wall REAL, version TEXT, seed INTEGER NOT NULL,"
    " workload TEXT, topology TEXT, input TEXT,"
    " model TEXT, phase TEXT CHECK (phase IN ('training', 'inference')), schedule TEXT, precision TEXT,"
    " optimizer TEXT, recompute TEXT, global_batch INTEGER, micro_batch INTEGER, micro_batches INTEGER,"
    " steps INTEGER, ranks INTEGER, fits INTEGER, window REAL, bins INTEGER);"
    "CREATE TABLE metric ("
    " run INTEGER NOT NULL, name TEXT NOT NULL, scope TEXT NOT NULL DEFAULT '', value REAL NOT NULL,"
    " unit TEXT NOT NULL, PRIMARY KEY (run, name, scope)) WITHOUT ROWID;"
    "CREATE TABLE device ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, kind TEXT NOT NULL,"
    " memory REAL NOT NULL, peak REAL NOT NULL, speed REAL NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "CREATE TABLE stage ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, first_unit TEXT NOT NULL, last_unit TEXT NOT NULL,"
    " units INTEGER NOT NULL, ranks INTEGER NOT NULL, first_rank INTEGER, axes TEXT NOT NULL,"
    " fullest_rank INTEGER NOT NULL, capacity REAL NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "CREATE TABLE stage_memory ("
    " run INTEGER NOT NULL, stage INTEGER NOT NULL, category TEXT NOT NULL, bytes REAL NOT NULL,"
    " PRIMARY KEY (run, stage, category)) WITHOUT ROWID;"
    "CREATE TABLE rank ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, device INTEGER NOT NULL, stage INTEGER,"
    " program INTEGER NOT NULL, first_start REAL NOT NULL, last_end REAL NOT NULL, compute REAL NOT NULL,"
    " exposed REAL NOT NULL, bubble REAL NOT NULL, idle REAL NOT NULL, flops REAL NOT NULL,"
    " energy REAL NOT NULL, bytes_sent REAL NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "CREATE TABLE rank_exposed ("
    " run INTEGER NOT NULL, rank INTEGER NOT NULL, group_name TEXT NOT NULL, seconds REAL NOT NULL,"
    " bytes REAL NOT NULL, PRIMARY KEY (run, rank, group_name)) WITHOUT ROWID;"
    "CREATE TABLE stream ("
    " run INTEGER NOT NULL, rank INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL,"
    " compute INTEGER NOT NULL, PRIMARY KEY (run, rank, id)) WITHOUT ROWID;"
    "CREATE TABLE communication_group ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, members INTEGER NOT NULL,"
    " PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "CREATE TABLE member ("
    " run INTEGER NOT NULL, group_id INTEGER NOT NULL, position INTEGER NOT NULL, rank INTEGER NOT NULL,"
    " PRIMARY KEY (run, group_id, position)) WITHOUT ROWID;"
    "CREATE TABLE operation ("
    " run INTEGER NOT NULL, rank INTEGER NOT NULL, slot INTEGER NOT NULL, stream INTEGER, kind INTEGER,"
    " pass INTEGER, label INTEGER, micro_batch INTEGER, group_id INTEGER, match INTEGER, ready REAL,"
    " start REAL, end REAL, flops REAL, bytes REAL, cause INTEGER, cause_rank INTEGER, cause_slot INTEGER,"
    " PRIMARY KEY (run, rank, slot)) WITHOUT ROWID;"
    "CREATE TABLE transfer ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, group_id INTEGER NOT NULL, match INTEGER NOT NULL,"
    " kind TEXT NOT NULL, label INTEGER NOT NULL, start REAL NOT NULL, end REAL NOT NULL,"
    " latency REAL NOT NULL, bytes REAL NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "CREATE TABLE link ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, group_name TEXT NOT NULL,"
    " mode TEXT NOT NULL, bandwidth REAL NOT NULL, latency REAL NOT NULL, bytes REAL NOT NULL,"
    " PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "CREATE TABLE link_use ("
    " run INTEGER NOT NULL, link INTEGER NOT NULL, bin INTEGER NOT NULL, bytes REAL NOT NULL,"
    " PRIMARY KEY (run, link, bin)) WITHOUT ROWID;"
    "CREATE TABLE stage_holding ("
    " run INTEGER NOT NULL, stage INTEGER NOT NULL, position INTEGER NOT NULL, what TEXT NOT NULL,"
    " category TEXT NOT NULL, bytes REAL NOT NULL, tensors INTEGER NOT NULL,"
    " PRIMARY KEY (run, stage, position)) WITHOUT ROWID;"
    "CREATE TABLE memory ("
    " run INTEGER NOT NULL, rank INTEGER NOT NULL, time REAL NOT NULL, bytes REAL NOT NULL,"
    " parameters REAL NOT NULL, gradients REAL NOT NULL, optimizer REAL NOT NULL, activations REAL NOT NULL,"
    " temporaries REAL NOT NULL, communication REAL NOT NULL, gathered REAL NOT NULL, cache REAL NOT NULL,"
    " PRIMARY KEY (run, rank, time)) WITHOUT ROWID;"
    "CREATE TABLE critical_path ("
    " run INTEGER NOT NULL, seq INTEGER NOT NULL, rank INTEGER NOT NULL, slot INTEGER NOT NULL,"
    " label INTEGER NOT NULL, kind TEXT NOT NULL, group_name TEXT, start REAL NOT NULL,"
    " seconds REAL NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID;";

/* Tables that came later without a change of what was there: also added to a file that has none of them. */
static const char schema_later[] =
    "CREATE TABLE IF NOT EXISTS account ("
    " run INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,"
    " unit TEXT NOT NULL, PRIMARY KEY (run, position)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS histogram ("
    " run INTEGER NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY (run, name, value)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS token ("
    " run INTEGER NOT NULL, id INTEGER NOT NULL, first REAL NOT NULL, mean REAL NOT NULL, last REAL NOT NULL,"
    " seconds REAL NOT NULL, PRIMARY KEY (run, id)) WITHOUT ROWID;"
    "INSERT OR IGNORE INTO pass VALUES (8, 'D');"; /* PASS_D */

/* clang-format off */
#define METRIC(name)                                                                                         \
    ", (SELECT value FROM metric WHERE run = r.id AND name = '" name "' AND scope = '') AS " name

static const char schema_views[] =
    "CREATE VIEW latest AS SELECT max(id) AS run FROM run WHERE status = 'finished';"
    "CREATE VIEW summary AS SELECT r.id AS run, r.name, r.status, r.phase, r.ranks, r.global_batch,"
    " r.schedule, r.precision"
    METRIC("step_time") METRIC("samples_per_s") METRIC("mfu") METRIC("bubble_fraction")
    METRIC("exposed_communication") METRIC("peak_memory") METRIC("energy")
    ", r.fits, r.reason FROM run r;"
    "CREATE VIEW timeline AS SELECT o.run, o.rank, d.name AS device, r.stage, s.name AS stream, o.slot,"
    " k.name AS kind, p.name AS pass, t.text AS label, o.micro_batch, g.name AS group_name, o.ready, o.start,"
    " o.end, o.end - o.start AS seconds, o.flops, o.bytes, c.name AS cause, o.cause_rank, o.cause_slot"
    " FROM operation o CROSS JOIN rank r ON r.run = o.run AND r.id = o.rank"
    " CROSS JOIN device d ON d.run = o.run AND d.id = r.device"
    " CROSS JOIN stream s ON s.run = o.run AND s.rank = o.rank AND s.id = o.stream"
    " CROSS JOIN kind k ON k.id = o.kind CROSS JOIN pass p ON p.id = o.pass"
    " CROSS JOIN text t ON t.id = o.label CROSS JOIN cause c ON c.id = o.cause"
    " LEFT JOIN communication_group g ON g.run = o.run AND g.id = o.group_id;"
    "CREATE VIEW message AS SELECT x.run, x.id, g.name AS group_name, x.group_id, x.match, x.kind,"
    " t.text AS label, g.members, a.rank AS first_rank, b.rank AS second_rank, x.start, x.end,"
    " x.end - x.start AS seconds, x.latency, x.bytes"
    " FROM transfer x CROSS JOIN communication_group g ON g.run = x.run AND g.id = x.group_id"
    " CROSS JOIN text t ON t.id = x.label"
    " LEFT JOIN member a ON a.run = x.run AND a.group_id = x.group_id AND a.position = 0"
    " LEFT JOIN member b ON b.run = x.run AND b.group_id = x.group_id AND b.position = 1;"
    "CREATE VIEW rank_time AS SELECT r.run, r.id AS rank, d.name AS device, r.stage, r.compute, r.exposed,"
    " r.bubble, r.idle, n.window, r.compute / n.window AS busy_fraction, r.flops, r.energy"
    " FROM rank r CROSS JOIN run n ON n.id = r.run CROSS JOIN device d ON d.run = r.run AND d.id = r.device;"
    "CREATE VIEW layer_time AS SELECT o.run, t.text AS label, p.name AS pass, k.name AS kind,"
    " g.name AS group_name, count(*) AS operations, sum(o.end - o.start) AS seconds, sum(o.flops) AS flops,"
    " sum(o.bytes) AS bytes FROM operation o CROSS JOIN kind k ON k.id = o.kind"
    " CROSS JOIN pass p ON p.id = o.pass CROSS JOIN text t ON t.id = o.label"
    " LEFT JOIN communication_group g ON g.run = o.run AND g.id = o.group_id"
    " GROUP BY o.run, t.text, p.name, k.name, g.name;"
    "CREATE VIEW link_utilisation AS SELECT u.run, u.link, l.name, l.group_name, u.bin,"
    " u.bin * n.window / n.bins AS start, u.bytes,"
    " u.bytes * n.bins / (n.window * l.bandwidth) AS utilisation"
    " FROM link_use u CROSS JOIN run n ON n.id = u.run"
    " CROSS JOIN link l ON l.run = u.run AND l.id = u.link;"
    "CREATE VIEW critical_time AS SELECT c.run, t.text AS label, c.kind, c.group_name,"
    " sum(c.seconds) AS seconds, sum(c.seconds) / n.window AS share"
    " FROM critical_path c CROSS JOIN run n ON n.id = c.run CROSS JOIN text t ON t.id = c.label"
    " GROUP BY c.run, t.text, c.kind, c.group_name;";
/* clang-format on */

static const char *const schema_causes[] = {[CAUSE_BEGIN] = "begin",
                                            [CAUSE_STREAM] = "stream",
                                            [CAUSE_DEPENDENCY] = "dependency",
                                            [CAUSE_PEER] = "peer",
                                            0};

const char *schema_error(sqlite3 *db, const char *path, const char *doing, struct arena *arena)
{
    int code = sqlite3_errcode(db), system = sqlite3_system_errno(db);
    if (!system) /* SQLite does not keep it when a commit fails */
        system = errno;
    if (code == SQLITE_NOTADB)
        return arena_format(arena, "%s: not a results database (it is no SQLite file)", path);
    bool named = system && ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_FULL ||
                            (code & 0xff) == SQLITE_CANTOPEN);
    return arena_format(arena, "%s: cannot %s: %s%s%s%s", path, doing, sqlite3_errmsg(db), named ? " (" : "",
                        named ? strerror(system) : "", named ? ")" : "");
}

/* One integer; false when the statement fails. */
static bool schema_integer(sqlite3 *db, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    bool ok = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW;
    if (ok)
        *value = sqlite3_column_int64(statement, 0);
    return sqlite3_finalize(statement) == SQLITE_OK && ok;
}

static bool schema_codes(sqlite3 *db, const char *table, const char *const *names)
{
    bool ok = true;
    for (int id = 0; ok && names[id]; id++) {
        char *sql = sqlite3_mprintf("INSERT INTO %s VALUES (%d, %Q)", table, id, names[id]);
        ok = sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
        sqlite3_free(sql);
    }
    return ok;
}

static bool schema_create(sqlite3 *db)
{
    char identity[96];
    sqlite3_snprintf(sizeof identity, identity, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
                     SCHEMA_APPLICATION, SCHEMA_VERSION);
    return sqlite3_exec(db, identity, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(db, schema_tables, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(db, schema_views, NULL, NULL, NULL) == SQLITE_OK &&
           schema_codes(db, "kind", program_kind_names) && schema_codes(db, "pass", program_pass_names) &&
           schema_codes(db, "cause", schema_causes);
}

bool schema_open(sqlite3 *db, const char *path, bool create, struct arena *arena, const char **error)
{
    int64_t application = 0, version = 0, tables = 0;
    if (!schema_integer(db, "SELECT count(*) FROM sqlite_schema", &tables) ||
        !schema_integer(db, "PRAGMA application_id", &application) ||
        !schema_integer(db, "PRAGMA user_version", &version)) {
        *error = schema_error(db, path, "read it", arena);
        return false;
    }
    if (tables == 0 && application == 0 && create) {
        if (schema_create(db) && sqlite3_exec(db, schema_later, NULL, NULL, NULL) == SQLITE_OK)
            return true;
        *error = schema_error(db, path, "create the tables", arena);
        return false;
    }
    if (application != SCHEMA_APPLICATION) {
        *error = arena_format(arena, "%s: not a results database (%s)", path,
                              tables ? "an SQLite file of another program" : "it is empty");
        return false;
    }
    if (version != SCHEMA_VERSION) {
        *error = arena_format(arena,
                              "%s: a results database of schema version %lld; this Partita reads and writes "
                              "version %d (use another file, or the Partita that wrote this one)",
                              path, (long long)version, SCHEMA_VERSION);
        return false;
    }
    if (create && sqlite3_exec(db, schema_later, NULL, NULL, NULL) != SQLITE_OK) {
        *error = schema_error(db, path, "create the tables", arena);
        return false;
    }
    return true;
}
