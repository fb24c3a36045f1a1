#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "database.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const struct recorder_run plain = {
    .name = "plain", .workload = "w.yaml", .topology = "t", .version = "0"};

static void every_operation_of_the_last_step_is_written(void **state)
{
    struct database *database = *state;
    struct pipeline_shape shape = pipeline_small;
    shape.steps = 3;
    int64_t run = database_record(database, &shape, "three steps");
    struct reader *reader = database_read(database);
    /* per rank 4 micro-batches of F and B with 2 layers and one message each, 2 all-reduces, 2 O */
    ASSERT_CLOSE(reader_value(reader, "SELECT count(*) FROM timeline WHERE run = ?1", run, 0),
                 4 * (4 * 6 + 4), 0);
    ASSERT_CLOSE(reader_value(reader, "SELECT min(start) FROM timeline WHERE run = ?1", run, -1), 0, 0);
    ASSERT_CLOSE(reader_value(reader,
                              "SELECT max(end) - (SELECT window FROM run) FROM timeline WHERE run = ?1", run,
                              -1),
                 0, 1e-15);
    ASSERT_CLOSE(reader_value(reader, "SELECT count(*) FROM transfer WHERE run = ?1", run, 0),
                 2 * 2 * 4 + 2 * 2, 0);
    reader_close(reader);
}

static void a_rank_s_parts_and_the_critical_path_sum_to_the_window(void **state)
{
    struct database *database = *state;
    int64_t run = database_record(database, &pipeline_small, "sums");
    struct reader *reader = database_read(database);
    ASSERT_CLOSE(reader_value(reader,
                              "SELECT max(abs(compute + exposed + bubble + idle - window)) FROM rank_time"
                              " WHERE run = ?1",
                              run, 1),
                 0, 1e-12);
    ASSERT_CLOSE(reader_value(reader, "SELECT sum(share) FROM critical_time WHERE run = ?1", run, 0), 1,
                 1e-12);
    reader_close(reader);
}

static void link_use_sums_to_the_bytes_that_links_carried(void **state)
{
    struct database *database = *state;
    struct pipeline pipeline;
    pipeline_init(&pipeline, &pipeline_small);
    int64_t run = pipeline_record(&pipeline, database->path, "links", &database->arena, &database->error);
    struct reader *reader = database_read(database);
    struct reader_rows rows = reader_query(
        reader,
        "SELECT l.id, l.bytes, sum(u.bytes) FROM link l JOIN link_use u ON u.run = l.run AND u.link = l.id"
        " WHERE l.run = ?1 GROUP BY l.id ORDER BY l.id",
        run, 0);
    uint32_t links = 0;
    for (; reader_next(&rows); links++) {
        double expected = pipeline.result.link_bytes[reader_int(&rows, 0)];
        ASSERT_CLOSE(reader_real(&rows, 1), expected, 1e-9 * expected);
        ASSERT_CLOSE(reader_real(&rows, 2), expected, 1e-9 * expected);
    }
    assert_true(reader_done(&rows, &database->error));
    assert_int_equal(links, 4);
    reader_close(reader);
    pipeline_fini(&pipeline);
}

static void a_link_of_serial_messages_is_never_busier_than_its_bandwidth(void **state)
{
    struct database *database = *state;
    struct pipeline_shape shape = pipeline_small;
    shape.data = 1; /* no all-reduce beside the messages: the hand-made timeline knows no contention */
    shape.message *= 8;
    int64_t run = database_record(database, &shape, "serial");
    struct reader *reader = database_read(database);
    ASSERT_CLOSE(reader_value(reader, "SELECT max(utilisation) FROM link_utilisation WHERE run = ?1", run, 0),
                 1, 1e-9);
    reader_close(reader);
}

static void memory_rises_with_each_forward_and_returns_to_its_start(void **state)
{
    struct database *database = *state;
    int64_t run = database_record(database, &pipeline_small, "memory");
    struct reader *reader = database_read(database);
    /* one line per program; stage 0 holds two micro-batches at its peak, stage 1 one, of 2 layers each */
    ASSERT_CLOSE(reader_value(reader, "SELECT count(DISTINCT rank) FROM memory WHERE run = ?1", run, 0), 2,
                 0);
    ASSERT_CLOSE(reader_value(reader, "SELECT max(bytes) FROM memory WHERE run = ?1 AND rank = 0", run, 0),
                 4e6 + 2 * 2 * 0x1p20, 0);
    ASSERT_CLOSE(reader_value(reader, "SELECT max(bytes) FROM memory WHERE run = ?1 AND rank = 2", run, 0),
                 4e6 + 2 * 0x1p20, 0);
    ASSERT_CLOSE(
        reader_value(reader, "SELECT bytes FROM memory WHERE run = ?1 ORDER BY rank, time DESC", run, 0), 4e6,
        0);
    ASSERT_CLOSE(
        reader_value(reader,
                     "SELECT max(activations) FROM memory WHERE run = ?1 AND rank = 0 AND parameters = 1e6"
                     " AND gradients = 1e6 AND optimizer = 2e6",
                     run, 0),
        2 * 2 * 0x1p20, 0);
    ASSERT_CLOSE(
        reader_value(reader,
                     "SELECT max(abs(bytes - parameters - gradients - optimizer - activations - temporaries"
                     " - communication - gathered - cache)) FROM memory WHERE run = ?1",
                     run, 0),
        0, 0);
    reader_close(reader);
}

