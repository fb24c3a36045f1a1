/* Medium: one link that all its stations share, in every direction. With an access point each hop between it
 * and a station uses the medium once, so that station to station uses it twice. Without one (ad hoc) a hidden
 * hub node stands for the air: entering it costs the medium's capacity and latency, leaving it is free. */
#include "platform/graph.h"
#include "platform/links.h"

/* Appends the nodes that one pattern names. */
static bool medium_station(struct draft *draft, const struct value *value, struct index_list *stations)
{
    struct input *input = draft->input;
    struct reference reference;
    struct pattern pattern;
    if (!reference_read(input, value, "the name of a station", &reference))
        return false;
    const struct array *array =
        reference_find(input, &reference, "device or switch", draft->arrays.at, draft->arrays.count, true);
    if (!array || !pattern_parse(input, &reference, &draft->scope, &pattern) ||
        !pattern_fits(input, &pattern, array))
        return false;
    uint32_t before = stations->count;
    pattern_elements(&pattern, array, stations);
    for (uint32_t i = before; i < stations->count; i++)
        for (uint32_t j = 0; j < before; j++)
            if (stations->at[i] == stations->at[j])
                return report_error(
                    &input->report, reference.place, "the station '%s' is named twice",
                    names_text(draft->platform->names, draft->platform->nodes.at[stations->at[i]].name));
    return true;
}

/* The node in the middle: the access point, or a hidden hub. */
static bool medium_hub(struct draft *draft, const struct entry *entry, const struct value *access_point,
                       const struct index_list *stations, uint32_t *hub)
{
    struct index_list found = {0};
    bool well = true;
    if (!access_point) {
        *hub = graph_add_switch(draft->platform, names_add(draft->platform->names, entry->key));
        return true;
    }
    if (access_point->kind != VALUE_SCALAR)
        well = report_error(&draft->input->report, access_point->place,
                            "expected the name of the access point; got %s",
                            value_describe(access_point, &draft->input->arena));
    else
        well = medium_station(draft, access_point, &found);
    if (well && found.count != 1)
        well = report_error(&draft->input->report, access_point->place,
                            "expected one access point; '%s' names %u", access_point->text, found.count);
    *hub = well ? found.at[0] : 0;
    for (uint32_t i = 0; i < stations->count && well; i++)
        if (stations->at[i] == *hub)
            well = report_error(&draft->input->report, access_point->place,
                                "the access point '%s' is one of the stations too", access_point->text);
    VECTOR_FREE(&found);
    return well;
}

static void medium_connect(struct draft *draft, const struct entry *entry, const struct links_entry *read,
                           const struct index_list *stations, uint32_t hub)
{
    struct platform *platform = draft->platform;
    uint32_t name = names_add(platform->names, entry->key);
    uint32_t link = graph_add_link(platform, links_capacity(read, &read->link, name, name));
    for (uint32_t i = 0; i < stations->count; i++) {
        graph_add_arc(platform, stations->at[i], hub, link);
        graph_add_arc(platform, hub, stations->at[i], read->access_point ? link : UINT32_MAX);
    }
}

bool medium_read(struct draft *draft, const struct entry *entry, const struct links_entry *read)
{
    struct links_entry changed = *read;
    const struct array medium = {.name = entry->key, .place = entry->place, .count = 1};
    struct index_list stations = {0};
    struct link_type reverse;
    uint32_t hub = 0, count = read->stations->kind == VALUE_LIST ? read->stations->count : 1;
    bool well = link_type_reverse(draft->input, &read->link, &draft->scope, &reverse);
    for (uint32_t i = 0; i < count; i++) {
        const struct value *list = read->stations;
        const struct value *station = list->kind == VALUE_LIST ? list->entries[i].value : list;
        well = medium_station(draft, station, &stations) && well;
    }
    struct override *override;
    for (uint32_t next = 0; (override = override_next(draft, &medium, &next));)
        well = links_override(draft, override, &changed) && well;
    well = well && medium_hub(draft, entry, read->access_point, &stations, &hub);
    if (well)
        medium_connect(draft, entry, &changed, &stations, hub);
    VECTOR_FREE(&stations);
    return well;
}
