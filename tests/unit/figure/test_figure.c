#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../record/database.h"

#include "figure/figure.h"

#include <sys/stat.h>

static bool draw(struct database *database, const char *kind, const char *output, const char *ranks)
{
    const struct figure_request request = {
        .database = database->path, .output = output, .plot_folder = PARTITA_SOURCE "/plot", .ranks = ranks};
    for (int i = 0; figure_kinds[i]; i++)
        if (strcmp(figure_kinds[i]->name, kind) == 0)
            return figure_kinds[i]->draw(&request, &database->arena, &database->error);
    fail_msg("no kind %s", kind);
    return false;
}

static const char *drawn(struct database *database, const char *kind, const char *file, const char *ranks)
{
    const char *output = arena_format(&database->arena, "%s/%s", database->folder, file);
    if (!draw(database, kind, output, ranks))
        fail_msg("%s", database->error);
    return database_file(database, output);
}

static uint32_t count_of(const char *text, const char *part)
{
    uint32_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static bool gnuplot_is_missing(void)
{
    const char *path = getenv("PATH");
    char file[512];
    for (size_t length; path && *path; path += length + (path[length] == ':')) {
        length = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/gnuplot", (int)length, path);
        if (access(file, X_OK) == 0)
            return false;
    }
    return true;
}

static void a_timeline_shows_passes_ranks_and_numbers(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "A <name> & 'quotes' _{x}");
    const char *svg = drawn(database, "timeline", "timeline.svg", NULL);
    static const char *const texts[] = {"A &lt;name> &amp; 'quotes' _{x}: step time",
                                        "stage 0: gpu[0]",
                                        "stage 1: gpu[3]",
                                        "time (ms)",
                                        "forward (F)",
                                        "backward (B)",
                                        "optimizer (O)",
                                        "data communication",
                                        "pipeline communication"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!strstr(svg, texts[i]))
            fail_msg("the picture lacks \"%s\"", texts[i]);
    /* F and B of micro-batch 3 on four ranks: two layers each, merged into one box */
    assert_int_equal(count_of(svg, "<text>3</text>"), 8);
}

static void ranks_can_be_chosen(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "chosen");
    const char *svg = drawn(database, "timeline", "chosen.svg", "0,2-3");
    assert_non_null(strstr(svg, "gpu[3]"));
    assert_null(strstr(svg, "gpu[1]"));
    const char *output = arena_format(&database->arena, "%s/x.svg", database->folder);
    assert_false(draw(database, "timeline", output, "0,9"));
    assert_non_null(strstr(database->error, "no rank 9"));
    assert_false(draw(database, "timeline", output, "0;1"));
    assert_non_null(strstr(database->error, "expected ranks such as 0,8,16-19"));
    assert_int_not_equal(access(output, F_OK), 0);
}

static void a_large_run_shows_one_rank_per_stage(void **state)
{
    struct database *database = *state;
    struct pipeline_shape shape = pipeline_small;
    shape.stages = 5;
    shape.data = 4;
    database_record(database, &shape, "large");
    const char *svg = drawn(database, "timeline", "large.svg", NULL);
    assert_int_equal(count_of(svg, "gpu["), 5);
    assert_non_null(strstr(svg, "stage 4: gpu[16]"));
}

static void an_inference_names_its_layers(void **state)
{
    struct database *database = *state;
    struct pipeline_shape shape = pipeline_small;
    shape.inference = true;
    shape.micro_batches = 1;
    shape.data = 1;
    database_record(database, &shape, "inference");
    const char *svg = drawn(database, "timeline", "inference.svg", NULL);
    for (int i = 0; i < 4; i++)
        assert_non_null(strstr(svg, arena_format(&database->arena, "block[%d]", i)));
    assert_null(strstr(svg, "backward"));
}

static void memory_is_drawn_against_capacity(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "memory");
    const char *svg = drawn(database, "memory", "memory.svg", NULL);
    assert_non_null(strstr(svg, "capacity: 8 MB"));
    assert_non_null(strstr(svg, "stage 1: gpu[2]"));
    assert_null(strstr(svg, "gpu[1]")); /* the same program as gpu[0] */
    assert_non_null(strstr(svg, "memory (MB)"));
}

static void each_extension_has_its_format(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "formats");
    assert_memory_equal(drawn(database, "timeline", "a.png", NULL), "\x89PNG", 4);
    assert_memory_equal(drawn(database, "timeline", "a.pdf", NULL), "%PDF", 4);
    assert_memory_equal(drawn(database, "memory", "b.png", NULL), "\x89PNG", 4);
    assert_false(
        draw(database, "timeline", arena_format(&database->arena, "%s/a.jpg", database->folder), NULL));
    assert_non_null(strstr(database->error, ".svg, .png or .pdf"));
}

static void errors_name_their_cause_and_leave_nothing_behind(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "errors");
    assert_false(draw(database, "timeline", "/nonexistent/folder/a.svg", NULL));
    assert_non_null(strstr(database->error, "/nonexistent/folder/a.svg"));
    struct figure_request request = {.database = database->path, .plot_folder = database->folder};
    request.output = arena_format(&database->arena, "%s/a.svg", database->folder);
    assert_false(figure_kinds[0]->draw(&request, &database->arena, &database->error));
    assert_non_null(strstr(database->error, "timeline.gp: cannot read this gnuplot template"));
    FILE *broken = fopen(arena_format(&database->arena, "%s/timeline.gp", database->folder), "w");
    fputs("plot nonsense(\n", broken);
    fclose(broken);
    assert_false(figure_kinds[0]->draw(&request, &database->arena, &database->error));
    assert_non_null(strstr(database->error, "a.svg: gnuplot: "));
    assert_int_not_equal(access(request.output, F_OK), 0);
    assert_int_not_equal(access(arena_format(&database->arena, "%s.part", request.output), F_OK), 0);
}

static void a_missing_gnuplot_is_said(void **state)
{
    struct database *database = *state;
    database_record(database, &pipeline_small, "missing");
    char *path = arena_text(&database->arena, getenv("PATH"));
    setenv("PATH", database->folder, 1);
    bool ok = draw(database, "timeline", arena_format(&database->arena, "%s/a.svg", database->folder), NULL);
    setenv("PATH", path, 1);
    assert_false(ok);
    assert_non_null(strstr(database->error, "gnuplot was not found"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATABASE_TEST(a_timeline_shows_passes_ranks_and_numbers),
        DATABASE_TEST(ranks_can_be_chosen),
        DATABASE_TEST(a_large_run_shows_one_rank_per_stage),
        DATABASE_TEST(an_inference_names_its_layers),
        DATABASE_TEST(memory_is_drawn_against_capacity),
        DATABASE_TEST(each_extension_has_its_format),
        DATABASE_TEST(errors_name_their_cause_and_leave_nothing_behind),
        DATABASE_TEST(a_missing_gnuplot_is_said),
    };
    if (gnuplot_is_missing()) {
        fprintf(stderr, "skipped: gnuplot is not installed\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
