/* The keys are those of astra-sim/system/Sys.cc. A list of implementations has one for each dimension of the
 * network, the first for the innermost: an all-reduce goes through them one after the other on what the ones
 * before have left, which is the algorithm `hierarchical`. */
#include "study/astra_system.h"

#include "collective/collective.h"
#include "platform/worker_array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct astra_system {
    struct scenario *scenario;
    struct input *input;
    const struct value *document;
    uint32_t rank, size[ARRAY_RANK]; /* dimensions of the NPUs, innermost first */
};

/* Lists of implementations, by the kind of collective. */
static const struct {
    const char *key;
    int kind;
} system_collectives[] = {{"all-reduce-implementation", ALL_REDUCE},
                          {"reduce-scatter-implementation", REDUCE_SCATTER},
                          {"all-gather-implementation", ALL_GATHER},
                          {"all-to-all-implementation", ALL_TO_ALL}};

/* Implementations and the algorithms that they are; "one…" takes all dimensions as one. */
static const struct {
    const char *name, *algorithm;
    bool one, window; /* window: a number may follow, of messages at a time */
} system_algorithms[] = {{"ring", "ring", false, false},
                         {"oneRing", "ring", true, false},
                         {"direct", "direct", false, true},
                         {"oneDirect", "direct", true, true},
                         {"doubleBinaryTree", "double-binary-tree", false, false},
                         {"halvingDoubling", "halving-doubling", false, false},
                         {"oneHalvingDoubling", "halving-doubling", true, false}};
enum { SYSTEM_ALGORITHMS = sizeof system_algorithms / sizeof system_algorithms[0] };

/* The entry of system_algorithms of an implementation; SYSTEM_ALGORITHMS after reporting. */
static uint32_t system_find(struct astra_system *system, const struct value *value)
{
    const char *names[SYSTEM_ALGORITHMS], *text = value->kind == VALUE_SCALAR ? value->text : "";
    for (uint32_t i = 0; i < SYSTEM_ALGORITHMS; i++) {
        size_t length = strlen(system_algorithms[i].name);
        names[i] = system_algorithms[i].name;
        bool rest = strncmp(text, names[i], length) == 0 &&
                    strspn(text + length, "0123456789") == strlen(text + length);
        if (rest && (system_algorithms[i].window || !text[length]))
            return i;
    }
    fields_no_such(system->input, value->place, "collective implementation of ASTRA-sim", text, names,
                   SYSTEM_ALGORITHMS);
    return SYSTEM_ALGORITHMS;
}

/* The algorithm of a list of implementations: NULL after reporting. *whole: it is for all devices only. */
static const char *system_algorithm(struct astra_system *system, const struct value *list, bool *whole)
{
    struct arena *arena = &system->input->arena;
    const char *text = "hierarchical";
    *whole = false;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t found = system_find(system, list->entries[i].value);
        if (found == SYSTEM_ALGORITHMS)
            return NULL;
        if (list->count == 1 || system_algorithms[found].one)
            return system_algorithms[found].algorithm;
        if (i < system->rank)
            text = arena_format(arena, "%s/%u*%s", text, system->size[i], system_algorithms[found].algorithm);
    }
    *whole = true;
    if (list->count == system->rank)
        return text;
    report_error(&system->input->report, list->place,
                 "there are implementations for %u dimensions, but the devices of this topology have %u",
                 list->count, system->rank);
    return NULL;
}

struct carrier_list {
    struct workload_carrier *at;
    uint32_t count, room;
};

/* An algorithm of one kind: for all groups, or for each that is all devices. */
static void system_carrier(struct astra_system *system, struct workload_carrier carrier, bool whole,
                           struct carrier_list *out)
{
    struct scenario *s = system->scenario;
    if (!whole)
        VECTOR_PUSH(out, carrier);
    for (uint32_t g = 0; whole && g < s->job.group_count; g++) {
        if (s->job.groups[g].member_count != platform_workers(&s->platform))
            continue;
        carrier.group = names_text(&s->names, s->job.groups[g].name);
        VECTOR_PUSH(out, carrier);
    }
}

static bool system_carriers(struct astra_system *system, struct carrier_list *out)
{
    for (size_t k = 0; k < FIELDS_COUNT(system_collectives); k++) {
        const struct value *list = value_get(system->document, system_collectives[k].key);
        const char *problem = NULL, *text;
        bool whole;
        if (!list)
            continue;
        if (!fields_want_list(system->input, list, list->place, system_collectives[k].key) ||
            !(text = system_algorithm(system, list, &whole)))
            return false;
        const struct algorithm *algorithm = collective_parse(text, &system->scenario->arena, &problem);
        if (!algorithm)
            return report_error(&system->input->report, list->place, "%s", problem);
        struct workload_carrier carrier = {NULL, system_collectives[k].kind, algorithm, list->place};
        system_carrier(system, carrier, whole, out);
    }
    return true;
}

bool astra_system_collectives(struct scenario *scenario, const struct value *document)
{
    struct astra_system system = {.scenario = scenario, .input = &scenario->input, .document = document};
    struct carrier_list read = {0};
    system.rank = worker_array_sizes(&scenario->platform, system.size);
    bool good = system_carriers(&system, &read);
    if (good && read.count && !scenario->workload.algorithm) {
        scenario->workload.carriers = arena_copy(&scenario->arena, read.at, read.count * sizeof *read.at);
        scenario->workload.carrier_count = read.count;
    }
    VECTOR_FREE(&read);
    return good;
}

