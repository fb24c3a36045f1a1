/* .onnx files: the shapes found against those of stored outputs (the test data of the ONNX project, Debian:
 * libonnx-testdata; skipped where it is not installed), damaged files, and the list of operators in the
 * manual. */
#include "model/onnx.h"
#include "model/onnx_expand.h"
#include "model/onnx_infer.h"
#include "model_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char data[] = "/usr/share/libonnx-testdata/data";

/* A whole file in the arena; NULL when there is none. */
static unsigned char *read_file(struct arena *arena, const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = arena_alloc(arena, *size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

struct tally {
    uint32_t files, same, unknown, depends, other;
    uint32_t shapes;
};

static bool stored(struct arena *arena, struct report *report, const char *folder, const char *what,
                   uint32_t index, struct onnx_tensor *tensor)
{
    char path[1100];
    size_t size;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%u.pb", folder, what, index);
    const unsigned char *bytes = read_file(arena, path, &size);
    return bytes && onnx_file_tensor(report, arena, path, bytes, size, tensor);
}

/* Whether a shape is at least as large as another in each dimension. */
static bool holds(const struct onnx_shape *shape, const struct onnx_shape *other)
{
    bool well = shape->rank == other->rank;
    for (uint32_t i = 0; well && i < shape->rank; i++)
        well = shape->dims[i] >= other->dims[i];
    return well;
}

/* Shapes are those of one run of the test: inputs have the numbers that are stored beside the model. */
static void check_model(const char *folder, struct tally *tally)
{
    char path[1100];
    struct arena arena;
    struct report report;
    struct onnx_file file;
    struct onnx_infer infer;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    arena_init(&arena);
    report_init(&report);
    if (!onnx_file_open(&file, &report, &arena, path)) {
        report_print(&report, stderr);
        fail_msg("%s does not parse", path);
    }
    tally->files++;
    onnx_infer_init(&infer, &report, &arena, &file, path, NULL);
    for (uint32_t i = 0; i < file.graph.inputs.count; i++) {
        struct onnx_tensor tensor;
        if (file.graph.inputs.at[i].tensor && stored(&arena, &report, folder, "input", i, &tensor))
            onnx_infer_bind(&infer, file.graph.inputs.at[i].name, &tensor);
    }
    bool found = onnx_infer_run(&infer, 1),
         bounded = report.list.count > 0; /* a warning: the most that can be */
    const char *why = found ? "" : arena_text(&arena, report.list.at[report.list.count - 1].text);
    if (strstr(why, "is an operator that is not known") || strstr(why, "not supported")) {
        tally->unknown++;
        if (getenv("PARTITA_VERBOSE"))
            fprintf(stderr, "%s: %s\n", folder, why);
    } else if (!found) {
        tally->other++;
        fprintf(stderr, "%s: %s\n", folder, why);
    }
    for (uint32_t i = 0; found && i < file.graph.outputs.count; i++) {
        struct onnx_tensor tensor;
        const struct onnx_value *value = onnx_infer_value(&infer, file.graph.outputs.at[i].name);
        if (!file.graph.outputs.at[i].tensor || !stored(&arena, &report, folder, "output", i, &tensor))
            continue;
        const char *got = onnx_call_describe(&arena, &value->shape);
        const char *want = onnx_call_describe(&arena, &tensor.shape);
        bool same = strcmp(got, want) == 0 || (bounded && holds(&value->shape, &tensor.shape));
        if (!same)
            fprintf(stderr, "%s output %u: found %s, stored %s\n", folder, i, got, want);
        tally->other += !same;
        tally->shapes++;
    }
    tally->same += found;
    onnx_infer_fini(&infer);
    onnx_file_fini(&file);
    report_fini(&report);
    arena_fini(&arena);
}

static void every_stored_output_has_the_shape_that_is_found(void **state)
{
    (void)state;
    static const char *const sets[] = {"node", "pytorch-converted", "pytorch-operator", "simple"};
    struct tally tally = {0};
    for (size_t s = 0; s < sizeof sets / sizeof sets[0]; s++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/%s", data, sets[s]);
        DIR *directory = opendir(folder);
        struct dirent *entry;
        if (!directory) {
            fprintf(stderr, "skipped: %s is not installed (Debian: libonnx-testdata)\n", data);
            skip();
        }
        while ((entry = readdir(directory))) {
            char path[1024];
            struct stat status;
            snprintf(path, sizeof path, "%s/%s/model.onnx", folder, entry->d_name);
            if (stat(path, &status) != 0)
                continue;
            *strrchr(path, '/') = '\0';
            check_model(path, &tally);
        }
        closedir(directory);
    }
    printf(
        "%u models: %u with all shapes found (%u outputs compared), %u with operators that are not known\n",
        tally.files, tally.same, tally.shapes, tally.unknown);
    assert_int_equal(tally.other, 0);
    assert_true(tally.files == 0 || (tally.shapes > 1100 && tally.unknown < 60));
}

/* The names between ` in the manual's table of operators. */
static void the_manual_lists_every_operator(void **state)
{
    (void)state;
    struct arena arena;
    size_t size;
    uint32_t known = 0, listed = 0;
    arena_init(&arena);
    char *text = (char *)read_file(&arena, PARTITA_SOURCE "/docs/onnx.md", &size);
    assert_non_null(text);
    char *table = strstr(text, "| family | operators |"), *end = table ? strstr(table, "\n\n") : NULL;
    assert_non_null(end);
    *end = '\0';
    for (int t = 0; onnx_infer_operators[t]; t++)
        for (const struct onnx_operator *at = onnx_infer_operators[t]; at->kind; at++, known++) {
            char quoted[64];
            snprintf(quoted, sizeof quoted, "`%s`", at->kind);
            if (!strstr(table, quoted))
                fail_msg("docs/onnx.md does not list %s", at->kind);
        }
    for (int t = 0; onnx_expand_tables[t]; t++)
        for (const struct onnx_expander *at = onnx_expand_tables[t]; at->kind; at++) {
            char quoted[64];
            bool standard =
                onnx_infer_find(&(struct onnx_node){.kind = at->kind, .domain = at->domain}) != NULL;
            snprintf(quoted, sizeof quoted, "`%s`", at->kind);
            if (!strstr(table, quoted))
                fail_msg("docs/onnx.md does not list %s", at->kind);
            known += !standard; /* else it is listed as that one */
        }
    for (const char *at = table; (at = strchr(at, '`')); at++)
        listed++;
    assert_int_equal(listed, 2 * known);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stored_output_has_the_shape_that_is_found),
        cmocka_unit_test(the_manual_lists_every_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
