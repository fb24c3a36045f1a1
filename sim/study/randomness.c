#include "study/randomness.h"

#include "platform/topology.h"
#include "study/changes.h"

#include <gsl/gsl_randist.h>
#include <math.h>

struct randomness_map {
    const struct value *kernels, *stragglers, *links;
};

struct randomness_entry {
    const struct value *devices, *factor;
    const char *link;
    double probability, every;
};

#define AT(member) offsetof(struct randomness_map, member)
static const struct field randomness_fields[] = {
    {.key = "kernels", .kind = FIELD_VALUE, .offset = AT(kernels)},
    {.key = "stragglers", .kind = FIELD_VALUE, .offset = AT(stragglers)},
    {.key = "links", .kind = FIELD_VALUE, .offset = AT(links)},
};
#undef AT
#define AT(member) offsetof(struct randomness_entry, member)
static const struct field randomness_kernel_fields[] = {
    {.key = "devices", .kind = FIELD_VALUE, .offset = AT(devices)},
    {.key = "factor", .kind = FIELD_VALUE, .offset = AT(factor), .required = true},
};
static const struct field randomness_straggler_fields[] = {
    {.key = "devices", .kind = FIELD_VALUE, .offset = AT(devices)},
    {.key = "factor", .kind = FIELD_VALUE, .offset = AT(factor), .required = true},
    {.key = "probability",
     .kind = FIELD_NUMBER,
     .offset = AT(probability),
     .low = 0,
     .high = 1,
     .required = true},
};
static const struct field randomness_link_fields[] = {
    {.key = "link", .kind = FIELD_TEXT, .offset = AT(link), .required = true},
    {.key = "factor", .kind = FIELD_VALUE, .offset = AT(factor), .required = true},
    {.key = "every",
     .kind = FIELD_QUANTITY,
     .unit = UNIT_SECONDS,
     .offset = AT(every),
     .low = 1e-9,
     .high = 1e12,
     .required = true},
};
#undef AT

/* The devices of an entry; all if it names none. */
static bool randomness_devices(struct input *input, const struct value *pattern,
                               const struct platform *platform, struct index_list *out)
{
    if (pattern)
        return topology_select(input, platform, pattern, out);
    for (uint32_t d = 0; d < platform->devices.count; d++)
        VECTOR_PUSH(out, d);
    return true;
}

static bool randomness_factor(struct input *input, const struct value *value, struct distribution *out)
{
    return read_distribution(input, value, "factor", UNIT_NONE, NULL, out);
}

static bool randomness_kernel(struct input *input, const struct value *map, const struct platform *platform,
                              struct randomness *randomness)
{
    struct randomness_entry entry = {0};
    struct randomness_kernels kernels = {0};
    bool short_form = map->kind != VALUE_MAP || value_get(map, "distribution");
    if (short_form)
        entry.factor = map;
    else if (!fields_read(input, map, map->place, "random.kernels", randomness_kernel_fields,
                          FIELDS_COUNT(randomness_kernel_fields), NULL, &entry))
        return false;
    bool good = randomness_factor(input, entry.factor, &kernels.factor);
    good = randomness_devices(input, entry.devices, platform, &kernels.devices) && good;
    VECTOR_PUSH(&randomness->kernels, kernels);
    return good;
}

static bool randomness_straggler(struct input *input, const struct value *map,
                                 const struct platform *platform, struct randomness *randomness)
{
    struct randomness_entry entry = {0};
    struct randomness_straggler straggler = {0};
    if (!fields_want_map(input, map, map->place, "a straggler") ||
        !fields_read(input, map, map->place, "a straggler", randomness_straggler_fields,
                     FIELDS_COUNT(randomness_straggler_fields), NULL, &entry))
        return false;
    bool good = randomness_factor(input, entry.factor, &straggler.factor);
    good = randomness_devices(input, entry.devices, platform, &straggler.devices) && good;
    straggler.probability = entry.probability;
    VECTOR_PUSH(&randomness->stragglers, straggler);
    return good;
}

