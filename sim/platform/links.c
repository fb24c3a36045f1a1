#include "platform/links.h"

#include "platform/protocol_table.h"

#include <math.h>

enum { LINKS_OVERRIDABLE = 13 };

#define ENTRY(member) offsetof(struct links_entry, member)

const struct field links_fields[] = {
    LINK_TYPE_PROPERTIES(offsetof(struct links_entry, link)),
    {.key = "count",
     .kind = FIELD_INTEGER,
     .offset = ENTRY(count),
     .low = 1,
     .high = 1e9,
     .about = "parallel cables that act as one: multiplies the bandwidth; default 1"},
    {.key = "failed",
     .kind = FIELD_FLAG,
     .offset = ENTRY(failed),
     .about = "whether it is broken and carries nothing; default no"},
    {.key = "type",
     .kind = FIELD_TEXT,
     .offset = ENTRY(type),
     .about = "the link type: a file of topologies/links, or a parameter that names one"},
    {.key = "from",
     .kind = FIELD_VALUE,
     .offset = ENTRY(from),
     .about = "one end; a new name as an index is a variable that runs over the array"},
    {.key = "to",
     .kind = FIELD_VALUE,
     .offset = ENTRY(to),
     .about = "the other end; its indices may compute with the variables of `from`"},
    {.key = "for",
     .kind = FIELD_VALUE,
     .offset = ENTRY(loop),
     .about = "a map of further variables that `from` and `to` may compute with: each runs from 0 to below "
              "its number"},
    {.key = "where",
     .kind = FIELD_VALUE,
     .offset = ENTRY(where),
     .about = "a condition on the variables; cables for which it is false are left out"},
    {.key = "channel",
     .kind = FIELD_VALUE,
     .offset = ENTRY(channel),
     .about = "with mode: shared, cables of equal channel share one capacity: a number, or an expression of "
              "the variables"},
    {.key = "stations",
     .kind = FIELD_VALUE,
     .offset = ENTRY(stations),
     .about = "instead of `from` and `to`: the devices and switches on one shared medium"},
    {.key = "access-point",
     .kind = FIELD_VALUE,
     .offset = ENTRY(access_point),
     .about = "the device or switch through which all stations talk; absent: they talk directly"},
};
const size_t links_field_count = FIELDS_COUNT(links_fields);

struct link links_capacity(struct draft *draft, const struct links_entry *entry,
                           const struct link_type *direction, uint32_t name, uint32_t group)
{
    double rate = link_type_rate(direction) * (double)entry->count;
    struct protocol_table table = {0};
    protocol_table_read(draft, direction->protocols, &table); /* what is wrong has been reported */
    return (struct link){
        .bandwidth = rate,
        .latency = direction->latency + direction->overhead + direction->half_size / rate,
        .overhead = direction->overhead,
        .launch = direction->launch,
        .first_protocol = table.first,
        .protocol_count = table.count,
        .name = name,
        .group = group,
        .mode = (uint32_t)entry->link.mode,
    };
}

bool links_override(struct draft *draft, struct override *override, struct links_entry *entry)
{
    const struct reference *reference = &override->pattern.reference;
    const char *what = draft_what(draft, "the override of", reference->text);
    override->applied = true;
    int mode = entry->link.mode;
    if (!fields_read(draft->input, override->changes, reference->place, what, links_fields, LINKS_OVERRIDABLE,
                     override->scope, entry) ||
        !link_type_check(draft->input, &entry->link, draft_what(draft, "link", reference->text),
                         reference->place) ||
        !protocol_table_read(draft, entry->link.protocols, &(struct protocol_table){0}))
        return false;
    if (entry->link.mode != mode && (entry->link.mode == LINK_SHARED || mode == LINK_SHARED))
        return report_error(&draft->input->report, reference->place,
                            "an override cannot make '%s' a shared medium, or not one", reference->text);
    return true;
}

/* Whether the entry's keys say one of the two things that an entry can be. */
static bool links_check(struct draft *draft, const struct entry *entry, const struct links_entry *read)
{
    struct report *report = &draft->input->report;
    const char *name = entry->key;
    bool shared = read->link.mode == LINK_SHARED;
    if (read->stations && (read->from || read->to || read->where || read->loop || read->channel))
        return report_error(
            report, entry->place,
            "link '%s' has 'stations' (one shared medium) and 'from' or 'to' (cables); it can be "
            "only one of them",
            name);
    if (read->stations && !shared)
        return report_error(report, entry->place,
                            "link '%s' has 'stations', which need mode: shared; its mode is %s", name,
                            link_type_modes[read->link.mode]);
    if (read->stations)
        return true;
    if (shared && !read->channel)
        return report_error(report, entry->place,
                            "link '%s' is a shared medium: it needs 'stations' instead of 'from' and 'to' (a "
                            "cable that both directions share is mode: half-duplex)",
                            name);
    if (read->channel && !shared)
        return report_error(report, read->channel->place,
                            "a channel needs mode: shared; the mode of '%s' is %s", name,
                            link_type_modes[read->link.mode]);
    if (read->access_point)
        return report_error(report, read->access_point->place, "an access point needs 'stations'");
    if (!read->from && !read->to && !read->where && !read->loop && !read->channel && draft->routes)
        return true;
    if (!read->from || !read->to)
        return report_error(report, entry->place, "link '%s' needs 'from' and 'to', or 'stations'", name);
    return true;
}

static bool links_read_entry(struct draft *draft, const struct entry *entry)
{
    struct input *input = draft->input;
    struct links_entry read = {.count = 1};
    if (!draft_name(draft, entry, "link"))
        return false;
    const char *what = draft_what(draft, "the link entry", entry->key);
    if (!fields_want_map(input, entry->value, entry->place, what))
        return false;
    link_type_init(&read.link);
    /* The type first: what the entry says itself lies over it. */
    const struct value *type = value_get(entry->value, "type");
    const struct field field = {.key = "type", .kind = FIELD_TEXT};
    bool well = !type || (fields_read_one(input, type, &field, &draft->scope, &read.type) &&
                          link_type_load(input, read.type, type->place, &read.link));
    well = fields_read(input, entry->value, entry->place, what, links_fields, links_field_count,
                       &draft->scope, &read) &&
           well;
    const struct value *own = value_get(entry->value, "bandwidth");
    struct place place = own ? own->place : type ? type->place : entry->place;
    if (!well || !link_type_check(input, &read.link, draft_what(draft, "link", entry->key), place) ||
        !protocol_table_read(draft, read.link.protocols, &(struct protocol_table){0}) ||
        !links_check(draft, entry, &read))
        return false;
    if (read.stations)
        return medium_read(draft, entry, &read);
    return read.from ? cable_read(draft, entry, &read) : loose_read(draft, entry, &read);
}

bool links_read(struct draft *draft, const struct value *section)
{
    bool well = true;
    if (!section || section->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(draft->input, section, section->place, "links"))
        return false;
    for (uint32_t i = 0; i < section->count; i++)
        well = links_read_entry(draft, &section->entries[i]) && well;
    return well;
}
