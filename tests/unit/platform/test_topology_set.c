/* --set on topologies: keys, elements and shares. */
#include "platform_fixture.h"

#include "platform/topology_set.h"

static const char *const text =
    "parts: {box: {topology: dgx-a100-box, count: 2}}\n"
    "devices: {cpu: {count: 2, " TINY "}}\n"
    "switches: {hub: {count: 2}}\n"
    "links:\n"
    "  up: {type: infiniband-hdr, bandwidth: 20 GB/s, from: \"box[b].nic[n]\", to: "
    "\"hub[h]\"}\n"
    "  side: {bandwidth: 1 GB/s, from: \"cpu[i]\", to: \"hub[i]\"}\n";

static bool set(struct fixture *f, struct value **document, const char *path, const char *value)
{
    fixture_init(f);
    *document = fixture_parse(f, "t.yaml", text);
    return topology_set(&f->input, *document, path, value) &&
           topology_read(&f->input, *document, NULL, &f->platform);
}

static void load(struct fixture *f, const char *path, const char *value)
{
    struct value *document;
    if (!set(f, &document, path, value))
        fail_msg("%s=%s: %s", path, value, fixture_messages(f));
}

static void expect(const char *path, const char *value, const char *messages)
{
    struct fixture f;
    struct value *document;
    assert_false(set(&f, &document, path, value));
    assert_string_equal(fixture_messages(&f), messages);
    fixture_fini(&f);
}

static double rate(struct fixture *f, const char *link)
{
    return fixture_link(f, link)->bandwidth;
}

static void single_elements_and_shares_are_set(void **state)
{
    (void)state;
    struct fixture f;
    const double whole = 20e9 * 0.94;
    load(&f, "links.up.bandwidth", "10 GB/s");
    assert_near(rate(&f, "up[0,3,1]>"), whole / 2, 1);
    fixture_fini(&f);
    load(&f, "links.up.bandwidth", "50%"); /* of what the entry says */
    assert_near(rate(&f, "up[0,3,1]>"), whole / 2, 1);
    assert_near(rate(&f, "side[0]>"), 1e9, 0);
    fixture_fini(&f);
    load(&f, "links.up[1,3,0].bandwidth", "25%");
    assert_near(rate(&f, "up[1,3,0]>"), whole / 4, 1);
    assert_near(rate(&f, "up[1,3,1]>"), whole, 1);
    fixture_fini(&f);
    load(&f, "links.up[*,3,0].failed", "yes");
    assert_int_equal(f.platform.links.count, 2 * (32 - 2 + 2 + 32));
    fixture_fini(&f);
    load(&f, "links.box[1].nvlink[2].bandwidth", "10%");
    assert_near(rate(&f, "box[1].nvlink[2]>"), rate(&f, "box[0].nvlink[2]>") / 10, 1);
    fixture_fini(&f);
    load(&f, "devices.box[1].gpu[7].speed", "0.5");
    assert_near(f.platform.devices.at[fixture_device(&f, "box[1].gpu[7]")].speed, 0.5, 0);
    fixture_fini(&f);
    load(&f, "switches.hub[1].failed", "yes");
    assert_string_equal(fixture_route(&f, "cpu[1]", "cpu[0]"), "none");
    fixture_fini(&f);
    load(&f, "parts.box.topology", "dgx-h100-box");
    assert_string_equal(names_text(&f.names, fixture_type(&f, "box[0].gpu[0]")->name), "H100-SXM5-80GB");
    fixture_fini(&f);
    load(&f, "parts.box.set", "{gpus: 4}");
    assert_int_equal(f.platform.devices.count, 2 + 8);
    fixture_fini(&f);
}

static void wrong_paths_are_reported(void **state)
{
    (void)state;
    expect("links.upp.bandwidth", "1 GB/s",
           "--set links.upp.bandwidth:0:0: there is no link 'upp'; did you mean 'up'?");
    expect("links.up[9,0,0].bandwidth", "50%",
           "--set links.up[9,0,0].bandwidth:0:0: there is no 'up[9,0,0]': index 1 goes from 0 to 1");
    expect("devices.box[0].gpus[1].speed", "2",
           "--set devices.box[0].gpus[1].speed:0:0: there is no device or link 'box.gpus'; did you mean "
           "'box.gpu'?");
    expect("links.up.bandwidth", "0%",
           "--set links.up.bandwidth:0:0: the bandwidth of link 'up' must be more than 0; got 0 B/s");
    expect("parts.bix.count", "2", "--set parts.bix.count:0:0: there is no part 'bix'; did you mean 'box'?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_elements_and_shares_are_set),
        cmocka_unit_test(wrong_paths_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
