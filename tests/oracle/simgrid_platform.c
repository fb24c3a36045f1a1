/* Compares imported platforms with SimGrid itself: for every pair of hosts the same capacities and latencies
 * in the same order. Built only where SimGrid is installed. `simgrid_platform FILE.xml`; a process can load
 * one platform. */
#include "platform/import.h"
#include "platform/route.h"
#include "platform/topology.h"

#include <simgrid/engine.h>
#include <simgrid/host.h>
#include <simgrid/link.h>
#include <xbt/dynar.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By length, then by name: n2 before n10. */
static int compare_hosts(const void *a, const void *b)
{
    const char *x = sg_host_get_name(*(const sg_host_t *)a), *y = sg_host_get_name(*(const sg_host_t *)b);
    if (strlen(x) != strlen(y))
        return strlen(x) < strlen(y) ? -1 : 1;
    return strcmp(x, y);
}

static uint32_t find_device(const struct platform *platform, const char *name)
{
    uint32_t id = names_find(platform->names, name);
    for (uint32_t d = 0; d < platform->devices.count; d++)
        if (platform->devices.at[d].name == id)
            return d;
    return UINT32_MAX;
}

/* Number of links in which the two routes differ; prints what differs. */
static int compare_route(struct platform *platform, uint32_t a, uint32_t b, sg_host_t from, sg_host_t to)
{
    uint32_t count;
    int wrong = 0;
    const uint32_t *links = route_links(platform, a, b, &count);
    if (count == UINT32_MAX) /* SimGrid ends the program when it is asked */
        return 0;
    xbt_dynar_t theirs = xbt_dynar_new(sizeof(sg_link_t), NULL);
    sg_host_get_route(from, to, theirs);
    if (count != xbt_dynar_length(theirs)) {
        printf("%s -> %s: %u links, in SimGrid %lu\n", sg_host_get_name(from), sg_host_get_name(to), count,
               xbt_dynar_length(theirs));
        wrong = 1;
    }
    for (uint32_t i = 0; i < count && !wrong; i++) {
        const struct link *link = &platform->links.at[links[i]];
        sg_link_t their;
        xbt_dynar_get_cpy(theirs, i, &their);
        if (link->bandwidth == sg_link_get_bandwidth(their) && link->latency == sg_link_get_latency(their))
            continue;
        printf("%s -> %s: link %u is %s, in SimGrid %s\n", sg_host_get_name(from), sg_host_get_name(to), i,
               names_text(platform->names, link->name), sg_link_get_name(their));
        wrong = 1;
    }
    xbt_dynar_free(&theirs);
    return wrong;
}

static int compare(struct platform *platform)
{
    int wrong = 0;
    size_t count = sg_host_count();
    sg_host_t *hosts = sg_host_list();
    uint32_t *devices = calloc(count, sizeof *devices);
    qsort(hosts, count, sizeof *hosts, compare_hosts);
    bool array = find_device(platform, "node[0]") != UINT32_MAX; /* a cluster: hosts in order */
    for (size_t h = 0; h < count; h++) {
        devices[h] = array ? (uint32_t)h : find_device(platform, sg_host_get_name(hosts[h]));
        if (devices[h] >= platform->devices.count) {
            printf("there is no device for the host %s\n", sg_host_get_name(hosts[h]));
            return 1;
        }
    }
    for (size_t a = 0; a < count; a++)
        for (size_t b = 0; b < count; b++)
            if (a != b)
                wrong += compare_route(platform, devices[a], devices[b], hosts[a], hosts[b]);
    printf("%zu hosts, %zu routes, %d differ\n", count, count * (count - 1), wrong);
    free(devices);
    free(hosts);
    return wrong || count != platform->devices.count;
}

int main(int argc, char **argv)
{
    struct input input;
    struct names names;
    struct platform platform;
    simgrid_init(&argc, argv);
    simgrid_load_platform(argv[1]);
    simgrid_run(); /* of nothing: computes the shortest ways */
    input_init(&input, NULL);
    names_init(&names);
    platform_init(&platform, &names);
    struct value *document = import_load(&input, argv[1], NULL);
    int wrong = 1;
    if (document && topology_read(&input, document, NULL, &platform))
        wrong = compare(&platform);
    else
        report_print(&input.report, stdout);
    platform_fini(&platform);
    names_fini(&names);
    input_fini(&input);
    return wrong;
}
