/* ASTRA-sim's analytical network: a few dimensions, each a ring, a full mesh or a switch. NPU number
 * a + b·A + c·A·B has index a in the first dimension (of A NPUs), b in the second, and so on; here it is
 * npu[c,b,a]. In each dimension the same cable joins every line of NPUs:
 *
 *     Ring            each with the next, both directions
 *     FullyConnected  each with every other
 *     Switch          each with a switch of its line; so there are two cables on the way
 *
 * Bandwidths are GB/s per cable and direction, latencies nanoseconds per cable. */
#include "input/fields.h"
#include "platform/array.h"
#include "platform/import.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ASTRA_NPUS = 1 << 20, ASTRA_TEXT = 256 };

struct astra {
    struct input *input;
    struct place place;
    const struct value *topology, *npus_count, *bandwidth, *latency;
    uint32_t rank, size[ARRAY_RANK]; /* by dimension of the file */
    struct value *switches, *links;
};

static const char *const astra_kinds[] = {"Ring", "FullyConnected", "Switch"};
enum { ASTRA_RING, ASTRA_FULL, ASTRA_SWITCH, ASTRA_KINDS };

static bool astra_is_document(const struct value *document)
{
    const struct value *topology = value_get(document, "topology");
    return value_get(document, "npus_count") || (topology && topology->kind == VALUE_LIST);
}

static bool astra_list(struct astra *astra, const struct value *list, const char *key)
{
    struct report *report = &astra->input->report;
    if (!list)
        return report_error(report, astra->place, "'%s' is missing in the ASTRA-sim network", key);
    if (!fields_want_list(astra->input, list, list->place, key))
        return false;
    if (list->count != astra->topology->count)
        return report_error(report, list->place,
                            "expected %u values in '%s', one for each dimension of 'topology'; got %u",
                            astra->topology->count, key, list->count);
    return true;
}

/* A plain number without a unit, of at least `least`. */
static bool astra_number(struct astra *astra, const struct value *value, const char *what, double least,
                         double *out)
{
    char *end = NULL;
    *out = value->kind == VALUE_SCALAR ? strtod(value->text, &end) : NAN;
    if (end && end != value->text && !*end && isfinite(*out) && *out >= least)
        return true;
    return report_error(&astra->input->report, value->place, "expected %s; got %s", what,
                        value_describe(value, &astra->input->arena));
}

static bool astra_sizes(struct astra *astra)
{
    double all = 1, size;
    bool well = true;
    astra->rank = astra->topology->count;
    if (astra->rank == 0 || astra->rank > ARRAY_RANK)
        return report_error(&astra->input->report, astra->topology->place,
                            "expected 1 to %d dimensions; got %u", ARRAY_RANK, astra->rank);
    for (uint32_t d = 0; d < astra->rank; d++) {
        const struct value *value = astra->npus_count->entries[d].value;
        if (!astra_number(astra, value, "a whole number of NPUs, at least 1", 1, &size)) {
            well = false;
            continue;
        }
        all *= size;
        if (size != floor(size) || all > ASTRA_NPUS)
            return report_error(&astra->input->report, value->place,
                                "expected a whole number of NPUs, at most %d in all; got '%s'", ASTRA_NPUS,
                                value->text);
        astra->size[d] = (uint32_t)size;
    }
    return well;
}

/* "name[x2,x1,x0]" with `own` as the index in dimension `which`; UINT32_MAX: that dimension is left out. */
static const char *astra_reference(struct astra *astra, const char *name, uint32_t which, const char *own)
{
    struct arena *arena = &astra->input->arena;
    const char *text = arena_format(arena, "%s", name), *before = "[";
    for (uint32_t d = astra->rank; d-- > 0;) {
        if (d == which && !own)
            continue;
        text = d == which ? arena_format(arena, "%s%s%s", text, before, own)
                          : arena_format(arena, "%s%sx%u", text, before, d);
        before = ",";
    }
    return *before == ',' ? arena_format(arena, "%s]", text) : text;
}

/* The switches of a dimension: an array over all other dimensions. */
static void astra_switch(struct astra *astra, uint32_t which, const char *name, struct place place)
{
    struct arena *arena = &astra->input->arena;
    struct value *entry = import_map(astra->input, astra->switches, name, place);
    if (astra->rank == 1)
        return;
    struct value *count = value_new(arena, place, VALUE_LIST);
    for (uint32_t d = astra->rank; d-- > 0;)
        if (d != which)
            value_append(arena, count,
                         value_new_scalar(arena, place, arena_format(arena, "%u", astra->size[d]), false));
    value_put(arena, entry, "count", place, count);
}

