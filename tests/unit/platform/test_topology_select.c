#include "platform_fixture.h"

static const char text[] =
    "devices: {pi: {count: 5, " TINY "}, gateway: {" TINY "}, gpu: {count: [2, 3], " TINY "}}\n"
    "switches: {hub: }\n"
    "links: {air: {bandwidth: 1 GB/s, mode: shared, stations: [pi, gateway, gpu]}}\n";

/* Selects with a YAML value and gives the devices' names, or the messages. */
static const char *selected(struct fixture *f, const char *pattern)
{
    const char *yaml = arena_format(&f->input.arena, "devices: %s\n", pattern), *all = "";
    struct value *document = fixture_parse(f, "p.yaml", yaml);
    struct index_list list = {0};
    if (!topology_select(&f->input, &f->platform, value_get(document, "devices"), &list)) {
        assert_int_equal(list.count, 0);
        VECTOR_FREE(&list);
        return fixture_messages(f);
    }
    for (uint32_t i = 0; i < list.count; i++)
        all = arena_format(&f->input.arena, "%s%s%s", all, i ? " " : "",
                           names_text(&f->names, f->platform.devices.at[list.at[i]].name));
    VECTOR_FREE(&list);
    return all;
}

static void expect(const char *pattern, const char *result)
{
    struct fixture f;
    fixture_load(&f, text, NULL);
    assert_string_equal(selected(&f, pattern), result);
    fixture_fini(&f);
}

static void patterns_name_devices(void **state)
{
    (void)state;
    expect("gateway", "gateway");
    expect("pi[0]", "pi[0]");
    expect("\"pi[1..3]\"", "pi[1] pi[2] pi[3]");
    expect("pi[*]", "pi[0] pi[1] pi[2] pi[3] pi[4]");
    expect("\"gpu[1,*]\"", "gpu[1,0] gpu[1,1] gpu[1,2]");
    expect("\"gpu[*, 1..2]\"", "gpu[0,1] gpu[0,2] gpu[1,1] gpu[1,2]");
    expect("gpu", "gpu[0,0] gpu[0,1] gpu[0,2] gpu[1,0] gpu[1,1] gpu[1,2]");
    expect("[gateway, \"pi[4]\", \"pi[0]\"]", "gateway pi[4] pi[0]");
    expect("\"*\"",
           "pi[0] pi[1] pi[2] pi[3] pi[4] gateway gpu[0,0] gpu[0,1] gpu[0,2] gpu[1,0] gpu[1,1] gpu[1,2]");
}

static void wrong_patterns_are_reported(void **state)
{
    (void)state;
    expect("gatewy", "p.yaml:1:10: there is no device 'gatewy'; did you mean 'gateway'?");
    expect("hub", "p.yaml:1:10: there is no device 'hub'; expected one of pi, gateway, gpu");
    expect("pi[5]", "p.yaml:1:13: there is no 'pi[5]': it goes from 0 to 4");
    expect("\"gpu[0,3]\"", "p.yaml:1:17: there is no 'gpu[0,3]': index 2 goes from 0 to 2");
    expect("gpu[0]", "p.yaml:1:10: 'gpu' has 2 indices; got 'gpu[0]'");
    expect("gateway[0]", "p.yaml:1:10: 'gateway' has no index; got 'gateway[0]'");
    expect("pi[3..1]", "p.yaml:1:13: the range '3..1' is empty");
    expect("pi[-1]", "p.yaml:1:13: expected an index, a whole number from 0 on; got '-1'");
    expect("pi[n]", "p.yaml:1:13: unknown name 'n'");
    expect("pi[", "p.yaml:1:10: expected NAME or NAME[INDEX, …]; got 'pi['");
    expect("[gateway, pi, \"pi[1]\"]", "p.yaml:1:25: the device 'pi[1]' is named twice");
    expect("[]", "p.yaml:1:10: expected at least one device; got none");
    expect("{a: 1}",
           "p.yaml:1:10: expected the name of a device or a pattern such as \"pi[0..3]\"; got a map");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_name_devices),
        cmocka_unit_test(wrong_patterns_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
