/* SimGrid's XML platforms. */
#include "import_fixture.h"

static void a_full_zone_keeps_its_routes(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "three-hosts.xml", NULL);
    assert_string_equal(fixture_route(&f, "alice", "bob"), "link-1> link-2<");
    assert_string_equal(fixture_route(&f, "bob", "alice"), "link-2> link-1<");
    assert_string_equal(fixture_route(&f, "bob", "carol"), "link-2> bus");
    assert_string_equal(fixture_route(&f, "carol", "bob"), "bus");
    assert_string_equal(fixture_route(&f, "carol", "alice"), "bus link-2< link-1<");
    assert_near(import_latency(&f, "alice", "carol"), 50e-6 + 0.1e-3 + 1e-3, 1e-18);
    assert_near(fixture_link(&f, "link-1<")->bandwidth, 125e6, 0);
    assert_near(fixture_link(&f, "link-2>")->bandwidth, 1e9 / 8, 0);
    assert_near(fixture_link(&f, "bus")->bandwidth, 10 * 1048576.0, 0);
    assert_int_equal(fixture_link(&f, "bus")->mode, LINK_HALF_DUPLEX);
    assert_int_equal(f.platform.links.count, 5);
    fixture_fini(&f);
}

static void a_host_computes_at_its_speed_times_its_cores(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "three-hosts.xml", "memory: 16 GB");
    assert_near(fixture_type(&f, "alice")->peak[FP32], 2e9, 0);
    assert_near(fixture_type(&f, "bob")->peak[FP32], 6e9, 0);
    assert_near(fixture_type(&f, "carol")->peak[FP32], 250e6, 0);
    assert_near(fixture_type(&f, "carol")->memory, 16e9, 0);
    fixture_fini(&f);
}

static void a_cluster_with_a_backbone_uses_it_once(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "cluster.xml", NULL);
    assert_int_equal(f.platform.devices.count, 4);
    assert_string_equal(fixture_route(&f, "node[0]", "node[3]"), "cable[0]> backbone cable[3]<");
    assert_near(import_latency(&f, "node[2]", "node[1]"), 600e-6, 1e-18);
    assert_near(fixture_link(&f, "backbone")->bandwidth, 2e9, 0);
    assert_near(fixture_type(&f, "node[0]")->peak[FP32], 20e9, 0);
    fixture_fini(&f);
}

static void a_large_cluster_needs_no_list_of_routes(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "crossbar.xml", NULL);
    assert_int_equal(f.platform.devices.count, 1000);
    assert_null(f.platform.table);
    assert_string_equal(fixture_route(&f, "node[0]", "node[999]"), "cable[0]> cable[999]<");
    assert_near(fixture_link(&f, "cable[7]>")->bandwidth, 1.25e9, 0);
    fixture_fini(&f);
}

static void zones_are_joined_through_their_gateways(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "zones.xml", NULL);
    assert_string_equal(fixture_route(&f, "e0", "e1"), "east_link_0> east_backbone east_link_1<");
    assert_string_equal(fixture_route(&f, "e0", "w5"),
                        "east_link_0> east_backbone wan> west_link_5 west_link_5_limiter");
    assert_string_equal(fixture_route(&f, "w6", "e1"),
                        "west_link_6_limiter west_link_6 wan< east_backbone east_link_1<");
    assert_string_equal(fixture_route(&f, "w5", "w6"),
                        "west_link_5_limiter west_link_5 west_link_6 west_link_6_limiter");
    assert_string_equal(fixture_route(&f, "pc", "e0"), "dsl east_backbone east_link_0<");
    assert_string_equal(fixture_route(&f, "pc", "w5"), "dsl wan> west_link_5 west_link_5_limiter");
    assert_string_equal(fixture_route(&f, "w5", "pc"), "none");
    assert_near(import_latency(&f, "e0", "w5"), 50e-6 + 20e-6 + 30e-3 + 10e-6, 1e-17);
    fixture_fini(&f);
}

static void what_is_not_used_is_said_once(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "zones.xml", NULL);
    assert_string_equal(
        fixture_messages(&f),
        "zones.xml:4:3: warning: <config> is not used\n"
        "zones.xml:4:11: warning: <prop> is not used\n"
        "zones.xml:6:5: warning: 'loopback_bw' of <cluster> is not used\n"
        "zones.xml:1:1: warning: a SimGrid platform does not say how much memory a host has: 1 TB at "
        "1 TB/s is assumed (the parameters 'memory' and 'memory-bandwidth')\n"
        "zones.xml:1:1: warning: there is no route from 'w5' to 'pc', and none for 2 pairs of hosts "
        "in all");
    fixture_fini(&f);
}

