#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "database.h"

#include "record/export.h"

#include <jansson.h>

/* A run in one of the formats, as a text. */
static char *exported(struct database *database, const char *format, int64_t run)
{
    for (int i = 0; export_formats[i]; i++) {
        if (strcmp(export_formats[i]->name, format) != 0)
            continue;
        const char *path = arena_format(&database->arena, "%s/%s", database->folder, format);
        FILE *to = fopen(path, "w");
        if (!export_formats[i]->write(database->path, run, to, &database->arena, &database->error))
            fail_msg("%s", database->error);
        fclose(to);
        return database_file(database, path);
    }
    fail_msg("no format %s", format);
    return NULL;
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static void equal_runs_are_equal_in_canonical_form(void **state)
{
    struct database *database = *state;
    struct pipeline_shape other = pipeline_small;
    other.stages = 3; /* so that identities of texts and runs differ */
    database_record(database, &other, "same");
    const char *first_path = database->path;
    int64_t second = database_record(database, &pipeline_small, "same");
    const char *second_run = exported(database, "canonical", second);
    database->path = arena_format(&database->arena, "%s/other.db", database->folder);
    database_record(database, &pipeline_small, "same");
    assert_string_equal(exported(database, "canonical", 1), second_run);
    database->path = first_path;
    assert_string_not_equal(exported(database, "canonical", 1), second_run);
    assert_non_null(strstr(second_run, "# operation\nrank,slot,"));
    assert_null(strstr(second_run, "other.db"));
    assert_null(strstr(second_run, "0.1.0")); /* the version */
}

static void chrome_traces_are_json_with_an_event_per_operation(void **state)
{
    struct database *database = *state;
    int64_t run = database_record(database, &pipeline_small, "a \"quoted\"\tname \\ and more");
    json_error_t problem;
    json_t *trace = json_loads(exported(database, "chrome", run), 0, &problem);
    if (!trace)
        fail_msg("line %d: %s", problem.line, problem.text);
    assert_string_equal(json_string_value(json_object_get(json_object_get(trace, "otherData"), "run")),
                        "a \"quoted\"\tname \\ and more");
    size_t i, counts[128] = {0};
    json_t *event;
    json_array_foreach(json_object_get(trace, "traceEvents"), i, event)
    {
        const char *kind = json_string_value(json_object_get(event, "ph"));
        counts[kind[0] & 127]++;
        if (kind[0] == 'X')
            assert_true(json_number_value(json_object_get(event, "dur")) >= 0);
    }
    assert_int_equal(counts['X'], 4 * (4 * 6 + 4));
    assert_int_equal(counts['s'], 2 * 2 * 4);
    assert_int_equal(counts['f'], counts['s']);
    json_decref(trace);
}

static void csv_has_a_line_per_operation_and_quotes_what_needs_it(void **state)
{
    struct database *database = *state;
    int64_t run = database_record(database, &pipeline_small, "csv");
    const char *text = exported(database, "csv", run);
    assert_int_equal(count_of(text, "\n"), 1 + 4 * (4 * 6 + 4));
    assert_memory_equal(text, "rank,device,stage,stream,slot,kind,pass,label,", 46);
    assert_non_null(strstr(text, "\n0,gpu[0],0,compute,0,compute,F,block[0],0,,0,0,0.0078125,0.0078125,"));
    const char *canonical = exported(database, "canonical", run);
    assert_non_null(strstr(canonical, ",\"name: test\nmodel: blocks\n\","));
}

static void an_export_to_a_full_device_fails(void **state)
{
    struct database *database = *state;
    int64_t run = database_record(database, &pipeline_small, "full");
    FILE *full = fopen("/dev/full", "w");
    if (!full)
        skip();
    for (int i = 0; export_formats[i]; i++) {
        assert_false(export_formats[i]->write(database->path, run, full, &database->arena, &database->error));
        assert_non_null(strstr(database->error, "cannot write the export"));
    }
    fclose(full);
}

static void every_query_of_the_documentation_runs_and_finds_something(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "documented");
    const struct recorder_run failing = {.name = "failing"};
    struct recorder *recorder = recorder_open(database->path, &failing, &database->arena, &database->error);
    recorder_fail(recorder, "for the query about failed runs");
    recorder_close(recorder);
    struct reader *reader = database_read(database);
    char *text = database_file(database, PARTITA_SOURCE "/docs/database.md");
    assert_non_null(text);
    uint32_t queries = 0;
    for (char *at = text; (at = strstr(at, "```sql\n")); queries++) {
        at += strlen("```sql\n");
        char *end = strstr(at, "```");
        assert_non_null(end);
        *end = '\0';
        struct reader_rows rows = reader_query(reader, at, 0, 0);
        bool some = reader_next(&rows);
        if (!reader_done(&rows, &database->error) || !some)
            fail_msg("%s: %s", at, some ? database->error : "no rows, or an error");
        at = end + 3;
    }
    assert_true(queries >= 12);
    reader_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATABASE_TEST(equal_runs_are_equal_in_canonical_form),
        DATABASE_TEST(chrome_traces_are_json_with_an_event_per_operation),
        DATABASE_TEST(csv_has_a_line_per_operation_and_quotes_what_needs_it),
        DATABASE_TEST(an_export_to_a_full_device_fails),
        DATABASE_TEST(every_query_of_the_documentation_runs_and_finds_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