static bool randomness_link(struct input *input, const struct value *map, const struct platform *platform,
                            struct randomness *randomness)
{
    struct randomness_entry entry = {0};
    struct randomness_link link = {0};
    if (!fields_want_map(input, map, map->place, "a varying link") ||
        !fields_read(input, map, map->place, "a varying link", randomness_link_fields,
                     FIELDS_COUNT(randomness_link_fields), NULL, &entry))
        return false;
    bool good = randomness_factor(input, entry.factor, &link.factor);
    good = changes_links(input, map, platform, entry.link, &link.links) && good;
    link.every = entry.every;
    VECTOR_PUSH(&randomness->links, link);
    return good;
}

typedef bool randomness_reader(struct input *, const struct value *, const struct platform *,
                               struct randomness *);

/* One entry, or a list of them. */
static bool randomness_list(struct input *input, const struct value *value, const struct platform *platform,
                            struct randomness *randomness, randomness_reader *read)
{
    bool good = true;
    if (!value || value->kind == VALUE_NULL)
        return true;
    if (value->kind != VALUE_LIST)
        return read(input, value, platform, randomness);
    for (uint32_t i = 0; i < value->count; i++)
        good = read(input, value->entries[i].value, platform, randomness) && good;
    return good;
}

bool randomness_read(struct input *input, const struct value *map, const struct platform *platform,
                     struct randomness *randomness)
{
    struct randomness_map read = {0};
    *randomness = (struct randomness){0};
    if (!map || map->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(input, map, map->place, "random") ||
        !fields_read(input, map, map->place, "random", randomness_fields, FIELDS_COUNT(randomness_fields),
                     NULL, &read))
        return false;
    bool good = randomness_list(input, read.kernels, platform, randomness, randomness_kernel);
    good = randomness_list(input, read.stragglers, platform, randomness, randomness_straggler) && good;
    return randomness_list(input, read.links, platform, randomness, randomness_link) && good;
}

void randomness_fini(struct randomness *randomness)
{
    for (uint32_t i = 0; i < randomness->kernels.count; i++)
        VECTOR_FREE(&randomness->kernels.at[i].devices);
    for (uint32_t i = 0; i < randomness->stragglers.count; i++)
        VECTOR_FREE(&randomness->stragglers.at[i].devices);
    for (uint32_t i = 0; i < randomness->links.count; i++)
        VECTOR_FREE(&randomness->links.at[i].links);
    VECTOR_FREE(&randomness->kernels);
    VECTOR_FREE(&randomness->stragglers);
    VECTOR_FREE(&randomness->links);
}

bool randomness_is_any(const struct randomness *randomness)
{
    return randomness->kernels.count || randomness->stragglers.count || randomness->links.count;
}

/* The luck of a device with one straggler entry: whether it straggles in the step that it is in. */
struct luck_straggler {
    const struct randomness_straggler *entry; /* NULL ends a device's list */
    gsl_rng *stream;
    double factor;
    uint32_t next_step; /* the first that was not drawn for */
};

struct luck_device {
    const struct distribution *kernels; /* NULL: as planned */
    gsl_rng *stream;
    struct luck_straggler *stragglers; /* NULL: none */
};

struct luck_link {
    const struct randomness_link *entry;
    gsl_rng **streams; /* per link of the entry */
    uint64_t tick;
    uint32_t position; /* in the entry's links */
};

struct luck {
    const struct platform *platform;
    const struct job *job;
    struct luck_device *devices; /* per device of the platform */
    struct luck_link *links;
    uint32_t link_count;
};

static double straggler_factor(struct luck_straggler *straggler, uint32_t step)
{
    for (; straggler->next_step <= step; straggler->next_step++) {
        bool slow = gsl_rng_uniform(straggler->stream) < straggler->entry->probability;
        straggler->factor =
            slow ? distribution_draw_from(&straggler->entry->factor, 0, straggler->stream) : 1;
    }
    return straggler->factor;
}