/* A plain number, at least `least`; absent: `out` stays. */
static bool system_number(struct astra_system *system, const char *key, double least, double *out)
{
    const struct value *value = value_get(system->document, key);
    char *end = NULL;
    if (!value)
        return true;
    double number = value->kind == VALUE_SCALAR ? strtod(value->text, &end) : NAN;
    if (end && end != value->text && !*end && isfinite(number) && number >= least) {
        *out = number;
        return true;
    }
    return report_error(&system->input->report, value->place,
                        "expected a number of at least %g in '%s'; got %s", least, key,
                        value_describe(value, &system->input->arena));
}

/* ASTRA-sim's roofline: operations by the peak rate, bytes by the memory's, nothing else. */
static bool system_devices(struct astra_system *system)
{
    double peak = 0, memory = 0;
    struct platform *platform = &system->scenario->platform;
    if (!system_number(system, "peak-perf", 1e-9, &peak) ||
        !system_number(system, "local-mem-bw", 1e-9, &memory))
        return false;
    for (uint32_t d = 0; d < platform->devices.count; d++) {
        struct device_type *type = &platform->device_types.at[platform->devices.at[d].type];
        if (platform->devices.at[d].role != DEVICE_WORKER)
            continue;
        for (uint32_t p = 0; p < PRECISION_COUNT && peak > 0; p++)
            type->peak[p] = peak * 1e12;
        if (memory > 0)
            type->memory_bandwidth = memory * 1e9;
        for (uint32_t k = 0; k < KERNEL_COUNT; k++)
            if (k == KERNEL_MEMORY ? memory > 0 : peak > 0)
                type->efficiency[k] = 1;
        type->launch = peak > 0 || memory > 0 ? 0 : type->launch;
    }
    return true;
}

/* What an NPU needs for a message that it receives, nanoseconds: of each link that ends at one. */
static bool system_endpoints(struct astra_system *system)
{
    double delay = 0;
    struct platform *platform = &system->scenario->platform;
    if (!system_number(system, "endpoint-delay", 0, &delay))
        return false;
    bool *done = ARENA_ARRAY(&system->scenario->arena, bool, platform->links.count + 1);
    for (uint32_t a = 0; a < platform->arcs.count; a++) {
        const struct arc *arc = &platform->arcs.at[a];
        uint32_t device = platform->nodes.at[arc->to].device;
        if (device == UINT32_MAX || arc->link == UINT32_MAX || done[arc->link] ||
            platform->devices.at[device].role != DEVICE_WORKER)
            continue;
        platform->links.at[arc->link].latency += delay * 1e-9;
        done[arc->link] = true;
    }
    return true;
}

/* Collectives of a group come one after the other, the first first: which is one of its policies. */
static bool system_is_followed(const struct value *document, const char *key)
{
    const struct value *value = value_get(document, key);
    return strcmp(key, "scheduling-policy") == 0 && value && value->kind == VALUE_SCALAR &&
           strcmp(value->text, "FIFO") == 0;
}

/* Names every key that nothing was done with. */
static void system_unused(struct astra_system *system)
{
    static const char *const used[] = {"preferred-dataset-splits", "peak-perf", "local-mem-bw",
                                       "roofline-enabled", "endpoint-delay"};
    const char *text = "";
    for (uint32_t i = 0; i < system->document->count; i++) {
        const char *key = system->document->entries[i].key;
        bool known = system_is_followed(system->document, key);
        for (size_t k = 0; k < FIELDS_COUNT(used); k++)
            known = known || strcmp(key, used[k]) == 0;
        for (size_t k = 0; k < FIELDS_COUNT(system_collectives); k++)
            known = known || strcmp(key, system_collectives[k].key) == 0;
        if (!known)
            text = arena_format(&system->input->arena, "%s%s'%s'", text, *text ? ", " : "", key);
    }
    if (*text)
        report_warning(&system->input->report, system->document->place, "not used of ASTRA-sim's system: %s",
                       text);
}

const struct value *astra_system_read(struct scenario *scenario, const struct value *name,
                                      enum replay_compute *compute)
{
    struct input *input = &scenario->input;
    struct astra_system system = {.scenario = scenario, .input = input};
    double splits = 0, roofline = 0;
    if (name->kind != VALUE_SCALAR)
        report_error(&input->report, name->place, "expected the name of a JSON file; got %s",
                     value_describe(name, &input->arena));
    const char *path =
        name->kind == VALUE_SCALAR ? document_find(input, "workloads", name->text, name->place) : NULL;
    system.document = path ? document_load(input, path) : NULL;
    if (!system.document)
        return NULL;
    bool good = system_devices(&system);
    good = system_endpoints(&system) && good;
    good = system_number(&system, "preferred-dataset-splits", 0, &splits) && good;
    good = system_number(&system, "roofline-enabled", 0, &roofline) && good;
    if (splits > 1 && !(scenario->workload.pieces > 0))
        scenario->workload.pieces = splits;
    if (value_get(system.document, "roofline-enabled") && *compute == REPLAY_AUTOMATIC)
        *compute = roofline > 0 ? REPLAY_ROOFLINE : REPLAY_RECORDED;
    system_unused(&system);
    return good ? system.document : NULL;
}
