#include "reading.h"

#include <sys/stat.h>
#include <unistd.h>

/* A folder of its own for every test: data/ is the shipped folder, here/ the working directory. */
static char folder[64], before[4096];

static const char *path_of(const char *name)
{
    return arena_format(&input.arena, "%s/%s", folder, name);
}

static void write_file(const char *name, const char *text)
{
    char *path = arena_text(&input.arena, path_of(name));
    for (char *slash = strchr(path + strlen(folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static int start(void **state)
{
    reading_start(state);
    strcpy(folder, "/tmp/partita_document_XXXXXX");
    if (!getcwd(before, sizeof before) || !mkdtemp(folder))
        return -1;
    write_file("here/any.yaml", "a: 1\n");
    input.data_root = path_of("data");
    return chdir(path_of("here"));
}

static int end(void **state)
{
    const char *command = arena_format(&input.arena, "rm -r '%s'", folder);
    int failed = chdir(before) || system(command);
    reading_end(state);
    return failed;
}

#define FILES(test) cmocka_unit_test_setup_teardown(test, start, end)

#define expect_shape(value, expected) assert_string_equal(reading_shape(value), (expected))

static void the_root_must_be_a_map(void **state)
{
    (void)state;
    assert_null(read_text(""));
    assert_null(read_text("- 1\n- 2\n"));
    assert_null(read_text("# nothing\n\nword\n"));
    expect_messages("a.yaml: expected a map; got an empty file\n"
                    "a.yaml:1:1: expected a map; got a list\n"
                    "a.yaml:3:1: expected a map; got the text 'word'");
    reading_again();
    assert_null(read_json(" \n"));
    assert_null(read_json("[1]"));
    assert_null(read_json("\"a\""));
    expect_messages("a.json: expected a map; got an empty file\n"
                    "a.json:1:1: expected a map; got a list\n"
                    "a.json:1:1: expected a map; got the text 'a'");
}

static void a_file_is_read_by_its_extension(void **state)
{
    (void)state;
    write_file("here/x.json", "{\"a\": \"1\"}");
    expect_shape(document_load(&input, "any.yaml"), "{a: 1}");
    expect_shape(document_load(&input, "x.json"), "{a: '1'}");
    expect_messages("");
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    assert_null(document_load(&input, "absent.yaml"));
    assert_null(document_load(&input, "."));
    expect_messages("cannot read 'absent.yaml': No such file or directory\n"
                    "cannot read '.': Is a directory");
}

static void a_large_file_is_read_whole(void **state)
{
    (void)state;
    enum { KEYS = 20000 };
    size_t length = 0;
    char *text = arena_alloc(&input.arena, KEYS * 24);
    for (int i = 0; i < KEYS; i++)
        length += (size_t)sprintf(text + length, "key%d: %d\n", i, i);
    write_file("here/large.yaml", text);
    struct value *root = document_load(&input, "large.yaml");
    expect_messages("");
    assert_int_equal(root->count, KEYS);
    for (int i = 0; i < KEYS; i++)
        assert_string_equal(value_get(root, arena_format(&input.arena, "key%d", i))->text,
                            arena_format(&input.arena, "%d", i));
    assert_null(value_get(root, "key20000"));
}

static void a_file_that_extends_another_lies_over_it(void **state)
{
    (void)state;
    write_file("here/base.yaml", "a: 1\nmap: {x: 1, y: {p: 1, q: 2}}\nlist: [1, 2]\nb: {z: 1}\n");
    write_file("here/top.yaml", "extends: base\nc: 3\nmap:\n  y: {q: 9}\n  w: 4\nlist: [7]\nb: 5\n");
    const struct value *root = document_load(&input, "top.yaml");
    expect_messages("");
    expect_shape(root, "{a: 1, map: {x: 1, y: {p: 1, q: 9}, w: 4}, list: [7], b: 5, c: 3}");
    const struct value *from_base = value_at(root, "map.y.p"), *from_top = value_at(root, "map.y.q");
    assert_string_equal(from_base->place.file, "base.yaml");
    assert_int_equal(from_base->place.line, 2);
    assert_int_equal(from_base->place.column, 20);
    assert_string_equal(from_top->place.file, "top.yaml");
    assert_int_equal(from_top->place.line, 4);
    assert_int_equal(value_entry(root, "b")->place.line, 7);
}

static void what_is_extended_may_extend(void **state)
{
    (void)state;
    write_file("here/one.yaml", "a: 1\nb: 1\nc: 1\n");
    write_file("here/two.yaml", "extends: one\nb: 2\nc: 2\n");
    write_file("here/three.json", "{\"extends\": \"two.yaml\", \"c\": 3}");
    expect_shape(document_load(&input, "three.json"), "{a: 1, b: 2, c: 3}");
    expect_messages("");
}

static void a_map_includes_files_under_its_own_keys(void **state)
{
    (void)state;
    write_file("here/one.yaml", "a: 1\nb: 1\nc: 1\nmap: {x: 1}\n");
    write_file("here/two.yaml", "b: 2\nc: 2\nmap: {y: 2}\n");
    const struct value *root =
        read_text("links:\n  c: 3\n  include: [one, two]\n  map: {z: 3}\nlist:\n  - include: one\n");
    expect_messages("");
    expect_shape(
        root,
        "{links: {a: 1, b: 2, c: 3, map: {x: 1, y: 2, z: 3}}, list: [{a: 1, b: 1, c: 1, map: {x: 1}}]}");
}

static void including_twice_gives_separate_copies(void **state)
{
    (void)state;
    struct value *root = read_text("a: {include: any}\nb: {include: any}\n");
    assert_true(document_set(&input, root, "a.a", "9"));
    expect_shape(root, "{a: {a: 9}, b: {a: 1}}");
}

static void a_cycle_is_an_error(void **state)
{
    (void)state;
    write_file("here/one.yaml", "extends: two\n");
    write_file("here/two.yaml", "a: {include: [one]}\n");
    write_file("here/self.yaml", "extends: self\n");
    assert_null(document_load(&input, "one.yaml"));
    assert_null(document_load(&input, "self.yaml"));
    expect_messages("two.yaml:1:15: 'one.yaml' is being read already: extends and include form a cycle\n"
                    "self.yaml:1:10: a file cannot extend itself");
}

static void too_many_files_are_an_error(void **state)
{
    (void)state;
    for (int i = 0; i < 11; i++)
        write_file(arena_format(&input.arena, "here/f%d.yaml", i),
                   arena_format(&input.arena, "a: {include: f%d}\nb: {include: f%d}\n", i + 1, i + 1));
    write_file("here/f11.yaml", "x: 1\n");
    assert_null(document_load(&input, "f0.yaml"));
    assert_string_equal(input.report.list.at[0].text, "more than 1000 files are included");
}

static void references_are_looked_up_beside_then_here_then_shipped(void **state)
{
    (void)state;
    write_file("data/topologies/devices/gpu.yaml", "from: devices\n");
    write_file("data/topologies/links/cable.yaml", "from: links\n");
    write_file("data/topologies/pod.yaml", "from: topologies\n");
    write_file("data/workloads/train.json", "{\"from\": \"workloads\"}");
    write_file("data/workloads/models/net.yml", "from: models\n");
    write_file("there/top.yaml", "gpu: {include: gpu}\ncable: {include: cable}\npod: {include: pod}\n"
                                 "train: {include: train}\nnet: {include: net}\nany: {include: any}\n");
    expect_shape(
        document_load(&input, path_of("there/top.yaml")),
        "{gpu: {from: devices}, cable: {from: links}, pod: {from: topologies}, train: {from: 'workloads'}, "
        "net: {from: models}, any: {a: 1}}");
    write_file("here/gpu.yaml", "from: here\n");
    expect_shape(value_get(document_load(&input, path_of("there/top.yaml")), "gpu"), "{from: here}");
    write_file("there/gpu.yaml", "from: beside\n");
    expect_shape(value_get(document_load(&input, path_of("there/top.yaml")), "gpu"), "{from: beside}");
    expect_messages("");
}

static void a_file_may_extend_the_shipped_one_of_its_own_name(void **state)
{
    (void)state;
    write_file("data/topologies/devices/gpu.yaml", "a: 1\nb: 1\n");
    write_file("here/gpu.yaml", "extends: gpu\nb: 2\n");
    expect_shape(document_load(&input, "gpu.yaml"), "{a: 1, b: 2}");
    expect_messages("");
}

static void a_name_may_contain_a_dot(void **state)
{
    (void)state;
    write_file("data/workloads/models/gpt-1.3b.yaml", "a: 1\n");
    expect_shape(read_text("extends: gpt-1.3b"), "{a: 1}");
}

static void a_missing_reference_suggests_a_shipped_name(void **state)
{
    (void)state;
    write_file("data/topologies/devices/a100.yaml", "a: 1\n");
    assert_null(read_text("extends: a10"));
    assert_null(read_text("x: {include: [1, [2]]}"));
    expect_messages("a.yaml:1:10: there is no file 'a10' to extend; did you mean 'a100'?\n"
                    "a.yaml:1:15: there is no file '1' to include");
    reading_again();
    assert_null(read_text("include:"));
    expect_messages("a.yaml:1:9: expected the name of a file to include; got nothing");
}

static void an_error_in_an_included_file_stands_at_that_file(void **state)
{
    (void)state;
    write_file("here/bad.yaml", "a: 1\nb: [\n");
    assert_null(read_text("extends: bad"));
    assert_string_equal(input.report.list.at[0].place.file, "bad.yaml");
    assert_int_equal(input.report.list.at[0].place.line, 3);
}

static void find_gives_the_path_of_what_a_folder_ships(void **state)
{
    (void)state;
    write_file("data/topologies/devices/a100.yaml", "a: 1\n");
    write_file("here/local.json", "{}");
    struct place from = {"x.yaml", 3, 4};
    assert_string_equal(document_find(&input, "topologies/devices", "a100", from),
                        path_of("data/topologies/devices/a100.yaml"));
    assert_string_equal(document_find(&input, "topologies/devices", "local", from), "local.json");
    assert_string_equal(document_find(&input, "topologies/devices", path_of("here/local"), from),
                        path_of("here/local.json"));
    assert_null(document_find(&input, "topologies/devices", "local", (struct place){"local.json", 1, 1}));
    assert_null(document_find(&input, "topologies/devices", "a10", from));
    assert_null(document_find(&input, "topologies/devices", "", from));
    assert_null(document_find(&input, "topologies/links", "a100", (struct place){.file = "--set link"}));
    expect_messages(
        "local.json:1:1: there is no 'local' beside this file, in the working directory or in "
        "topologies/devices\n"
        "x.yaml:3:4: there is no 'a10' beside this file, in the working directory or in topologies/devices; "
        "did you mean 'a100'?\n"
        "x.yaml:3:4: there is no '' beside this file, in the working directory or in topologies/devices\n"
        "--set link: there is no 'a100' in the working directory or in topologies/links; there is one in "
        "topologies/devices");
}

static void list_gives_the_names_sorted_and_once(void **state)
{
    (void)state;
    uint32_t count = 99;
    static const char *const files[] = {"b.yaml",    "a.json",       "c.yml", "a.yaml",
                                        "notes.txt", ".hidden.yaml", ".yaml"};
    for (size_t i = 0; i < 7; i++)
        write_file(arena_format(&input.arena, "data/topologies/%s", files[i]), "");
    const char *const *names = document_list(&input, "topologies", &count);
    assert_int_equal(count, 3);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    assert_string_equal(names[2], "c");
    document_list(&input, "absent", &count);
    assert_int_equal(count, 0);
    input.data_root = NULL;
    document_list(&input, "topologies", &count);
    assert_int_equal(count, 0);
}

static void set_replaces_what_is_there_and_makes_what_is_not(void **state)
{
    (void)state;
    struct value *root =
        read_text("links: {wifi: {bandwidth: 1}}\nstages: [{a: 1}, {a: 2}]\nempty:\na.b: {c: 1}\n");
    assert_true(document_set(&input, root, "links.wifi.bandwidth", "54 Mbps"));
    assert_true(document_set(&input, root, "links.lan.latency", "1 ms"));
    assert_true(document_set(&input, root, "stages[1].a", "[1, {x: y}]"));
    assert_true(document_set(&input, root, "stages[0]", "yes"));
    assert_true(document_set(&input, root, "empty.deep", "'quoted'"));
    assert_true(document_set(&input, root, "a.b.c", "2"));
    assert_true(document_set(&input, root, "new", "{a: 1}"));
    assert_true(document_set(&input, root, "nothing", ""));
    expect_messages("");
    expect_shape(
        root, "{links: {wifi: {bandwidth: 54 Mbps}, lan: {latency: 1 ms}}, stages: [yes, {a: [1, {x: y}]}], "
              "empty: {deep: 'quoted'}, a.b: {c: 2}, new: {a: 1}, nothing: ~}");
    const struct entry *entry = value_entry(value_at(root, "links.wifi"), "bandwidth");
    assert_string_equal(entry->place.file, "--set links.wifi.bandwidth");
    assert_int_equal(entry->value->place.line, 0);
    assert_int_equal(value_at(root, "stages[1].a[1].x")->place.line, 0);
}

static void set_refuses_what_cannot_be(void **state)
{
    (void)state;
    struct value *root = read_text("stages: [{a: 1}, {a: 2}]\nword: text\n");
    const char *shape = reading_shape(root);
    static const char *const bad[] = {"",         ".a",         "a.",         "a..b",      "stages[x]",
                                      "stages[1", "stages[-1]", "stages[1]a", "stages.[1]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        reading_again();
        root = read_text("stages: [{a: 1}, {a: 2}]\nword: text\n");
        if (document_set(&input, root, bad[i], "1"))
            fail_msg("'%s' is accepted", bad[i]);
        expect_messages(arena_format(
            &input.arena,
            "--set %s: expected a dotted path such as links.wifi.bandwidth or plan.stages[0].devices",
            bad[i]));
    }
    reading_again();
    root = read_text("stages: [{a: 1}, {a: 2}]\nword: text\n");
    shape = reading_shape(root);
    assert_false(document_set(&input, root, "stages[2]", "1"));
    assert_false(document_set(&input, root, "word.x", "1"));
    assert_false(document_set(&input, root, "word[0]", "1"));
    assert_false(document_set(&input, root, "stages.x", "1"));
    assert_false(document_set(&input, root, "word", "[1"));
    assert_false(document_set(&input, root, "word", "{a: 1, a: 2}"));
    expect_shape(root, shape);
    expect_messages("--set stages[2]: there is no item [2]: the list has 2 (they count from 0)\n"
                    "--set word.x: expected a map to hold 'x'; got the text 'text'\n"
                    "--set word[0]: expected a list before [0]; got the text 'text'\n"
                    "--set stages.x: expected a map to hold 'x'; got a list (its first item is [0])\n"
                    "--set word: did not find expected ',' or ']' while parsing a flow sequence\n"
                    "--set word: duplicate key 'a'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILES(the_root_must_be_a_map),
        FILES(a_file_is_read_by_its_extension),
        FILES(a_file_that_cannot_be_read_is_an_error),
        FILES(a_large_file_is_read_whole),
        FILES(a_file_that_extends_another_lies_over_it),
        FILES(what_is_extended_may_extend),
        FILES(a_map_includes_files_under_its_own_keys),
        FILES(including_twice_gives_separate_copies),
        FILES(a_cycle_is_an_error),
        FILES(too_many_files_are_an_error),
        FILES(references_are_looked_up_beside_then_here_then_shipped),
        FILES(a_file_may_extend_the_shipped_one_of_its_own_name),
        FILES(a_name_may_contain_a_dot),
        FILES(a_missing_reference_suggests_a_shipped_name),
        FILES(an_error_in_an_included_file_stands_at_that_file),
        FILES(find_gives_the_path_of_what_a_folder_ships),
        FILES(list_gives_the_names_sorted_and_once),
        FILES(set_replaces_what_is_there_and_makes_what_is_not),
        FILES(set_refuses_what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