static void zones_nest_and_are_joined_over_others(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "nested.xml", NULL);
    assert_string_equal(fixture_route(&f, "n1", "s2"), "nl nm> hall< obb ol2 ms sl");
    assert_string_equal(fixture_route(&f, "s1", "r1"), "ms ol2 obb hall> room_link_1<");
    assert_string_equal(fixture_route(&f, "o1", "n1"), "ol1> obb hall> nm< nl");
    fixture_fini(&f);
}

static void floyd_takes_the_way_with_the_fewest_links(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "shortest.xml", NULL);
    assert_string_equal(fixture_route(&f, "a", "c"), "ab bc");
    assert_string_equal(fixture_route(&f, "a", "d"), "slow");
    assert_string_equal(fixture_route(&f, "d", "b"), "slow ab");
    assert_string_equal(fixture_route(&f, "d", "c"), "cd");
    fixture_fini(&f);
}

static void a_star_joins_each_host_by_its_own_links(void **state)
{
    (void)state;
    struct fixture f;
    import_file(&f, "star.xml", NULL);
    assert_string_equal(fixture_route(&f, "one", "two"), "l1> bb down2");
    assert_string_equal(fixture_route(&f, "two", "one"), "up2 bb l1<");
    assert_string_equal(fixture_route(&f, "three", "two"), "l3 bb down2");
    assert_near(import_latency(&f, "two", "three"), 2e-3 + 5e-6 + 3e-3, 1e-17);
    fixture_fini(&f);
}

#define ZONE "<platform version=\"4.1\"><zone id=\"z\" routing=\"Full\">\n"
#define HOSTS "<host id=\"a\" speed=\"1Gf\"/><host id=\"b\" speed=\"1Gf\"/>\n"
#define LINK "<link id=\"cable\" bandwidth=\"1GBps\" latency=\"1us\" sharing_policy=\"SPLITDUPLEX\"/>\n"
#define END "</zone></platform>"

static const char *read_messages(const char *text, bool *well)
{
    static char messages[2048];
    struct fixture f;
    *well = import_read_text(&f, &import_simgrid, "p.xml", text, strlen(text), NULL);
    snprintf(messages, sizeof messages, "%s", fixture_messages(&f));
    fixture_fini(&f);
    return messages;
}

static void star_routes_lead_to_everyone(void **state)
{
    (void)state;
    struct fixture f;
    const char *text =
        "<platform version=\"4.1\"><zone id=\"z\" routing=\"Star\">\n" HOSTS LINK
        "<link id=\"bus\" bandwidth=\"1GBps\" sharing_policy=\"SHARED\"/>\n"
        "<route src=\"a\" dst=\"*\"><link_ctn id=\"cable\" direction=\"UP\"/><link_ctn id=\"bus\"/></route>\n"
        "<route src=\"b\"><link_ctn id=\"bus\"/></route>\n" END;
    assert_true(import_read_text(&f, &import_simgrid, "p.xml", text, strlen(text), NULL));
    assert_string_equal(fixture_route(&f, "a", "b"), "cable> bus");
    assert_string_equal(fixture_route(&f, "b", "a"), "bus cable<");
    fixture_fini(&f);
}

static void a_bypass_comes_before_the_zones_routes(void **state)
{
    (void)state;
    struct fixture f;
    const char *text =
        ZONE HOSTS LINK "<link id=\"short\" bandwidth=\"1GBps\" latency=\"1us\"/>\n"
                        "<route src=\"a\" dst=\"b\"><link_ctn id=\"cable\" direction=\"UP\"/></route>\n"
                        "<bypassRoute src=\"a\" dst=\"b\"><link_ctn "
                        "id=\"short\"/></bypassRoute>" END;
    assert_true(import_read_text(&f, &import_simgrid, "p.xml", text, strlen(text), NULL));
    assert_string_equal(fixture_route(&f, "a", "b"), "short");
    assert_string_equal(fixture_route(&f, "b", "a"), "cable<");
    fixture_fini(&f);
}