static void the_names_of_tables_columns_and_metrics_are_stable(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "names");
    struct reader *reader = database_read(database);
    static const char *const queries[] = {
        "SELECT id, name, status, reason, started, wall, version, seed, workload, topology, input, model, "
        "phase,"
        " schedule, precision, optimizer, recompute, global_batch, micro_batch, micro_batches, steps, ranks, "
        "fits,"
        " window, bins FROM run",
        "SELECT run, name, scope, value, unit FROM metric",
        "SELECT run, id, name, type, kind, memory, peak, speed FROM device",
        "SELECT run, id, first_unit, last_unit, units, ranks, first_rank, axes, fullest_rank, capacity FROM "
        "stage",
        "SELECT run, stage, category, bytes FROM stage_memory",
        "SELECT run, stage, position, what, category, bytes, tensors FROM stage_holding",
        "SELECT run, id, device, stage, program, first_start, last_end, compute, exposed, bubble, idle, "
        "flops,"
        " energy, bytes_sent FROM rank",
        "SELECT run, rank, group_name, seconds, bytes FROM rank_exposed",
        "SELECT run, rank, id, name, compute FROM stream",
        "SELECT run, id, name, members FROM communication_group",
        "SELECT run, group_id, position, rank FROM member",
        "SELECT run, rank, slot, stream, kind, pass, label, micro_batch, group_id, match, ready, start, end, "
        "flops,"
        " bytes, cause, cause_rank, cause_slot FROM operation",
        "SELECT run, id, group_id, match, kind, label, start, end, latency, bytes FROM transfer",
        "SELECT run, id, name, group_name, mode, bandwidth, latency, bytes FROM link",
        "SELECT run, link, bin, bytes FROM link_use",
        "SELECT run, rank, time, bytes, parameters, gradients, optimizer, activations, temporaries, "
        "communication,"
        " gathered, cache FROM memory",
        "SELECT run, seq, rank, slot, label, kind, group_name, start, seconds FROM critical_path",
        "SELECT run FROM latest",
        "SELECT run, name, status, phase, ranks, global_batch, schedule, precision, step_time, "
        "samples_per_s, mfu,"
        " bubble_fraction, exposed_communication, peak_memory, energy, fits, reason FROM summary",
        "SELECT run, rank, device, stage, stream, slot, kind, pass, label, micro_batch, group_name, ready, "
        "start,"
        " end, seconds, flops, bytes, cause, cause_rank, cause_slot FROM timeline",
        "SELECT run, id, group_name, group_id, match, kind, label, members, first_rank, second_rank, start, "
        "end,"
        " seconds, latency, bytes FROM message",
        "SELECT run, rank, device, stage, compute, exposed, bubble, idle, window, busy_fraction, flops, "
        "energy"
        " FROM rank_time",
        "SELECT run, label, pass, kind, group_name, operations, seconds, flops, bytes FROM layer_time",
        "SELECT run, link, name, group_name, bin, start, bytes, utilisation FROM link_utilisation",
        "SELECT run, label, kind, group_name, seconds, share FROM critical_time",
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct reader_rows rows = reader_query(reader, queries[i], 0, 0);
        bool some = reader_next(&rows);
        if (!reader_done(&rows, &database->error) || !some)
            fail_msg("%s: %s", queries[i], some ? database->error : "no rows");
    }
    assert_string_equal(
        reader_string(reader,
                      "SELECT group_concat(name, ' ') FROM (SELECT DISTINCT name FROM metric ORDER BY name)",
                      0, ""),
        "bubble bubble_fraction bytes_sent compute critical_communication critical_path energy events"
        " exposed_communication flops_per_device idle makespan mfu model_flops peak_flops peak_memory"
        " samples_per_s step_time tokens_per_s window");
    reader_close(reader);
}