static bool astra_dimension(struct astra *astra, uint32_t d)
{
    struct input *input = astra->input;
    const struct value *topology = astra->topology->entries[d].value;
    const struct value *bandwidth = astra->bandwidth->entries[d].value;
    const struct value *latency = astra->latency->entries[d].value;
    struct place place = topology->place;
    const char *x = arena_format(&input->arena, "x%u", d);
    double number;
    int kind = 0;
    const char *text = topology->kind == VALUE_SCALAR ? topology->text : "";
    while (kind < ASTRA_KINDS && strcmp(astra_kinds[kind], text) != 0)
        kind++;
    bool well = kind < ASTRA_KINDS ||
                fields_no_such(input, place, "ASTRA-sim topology", text, astra_kinds, ASTRA_KINDS);
    well = astra_number(astra, bandwidth, "a bandwidth in GB/s, more than 0", 1e-9, &number) && well;
    well = astra_number(astra, latency, "a latency in nanoseconds, at least 0", 0, &number) && well;
    if (!well)
        return false;
    struct value *link =
        import_map(input, astra->links, arena_format(&input->arena, "dimension-%u", d), place);
    import_text(input, link, "bandwidth", bandwidth->place, "%s * gigabyte / 1 s", bandwidth->text);
    import_text(input, link, "latency", latency->place, "%s ns", latency->text);
    import_quoted(input, link, "from", place, "%s", astra_reference(astra, "npu", d, x));
    if (kind == ASTRA_SWITCH) {
        const char *name = arena_format(&input->arena, "switch-%u", d);
        astra_switch(astra, d, name, place);
        import_quoted(input, link, "to", place, "%s", astra_reference(astra, name, d, NULL));
        return true;
    }
    const char *other = kind == ASTRA_RING ? arena_format(&input->arena, "(%s+1)%%%u", x, astra->size[d])
                                           : arena_format(&input->arena, "y%u", d);
    import_quoted(input, link, "to", place, "%s", astra_reference(astra, "npu", d, other));
    if (kind == ASTRA_FULL)
        import_quoted(input, link, "where", place, "%s < %s", x, other);
    else if (astra->size[d] == 2)
        import_quoted(input, link, "where", place, "%s == 0", x);
    return true;
}

static void astra_devices(struct astra *astra, struct value *out)
{
    struct arena *arena = &astra->input->arena;
    struct place place = astra->npus_count->place;
    struct value *npu =
        import_map(astra->input, import_map(astra->input, out, "devices", place), "npu", place);
    struct value *count = value_new(arena, place, VALUE_LIST);
    for (uint32_t d = astra->rank; d-- > 0;)
        value_append(arena, count,
                     value_new_scalar(arena, place, arena_format(arena, "%u", astra->size[d]), false));
    import_text(astra->input, npu, "type", place, "device");
    value_put(arena, npu, "count", place, count);
}

static struct value *astra_convert(struct input *input, const struct value *document, const struct value *set)
{
    struct astra astra = {.input = input,
                          .place = document->place,
                          .topology = value_get(document, "topology"),
                          .npus_count = value_get(document, "npus_count"),
                          .bandwidth = value_get(document, "bandwidth"),
                          .latency = value_get(document, "latency")};
    struct value *out = value_new(&input->arena, document->place, VALUE_MAP);
    static const char *const known[] = {"topology", "npus_count", "bandwidth", "latency"};
    (void)set;
    if (!astra.topology) {
        report_error(&input->report, document->place, "'topology' is missing in the ASTRA-sim network");
        return NULL;
    }
    bool well = fields_want_list(input, astra.topology, astra.topology->place, "topology");
    well = well && astra_list(&astra, astra.npus_count, "npus_count");
    well = well && astra_list(&astra, astra.bandwidth, "bandwidth");
    well = well && astra_list(&astra, astra.latency, "latency");
    if (!well || !astra_sizes(&astra))
        return NULL;
    for (uint32_t i = 0; i < document->count; i++) {
        bool used = false;
        for (size_t k = 0; k < FIELDS_COUNT(known); k++)
            used = used || strcmp(document->entries[i].key, known[k]) == 0;
        if (!used)
            report_warning(&input->report, document->entries[i].place,
                           "'%s' of the ASTRA-sim network is not used", document->entries[i].key);
    }
    import_quoted(input, out, "about", document->place, "an ASTRA-sim network");
    struct value *parameters = import_map(input, out, "parameters", document->place);
    import_text(input, parameters, "device", document->place, "a100-sxm4-80gb");
    import_text(input, parameters, "gigabyte", document->place, "1 GB");
    report_warning(&input->report, document->place,
                   "an ASTRA-sim network does not say what computes: the NPUs are a100-sxm4-80gb unless the "
                   "parameter 'device' says otherwise");
    astra_devices(&astra, out);
    astra.switches = import_map(input, out, "switches", document->place);
    astra.links = import_map(input, out, "links", document->place);
    for (uint32_t d = 0; d < astra.rank; d++)
        well = astra_dimension(&astra, d) && well;
    return well ? out : NULL;
}

const struct importer import_astra = {
    .name = "astra-sim",
    .about = "a network of ASTRA-sim's analytical back end (YAML with npus_count)",
    .is_document = astra_is_document,
    .convert = astra_convert,
};
