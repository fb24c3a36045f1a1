/* The section as a map of maps: source device, then target device, then the names of the links on the way,
 * with blanks between them:
 *
 *     routes:
 *       a: {b: up down, c: up bus down}
 *
 * A direction that is not said is not in the table. */
#include "platform/routes.h"

#include "base/nearest.h"
#include "input/fields.h"
#include "platform/route_table.h"

#include <string.h>

struct routes_reader {
    struct draft *draft;
    uint32_t *device; /* name -> device, UINT32_MAX for a name that is none */
    uint32_t *link;   /* name -> link */
    uint32_t names;   /* length of both */
    struct index_list way;
};

/* The number under a name in one of the two maps; UINT32_MAX when there is none. */
static uint32_t routes_find(const struct routes_reader *reader, const uint32_t *map, const char *name)
{
    uint32_t id = names_find(reader->draft->platform->names, name);
    return id < reader->names ? map[id] : UINT32_MAX;
}

static bool routes_no_device(struct routes_reader *reader, struct place place, const char *name)
{
    const struct platform *platform = reader->draft->platform;
    struct input *input = reader->draft->input;
    const char **known = ARENA_ARRAY(&input->arena, const char *, platform->devices.count);
    for (uint32_t d = 0; d < platform->devices.count; d++)
        known[d] = names_text(platform->names, platform->devices.at[d].name);
    return fields_no_such(input, place, "device", name, known, platform->devices.count);
}

static bool routes_no_link(struct routes_reader *reader, struct place place, const char *name)
{
    const struct platform *platform = reader->draft->platform;
    struct input *input = reader->draft->input;
    const char **known = ARENA_ARRAY(&input->arena, const char *, platform->links.count);
    for (uint32_t l = 0; l < platform->links.count; l++)
        known[l] = names_text(platform->names, platform->links.at[l].name);
    return fields_no_such(input, place, "link", name, known, platform->links.count);
}

/* The links of one route, into reader->way. */
static bool routes_way(struct routes_reader *reader, const struct value *value)
{
    struct input *input = reader->draft->input;
    char name[2 * ARRAY_TEXT];
    reader->way.count = 0;
    if (value->kind != VALUE_SCALAR)
        return report_error(
            &input->report, value->place,
            "expected the links of a route with blanks between them, such as 'up[0]> down[1]<'; got %s",
            value_describe(value, &input->arena));
    for (const char *at = value->text; *(at += strspn(at, " ")); at += strcspn(at, " ")) {
        size_t length = strcspn(at, " ");
        struct place place = value->place;
        if (place.line)
            place.column += (uint32_t)(at - value->text) + value->quoted;
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), at);
        uint32_t link = routes_find(reader, reader->link, name);
        if (link == UINT32_MAX)
            return routes_no_link(reader, place, name);
        VECTOR_PUSH(&reader->way, link);
    }
    return true;
}

static bool routes_read_from(struct routes_reader *reader, const struct entry *source)
{
    struct input *input = reader->draft->input;
    uint32_t from = routes_find(reader, reader->device, source->key);
    bool well = true;
    if (from == UINT32_MAX)
        return routes_no_device(reader, source->place, source->key);
    if (!fields_want_map(input, source->value, source->place,
                         draft_what(reader->draft, "the routes from", source->key)))
        return false;
    for (uint32_t i = 0; i < source->value->count; i++) {
        const struct entry *target = &source->value->entries[i];
        uint32_t to = routes_find(reader, reader->device, target->key);
        if (to == UINT32_MAX)
            well = routes_no_device(reader, target->place, target->key);
        else if (to == from)
            well = report_error(&input->report, target->place,
                                "a route from '%s' to itself: what a device sends to itself costs nothing",
                                source->key);
        else if (routes_way(reader, target->value))
            route_table_add(reader->draft->platform, from, to, reader->way.at, reader->way.count);
        else
            well = false;
    }
    return well;
}

bool routes_read(struct draft *draft, const struct value *section)
{
    struct platform *platform = draft->platform;
    struct routes_reader reader = {.draft = draft, .names = platform->names->list.count};
    struct arena scratch;
    bool well = true;
    arena_init(&scratch);
    reader.device = ARENA_ARRAY(&scratch, uint32_t, reader.names);
    reader.link = ARENA_ARRAY(&scratch, uint32_t, reader.names);
    memset(reader.device, 0xff, reader.names * sizeof *reader.device);
    memset(reader.link, 0xff, reader.names * sizeof *reader.link);
    for (uint32_t d = 0; d < platform->devices.count; d++)
        reader.device[platform->devices.at[d].name] = d;
    for (uint32_t l = 0; l < platform->links.count; l++)
        reader.link[platform->links.at[l].name] = l;
    for (uint32_t i = 0; i < section->count; i++)
        well = routes_read_from(&reader, &section->entries[i]) && well;
    uint32_t from, to;
    if (!route_table_close(platform, &from, &to))
        well = report_error(&draft->input->report, section->place, "two routes from '%s' to '%s'",
                            names_text(platform->names, platform->devices.at[from].name),
                            names_text(platform->names, platform->devices.at[to].name));
    VECTOR_FREE(&reader.way);
    arena_fini(&scratch);
    return well;
}