static void fatpipes_and_power_states_are_said_to_be_simplified(void **state)
{
    (void)state;
    bool well;
    const char *said =
        read_messages(ZONE "<host id=\"a\" speed=\"1Gf,500Mf\" availability_file=\"x\"/>"
                           "<link id=\"l\" bandwidth=\"1GBps\" sharing_policy=\"FATPIPE\"/>" END,
                      &well);
    assert_true(well);
    assert_non_null(strstr(said, "p.xml:2:1: warning: 'availability_file' of <host> is not used"));
    assert_non_null(
        strstr(said, "p.xml:2:1: warning: of several speeds (power states) only the first one is used"));
    assert_non_null(strstr(said, "warning: FATPIPE is not imported as such"));
}

static void wrong_xml_is_reported_where_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *text, *messages;
    } cases[] = {
        {"", "p.xml:1:1: the XML is not well formed: no element found"},
        {"<platform version=\"4.1\">\n  <zone id=\"z\"",
         "p.xml:2:3: the XML is not well formed: unclosed token"},
        {ZONE HOSTS "</platform>", "p.xml:3:3: the XML is not well formed: mismatched tag"},
        {"<html/>", "p.xml:1:1: expected <platform>, as SimGrid's platforms start; got <html>"},
        {"<platform version=\"3\"/>",
         "p.xml:1:1: expected a platform of version 4.1; got '3' (simgrid_update_xml "
         "converts old files)"},
        {"<platform version=\"4.1\"/>", "p.xml:1:1: the platform has no hosts"},
        {"<platform version=\"4.1\"><zone id=\"z\" routing=\"Ful\">" HOSTS END,
         "p.xml:1:25: there is no routing (that Partita can import) 'Ful'; did you mean 'Full'?"},
        {"<platform version=\"4.1\"><zone id=\"z\" routing=\"Vivaldi\">" HOSTS END,
         "p.xml:1:25: there is no routing (that Partita can import) 'Vivaldi'; expected one of Full, Floyd, "
         "Dijkstra, "
         "DijkstraCache, Cluster, Star, None"},
        {ZONE HOSTS LINK "<route src=\"a\" dst=\"b\">\n <link_ctn id=\"cabel\"/></route>" END,
         "p.xml:5:2: there is no link 'cabel'; did you mean 'cable'?"},
        {ZONE HOSTS LINK "<route src=\"a\" dst=\"c\"><link_ctn id=\"cable\" direction=\"UP\"/></route>" END,
         "p.xml:4:1: there is no host or router 'c'; expected one of z, a, b"},
        {ZONE HOSTS LINK "<route src=\"a\" dst=\"b\"><link_ctn id=\"cable\" direction=\"LEFT\"/></route>" END,
         "p.xml:4:24: expected the direction UP or DOWN; got 'LEFT'"},
        {ZONE HOSTS LINK "<route src=\"a\" dst=\"b\"><link_ctn id=\"cable\" direction=\"UP\"/></route>\n"
                         "<route src=\"b\" dst=\"a\"><link_ctn id=\"cable\" direction=\"UP\"/></route>" END,
         "p.xml:5:1: there is a route from 'a' to 'b' already, at line 4 (routes are symmetrical unless they "
         "say "
         "symmetrical=\"no\")"},
        {ZONE HOSTS LINK "<route src=\"a\" dst=\"b\"><link_ctn id=\"cable\"/></route>" END,
         "p.xml:4:24: 'cable' is SPLITDUPLEX: it needs direction=\"UP\" or \"DOWN\""},
        {ZONE HOSTS "<link id=\"l\" bandwidth=\"1GBps\"/><route src=\"a\" dst=\"b\"><link_ctn id=\"l\" "
                    "direction=\"UP\"/></route>" END,
         "p.xml:3:56: 'l' has no directions: only links with sharing_policy=\"SPLITDUPLEX\" have"},
        {ZONE HOSTS "<host id=\"a\" speed=\"1Gf\"/>" END,
         "p.xml:3:1: there is a host, router or zone 'a' already"},
        {ZONE "<host id=\"a\"/>" END, "p.xml:2:1: <host> needs the attribute 'speed'"},
        {ZONE "<host id=\"a\" speed=\"fast\"/><host id=\"b\" speed=\"1Gf\"/>" END,
         "p.xml:2:1: expected the speed of host 'a', such as 1Gf; got 'fast'"},
        {ZONE "<host id=\"a\" speed=\"0f\"/>" END,
         "p.xml:2:1: the speed of host 'a' must be more than 0, and so its cores"},
        {ZONE HOSTS "<link id=\"l\" bandwidth=\"1GBs\"/>" END,
         "p.xml:3:1: expected the bandwidth of link 'l', such as 125MBps or 1Gbps; got '1GBs'"},
        {ZONE HOSTS "<link id=\"l\" bandwidth=\"1GBps\" latency=\"1 meter\"/>" END,
         "p.xml:3:1: expected the latency of link 'l', such as 50us; got '1 meter'"},
        {ZONE HOSTS "<link id=\"l\" bandwidth=\"1GBps\" sharing_policy=\"WIFI\"/>" END,
         "p.xml:3:1: there is no sharing policy (that Partita can import) 'WIFI'; expected one of SHARED, "
         "SPLITDUPLEX, "
         "FATPIPE, FULLDUPLEX"},
        {ZONE HOSTS "<link_ctn id=\"l\"/>" END,
         "p.xml:3:1: <link_ctn> must stand in a <route> or <zoneRoute>"},
        {"<platform version=\"4.1\"><host id=\"a\" speed=\"1Gf\"/></platform>",
         "p.xml:1:25: <host> must stand in a <zone>"},
        {ZONE "<peer id=\"p\"/>" END,
         "p.xml:2:1: <peer> and Vivaldi coordinates cannot be imported: write hosts and "
         "links instead"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        import_expect(&import_simgrid, "p.xml", cases[i].text, cases[i].messages);
}

#define CLUSTER(more)                                                                                        \
    "<platform version=\"4.1\"><cluster id=\"c\" prefix=\"n\" suffix=\"\" speed=\"1Gf\" bw=\"1GBps\" " more  \
    "/></platform>"

static void wrong_clusters_are_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text, *messages;
    } cases[] = {
        {CLUSTER(""), "p.xml:1:25: <cluster> needs the attribute 'radical'"},
        {CLUSTER("radical=\"0-\""),
         "p.xml:1:25: expected the radical of cluster 'c' as numbers and ranges, such as "
         "0-15 or 0-3,7; got '0-'"},
        {CLUSTER("radical=\"one\""),
         "p.xml:1:25: expected the radical of cluster 'c' as numbers and ranges, such as "
         "0-15 or 0-3,7; got 'one'"},
        {CLUSTER("radical=\"5-3\""), "p.xml:1:25: the radical '5-3' of cluster 'c' runs backwards: 5-3"},
        {CLUSTER("radical=\"0-4000000000\""),
         "p.xml:1:25: expected the radical of cluster 'c' as numbers and ranges, "
         "such as 0-15 or 0-3,7; got '0-4000000000'"},
        {CLUSTER("radical=\"0-999999\""), "p.xml:1:25: cluster 'c' has more than 65536 hosts"},
        {CLUSTER("radical=\"0-3,2\""), "p.xml:1:25: there is a link 'c_link_2' already"},
        {CLUSTER("radical=\"0-3\" topology=\"TORUS\" topo_parameters=\"2,2\""),
         "p.xml:1:25: cluster 'c' has the topology TORUS, which cannot be imported (FLAT can): write it as a "
         "topology "
         "of Partita's own"},
        {CLUSTER("radical=\"0-3\" bb_lat=\"1us\""), "p.xml:1:25: cluster 'c' has 'bb_lat' and no 'bb_bw'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        import_expect(&import_simgrid, "p.xml", cases[i].text, cases[i].messages);
}

static void wrong_gateways_are_reported(void **state)
{
    (void)state;
#define TWO                                                                                                  \
    "<platform version=\"4.1\"><zone id=\"w\" routing=\"Full\">"                                             \
    "<zone id=\"x\" routing=\"Full\"><host id=\"a\" speed=\"1Gf\"/></zone>"                                  \
    "<zone id=\"y\" routing=\"Full\"><host id=\"b\" speed=\"1Gf\"/></zone>" LINK
    static const struct {
        const char *text, *messages;
    } cases[] = {
        {TWO "<zoneRoute src=\"x\" dst=\"y\" gw_src=\"b\" gw_dst=\"b\"><link_ctn id=\"cable\" "
             "direction=\"UP\"/></zoneRoute>" END,
         "p.xml:2:1: the gateway 'b' is no host or router of 'x'"},
        {TWO "<zoneRoute src=\"x\" dst=\"y\" gw_dst=\"b\"><link_ctn id=\"cable\" "
             "direction=\"UP\"/></zoneRoute>" END,
         "p.xml:2:1: <zoneRoute> needs the attribute 'gw_src'"},
        {TWO "<route src=\"a\" dst=\"b\"><link_ctn id=\"cable\" direction=\"UP\"/></route>" END,
         "p.xml:2:1: 'a' does not stand in the zone of this route"},
        {TWO "<route src=\"x\" dst=\"y\"><link_ctn id=\"cable\" direction=\"UP\"/></route>" END,
         "p.xml:2:1: a route leads from a host or router to another; between zones it is a <zoneRoute>"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        import_expect(&import_simgrid, "p.xml", cases[i].text, cases[i].messages);
}

static void gateways_that_lead_in_a_circle_are_no_route(void **state)
{
    (void)state;
    bool well;
    /* The way out of x leads over y, and the way out of y over x. */
    const char *said = read_messages(
        "<platform version=\"4.1\"><zone id=\"w\" routing=\"Full\">"
        "<zone id=\"x\" routing=\"None\"><host id=\"a\" speed=\"1Gf\"/><host id=\"g\" speed=\"1Gf\"/></zone>"
        "<zone id=\"y\" routing=\"None\"><host id=\"b\" speed=\"1Gf\"/></zone>" LINK
        "<zoneRoute src=\"x\" dst=\"y\" gw_src=\"g\" gw_dst=\"b\"><link_ctn id=\"cable\" "
        "direction=\"UP\"/></zoneRoute>" END,
        &well);
    assert_true(well);
    assert_non_null(strstr(said, "there is no route from 'a' to 'g', and none for 4 pairs of hosts in all"));
}

static void names_become_names_of_partita(void **state)
{
    (void)state;
    struct fixture f;
    const char *text =
        ZONE "<host id=\"7.lan\" speed=\"1Gf\"/><host id=\"a b\" speed=\"1Gf\"/><host id=\"a_b\" "
             "speed=\"1Gf\"/>" LINK
             "<route src=\"7.lan\" dst=\"a b\"><link_ctn id=\"cable\" direction=\"UP\"/></route>"
             "<route src=\"7.lan\" dst=\"a_b\"><link_ctn id=\"cable\" direction=\"UP\"/></route>" END;
    import_read_text(&f, &import_simgrid, "p.xml", text, strlen(text), NULL);
    assert_string_equal(fixture_route(&f, "host-7_lan", "a_b-2"), "cable>");
    assert_string_equal(fixture_route(&f, "a_b", "host-7_lan"), "cable<");
    fixture_fini(&f);
}

static void a_converted_platform_is_the_same(void **state)
{
    (void)state;
    static const char *const files[] = {"three-hosts.xml", "cluster.xml", "crossbar.xml", "zones.xml",
                                        "shortest.xml",    "nested.xml",  "star.xml"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        import_expect_round_trip(files[i]);
}

static void mutated_platforms_never_crash(void **state)
{
    (void)state;
    import_mutate_file(&import_simgrid, "zones.xml");
    import_mutate_file(&import_simgrid, "three-hosts.xml");
    import_mutate_file(&import_simgrid, "star.xml");
    import_mutate_file(&import_simgrid, "nested.xml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_zone_keeps_its_routes),
        cmocka_unit_test(a_host_computes_at_its_speed_times_its_cores),
        cmocka_unit_test(a_cluster_with_a_backbone_uses_it_once),
        cmocka_unit_test(a_large_cluster_needs_no_list_of_routes),
        cmocka_unit_test(zones_are_joined_through_their_gateways),
        cmocka_unit_test(what_is_not_used_is_said_once),
        cmocka_unit_test(zones_nest_and_are_joined_over_others),
        cmocka_unit_test(floyd_takes_the_way_with_the_fewest_links),
        cmocka_unit_test(a_star_joins_each_host_by_its_own_links),
        cmocka_unit_test(star_routes_lead_to_everyone),
        cmocka_unit_test(a_bypass_comes_before_the_zones_routes),
        cmocka_unit_test(fatpipes_and_power_states_are_said_to_be_simplified),
        cmocka_unit_test(wrong_xml_is_reported_where_it_is),
        cmocka_unit_test(wrong_clusters_are_reported),
        cmocka_unit_test(wrong_gateways_are_reported),
        cmocka_unit_test(gateways_that_lead_in_a_circle_are_no_route),
        cmocka_unit_test(names_become_names_of_partita),
        cmocka_unit_test(a_converted_platform_is_the_same),
        cmocka_unit_test(mutated_platforms_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
