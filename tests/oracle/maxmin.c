/* maxmin DIRECTORY: runs every case of completion times (format: shared/oracles/maxmin/README.md) through the
 * network and compares. Prints the worst relative error per case and overall; exits 1 above 1e-9, 77 when the
 * directory is not there (ctest: skipped), 2 when it holds no case. */
#include "base/vector.h"
#include "engine/network.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WORST_ALLOWED 1e-9

struct case_flow {
    double start, bytes, latency, completion, measured;
    uint32_t first, count; /* in the case's usages */
};

struct maxmin_case {
    VECTOR(double) capacities;
    VECTOR(double) latencies;
    VECTOR(struct case_flow) flows;
    VECTOR(struct network_usage) usages;
    struct index_list order; /* flows by start */
};

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) {
        fprintf(stderr, "a number is missing: %s\n", key);
        exit(2);
    }
    return json_number_value(value);
}

/* A link that the route lists again gets a larger coefficient, and its latency counts again. */
static void read_route(struct maxmin_case *test, const json_t *route, struct case_flow *flow)
{
    flow->first = test->usages.count;
    for (size_t i = 0; i < json_array_size(route); i++) {
        uint32_t link = (uint32_t)json_integer_value(json_array_get(route, i));
        flow->latency += test->latencies.at[link];
        uint32_t k = flow->first;
        while (k < test->usages.count && test->usages.at[k].link != link)
            k++;
        if (k < test->usages.count)
            test->usages.at[k].coefficient += 1;
        else
            VECTOR_PUSH(&test->usages, ((struct network_usage){link, 1}));
    }
    flow->count = test->usages.count - flow->first;
}

static bool read_case(const char *path, struct maxmin_case *test)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        return false;
    }
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(root, "links"), i, item)
    {
        VECTOR_PUSH(&test->capacities, number(item, "bandwidth"));
        VECTOR_PUSH(&test->latencies, number(item, "latency"));
    }
    json_array_foreach(json_object_get(root, "flows"), i, item)
    {
        struct case_flow flow = {.start = number(item, "start"),
                                 .bytes = number(item, "bytes"),
                                 .completion = number(item, "completion"),
                                 .measured = NAN};
        read_route(test, json_object_get(item, "route"), &flow);
        VECTOR_PUSH(&test->flows, flow);
        VECTOR_PUSH(&test->order, (uint32_t)i);
    }
    json_decref(root);
    return true;
}

static const struct case_flow *sorted_flows;

static int compare_start(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    double s = sorted_flows[x].start, t = sorted_flows[y].start;
    return s < t ? -1 : s > t ? 1 : x < y ? -1 : x > y;
}

/* Runs to the end; returns the number of instants. */
static unsigned run_case(struct maxmin_case *test)
{
    sorted_flows = test->flows.at;
    qsort(test->order.at, test->order.count, sizeof *test->order.at, compare_start);
    struct network *network = network_new(test->capacities.at, test->capacities.count);
    unsigned instants = 0;
    uint32_t next = 0;
    for (;; instants++) {
        double now = network_next(network);
        if (next < test->order.count && test->flows.at[test->order.at[next]].start < now)
            now = test->flows.at[test->order.at[next]].start;
        if (now == INFINITY)
            break;
        const uint32_t *tags;
        uint32_t count = network_advance(network, now, &tags);
        for (uint32_t i = 0; i < count; i++)
            test->flows.at[tags[i]].measured = now;
        while (next < test->order.count && test->flows.at[test->order.at[next]].start <= now) {
            const struct case_flow *flow = &test->flows.at[test->order.at[next]];
            const struct network_flow wanted = {.usage = test->usages.at + flow->first,
                                                .usage_count = flow->count,
                                                .tag = test->order.at[next++],
                                                .bytes = flow->bytes,
                                                .latency = flow->latency,
                                                .weight = 1,
                                                .cap = INFINITY};
            network_start(network, now, &wanted);
        }
        network_solve(network, now);
    }
    network_free(network);
    return instants;
}

static double worst_error(const struct maxmin_case *test)
{
    double worst = 0;
    for (uint32_t i = 0; i < test->flows.count; i++) {
        double expected = test->flows.at[i].completion;
        double error = fabs(test->flows.at[i].measured - expected) / expected;
        if (!(error <= worst))
            worst = isnan(error) ? INFINITY : error;
    }
    return worst;
}

static double check_file(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    struct maxmin_case test = {0};
    double worst = INFINITY;
    if (read_case(path, &test)) {
        clock_t begin = clock();
        unsigned instants = run_case(&test);
        double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
        worst = worst_error(&test);
        printf("%-28s %5u flows %6u instants  worst %.2e  %.4f s\n", name, test.flows.count, instants, worst,
               seconds);
    }
    VECTOR_FREE(&test.capacities);
    VECTOR_FREE(&test.latencies);
    VECTOR_FREE(&test.flows);
    VECTOR_FREE(&test.usages);
    VECTOR_FREE(&test.order);
    return worst;
}

static int is_case(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && !strcmp(entry->d_name + length - 5, ".json");
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: maxmin DIRECTORY\n");
        return 2;
    }
    struct dirent **entries;
    int cases = scandir(arguments[1], &entries, is_case, alphasort);
    if (cases < 0) {
        printf("skipped: %s not there\n", arguments[1]);
        return 77;
    }
    unsigned passed = 0, failed = 0;
    double worst = 0;
    for (int i = 0; i < cases; i++) {
        double error = check_file(arguments[1], entries[i]->d_name);
        error <= WORST_ALLOWED ? passed++ : failed++;
        worst = error > worst ? error : worst;
        free(entries[i]);
    }
    free(entries);
    printf("worst relative error %.2e\n%u passed, %u failed\n", worst, passed, failed);
    return failed ? 1 : passed ? 0 : 2;
}