static void one_file_holds_many_runs_with_shared_texts(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "first");
    int64_t second = database_record(database, &pipeline_small, "second");
    struct reader *reader = database_read(database);
    assert_int_equal(second, 2);
    assert_int_equal(reader_run(reader, 0, &database->error), 2);
    ASSERT_CLOSE(reader_value(reader, "SELECT count(*) - count(DISTINCT text) FROM text", 0, 1), 0, 0);
    assert_int_equal(reader_run(reader, 3, &database->error), 0);
    assert_non_null(strstr(database->error, "there is no run 3"));
    reader_close(reader);
}

static void a_failed_run_says_why(void **state)
{
    struct database *database = *state;
    struct recorder *recorder = recorder_open(database->path, &plain, &database->arena, &database->error);
    assert_non_null(recorder);
    assert_true(recorder_fail(recorder, "deadlock: rank 0 waits for rank 1"));
    recorder_close(recorder);
    struct reader *reader = database_read(database);
    assert_int_equal(reader_run(reader, 1, &database->error), 0);
    assert_non_null(strstr(database->error, "it is 'failed': deadlock: rank 0 waits for rank 1"));
    assert_int_equal(reader_run(reader, 0, &database->error), 0);
    assert_non_null(strstr(database->error, "no run has finished"));
    reader_close(reader);
}

static void a_killed_run_leaves_a_valid_database(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "before");
    for (unsigned wait = 1000; wait <= 256000; wait *= 4) { /* microseconds: in several phases of writing */
        pid_t child = fork();
        if (child == 0) {
            struct pipeline_shape shape = pipeline_small;
            struct pipeline pipeline;
            shape.micro_batches = 64;
            shape.layers = 32;
            pipeline_init(&pipeline, &shape);
            for (;;)
                pipeline_record(&pipeline, database->path, "killed", &database->arena, &database->error);
        }
        struct timespec pause = {0, (long)wait * 1000};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        struct reader *reader = database_read(database);
        assert_string_equal(reader_string(reader, "PRAGMA integrity_check", 0, ""), "ok");
        /* rows of finished runs only */
        ASSERT_CLOSE(reader_value(reader,
                                  "SELECT count(*) FROM metric m JOIN run r ON r.id = m.run"
                                  " WHERE r.status <> 'finished'",
                                  0, 1),
                     0, 0);
        ASSERT_CLOSE(reader_value(reader,
                                  "SELECT count(*) FROM run WHERE status = 'finished' AND id NOT IN"
                                  " (SELECT run FROM operation)",
                                  0, 1),
                     0, 0);
        reader_close(reader);
    }
    assert_true(database_record(database, &pipeline_small, "after") > 1);
}

/* The moment in the middle of a transaction, exactly. */
static void a_run_killed_while_it_writes_stays_running(void **state)
{
    struct database *database = *state;
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *db;
        recorder_open(database->path, &plain, &database->arena, &database->error);
        sqlite3_open(database->path, &db);
        /* a cache of one page: the half-written rows are in the file when the process dies */
        sqlite3_exec(db,
                     "PRAGMA cache_size = 1; PRAGMA synchronous = OFF; BEGIN IMMEDIATE;"
                     "UPDATE run SET status = 'finished';"
                     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                     "INSERT INTO operation (run, rank, slot) SELECT 1, 0, i FROM n",
                     NULL, NULL, NULL);
        raise(SIGKILL);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(access(arena_format(&database->arena, "%s-journal", database->path), F_OK), 0);
    struct reader *reader = database_read(database);
    assert_string_equal(reader_string(reader, "PRAGMA integrity_check", 0, ""), "ok");
    assert_string_equal(reader_string(reader, "SELECT status FROM run WHERE id = 1", 0, ""), "running");
    ASSERT_CLOSE(reader_value(reader, "SELECT count(*) FROM operation", 0, 1), 0, 0);
    assert_int_equal(reader_run(reader, 1, &database->error), 0);
    assert_non_null(strstr(database->error, "'running'"));
    reader_close(reader);
}

static void a_full_disk_fails_the_run_and_keeps_the_others(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "before");
    struct stat about;
    assert_int_equal(stat(database->path, &about), 0);
    struct pipeline_shape shape = pipeline_small;
    shape.micro_batches = 64;
    shape.layers = 16;
    struct pipeline pipeline;
    pipeline_init(&pipeline, &shape);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = (rlim_t)about.st_size + 65536; /* a file cannot grow beyond this: like a full disk */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int64_t run = pipeline_record(&pipeline, database->path, "large", &database->arena, &database->error);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    pipeline_fini(&pipeline);
    assert_int_equal(run, 0);
    if (!strstr(database->error, database->path) ||
        !strstr(database->error, "cannot write the run: disk I/O error (File too large)"))
        fail_msg("the message is \"%s\"", database->error);
    struct reader *reader = database_read(database);
    assert_string_equal(reader_string(reader, "PRAGMA integrity_check", 0, ""), "ok");
    assert_string_equal(reader_string(reader, "SELECT status FROM run WHERE id = 1", 0, ""), "finished");
    assert_string_equal(reader_string(reader, "SELECT status FROM run WHERE id = 2", 0, ""), "failed");
    assert_non_null(
        strstr(reader_string(reader, "SELECT reason FROM run WHERE id = 2", 0, ""), "cannot write"));
    ASSERT_CLOSE(reader_value(reader, "SELECT count(*) FROM operation WHERE run = 2", 0, 1), 0, 0);
    reader_close(reader);
}