static double luck_seconds(void *state, uint32_t rank, const struct op *op)
{
    struct luck *luck = state;
    struct luck_device *device = &luck->devices[luck->job->ranks[rank].device];
    double seconds = op->seconds;
    if (device->kernels)
        seconds *= distribution_draw_from(device->kernels, 0, device->stream);
    for (struct luck_straggler *s = device->stragglers; s && s->entry; s++)
        seconds *= straggler_factor(s, op->step);
    return seconds;
}

static bool luck_change(void *state, struct engine_change *change)
{
    struct luck *luck = state;
    struct luck_link *next = NULL;
    double time = INFINITY;
    for (uint32_t i = 0; i < luck->link_count; i++)
        if ((double)luck->links[i].tick * luck->links[i].entry->every < time) {
            next = &luck->links[i];
            time = (double)next->tick * next->entry->every;
        }
    if (!next)
        return false;
    uint32_t link = next->entry->links.at[next->position];
    double factor = distribution_draw_from(&next->entry->factor, 0, next->streams[next->position]);
    *change = (struct engine_change){time, factor * luck->platform->links.at[link].bandwidth, link};
    if (++next->position == next->entry->links.count) {
        next->position = 0;
        next->tick++;
    }
    return true;
}

static void luck_stragglers(struct luck *luck, const struct randomness *randomness, uint64_t seed,
                            struct arena *arena)
{
    for (uint32_t i = 0; i < randomness->stragglers.count; i++) {
        const struct randomness_straggler *entry = &randomness->stragglers.at[i];
        const char *purpose = arena_format(arena, "stragglers[%u]", i);
        for (uint32_t k = 0; k < entry->devices.count; k++) {
            struct luck_device *device = &luck->devices[entry->devices.at[k]];
            if (!device->stragglers)
                device->stragglers =
                    ARENA_ARRAY(arena, struct luck_straggler, randomness->stragglers.count + 1);
            struct luck_straggler *place = device->stragglers;
            while (place->entry)
                place++;
            *place = (struct luck_straggler){entry, random_stream(arena, seed, purpose, entry->devices.at[k]),
                                             1, 0};
        }
    }
}

static void luck_links(struct luck *luck, const struct randomness *randomness, uint64_t seed,
                       struct arena *arena)
{
    luck->link_count = randomness->links.count;
    luck->links = ARENA_ARRAY(arena, struct luck_link, luck->link_count + 1);
    for (uint32_t i = 0; i < luck->link_count; i++) {
        const struct randomness_link *entry = &randomness->links.at[i];
        const char *purpose = arena_format(arena, "links[%u]", i);
        luck->links[i] = (struct luck_link){entry, ARENA_ARRAY(arena, gsl_rng *, entry->links.count), 0, 0};
        for (uint32_t k = 0; k < entry->links.count; k++)
            luck->links[i].streams[k] = random_stream(arena, seed, purpose, entry->links.at[k]);
    }
}

struct engine_random randomness_start(const struct randomness *randomness, const struct platform *platform,
                                      const struct job *job, uint64_t seed, struct arena *arena)
{
    struct luck *luck = ARENA_NEW(arena, struct luck);
    luck->platform = platform;
    luck->job = job;
    luck->devices = ARENA_ARRAY(arena, struct luck_device, platform->devices.count + 1);
    for (uint32_t i = 0; i < randomness->kernels.count; i++) {
        const struct randomness_kernels *entry = &randomness->kernels.at[i];
        for (uint32_t k = 0; k < entry->devices.count; k++) {
            struct luck_device *device = &luck->devices[entry->devices.at[k]];
            device->kernels = &entry->factor; /* the last entry that names a device holds */
            device->stream = random_stream(arena, seed, "kernels", entry->devices.at[k]);
        }
    }
    luck_stragglers(luck, randomness, seed, arena);
    luck_links(luck, randomness, seed, arena);
    bool computes = randomness->kernels.count || randomness->stragglers.count;
    return (struct engine_random){.state = luck,
                                  .seconds = computes ? luck_seconds : NULL,
                                  .change = luck->link_count ? luck_change : NULL};
}