static void refused(struct database *database, const char *path, const char *because)
{
    struct recorder *recorder = recorder_open(path, &plain, &database->arena, &database->error);
    if (recorder)
        fail_msg("%s was opened, expected: %s", path, because);
    if (!strstr(database->error, because) || !strstr(database->error, path))
        fail_msg("message is \"%s\", expected it to name %s and say \"%s\"", database->error, path, because);
}

static void files_that_cannot_be_written_are_named(void **state)
{
    struct database *database = *state;
    struct arena *arena = &database->arena;
    refused(database, arena_format(arena, "%s/no/run.db", database->folder), "does not exist");
    refused(database, database->folder, "it is a folder");
    FILE *text = fopen(database->path, "w");
    for (int i = 0; i < 200; i++)
        fputs("this is a text file and no database\n", text);
    fclose(text);
    refused(database, database->path, "not a results database");
    refused(database, arena_format(arena, "%s/run.db", database->path), "is not a folder");
    assert_null(reader_open(database->path, arena, &database->error));
    assert_non_null(strstr(database->error, "not a results database"));
    assert_null(reader_open(arena_format(arena, "%s/none.db", database->folder), arena, &database->error));
    assert_non_null(strstr(database->error, "no such results database"));
}

static void a_read_only_file_is_refused(void **state)
{
    struct database *database = *state;
    if (geteuid() == 0)
        skip(); /* root writes everywhere */
    database_record(database, &pipeline_small, "before");
    chmod(database->path, 0444);
    refused(database, database->path, "readonly");
    reader_close(database_read(database));
}

static void databases_of_others_are_refused_and_left_alone(void **state)
{
    struct database *database = *state;
    sqlite3 *db;
    sqlite3_open(database->path, &db);
    sqlite3_exec(db, "CREATE TABLE mine (x)", NULL, NULL, NULL);
    sqlite3_close(db);
    refused(database, database->path, "an SQLite file of another program");
    sqlite3_open(database->path, &db);
    assert_int_equal(sqlite3_exec(db, "SELECT x FROM mine", NULL, NULL, NULL), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(db, "SELECT id FROM run", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void another_schema_version_is_refused(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "old");
    sqlite3 *db;
    sqlite3_open(database->path, &db);
    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(db);
    refused(database, database->path, "schema version 99");
    assert_null(reader_open(database->path, &database->arena, &database->error));
    assert_non_null(strstr(database->error, "schema version 99"));
}

static void two_recorders_write_to_one_file(void **state)
{
    struct database *database = *state;
    struct recorder *first = recorder_open(database->path, &plain, &database->arena, &database->error);
    int64_t second = database_record(database, &pipeline_small, "meanwhile");
    assert_int_equal(recorder_run_id(first), 1);
    assert_int_equal(second, 2);
    assert_true(recorder_fail(first, "stopped"));
    recorder_close(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATABASE_TEST(every_operation_of_the_last_step_is_written),
        DATABASE_TEST(a_rank_s_parts_and_the_critical_path_sum_to_the_window),
        DATABASE_TEST(link_use_sums_to_the_bytes_that_links_carried),
        DATABASE_TEST(a_link_of_serial_messages_is_never_busier_than_its_bandwidth),
        DATABASE_TEST(memory_rises_with_each_forward_and_returns_to_its_start),
        DATABASE_TEST(the_names_of_tables_columns_and_metrics_are_stable),
        DATABASE_TEST(one_file_holds_many_runs_with_shared_texts),
        DATABASE_TEST(a_failed_run_says_why),
        DATABASE_TEST(a_killed_run_leaves_a_valid_database),
        DATABASE_TEST(a_run_killed_while_it_writes_stays_running),
        DATABASE_TEST(a_full_disk_fails_the_run_and_keeps_the_others),
        DATABASE_TEST(files_that_cannot_be_written_are_named),
        DATABASE_TEST(a_read_only_file_is_refused),
        DATABASE_TEST(databases_of_others_are_refused_and_left_alone),
        DATABASE_TEST(another_schema_version_is_refused),
        DATABASE_TEST(two_recorders_write_to_one_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
