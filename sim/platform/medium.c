/* Medium: one link that all its stations share, in every direction. With an access point each hop between it
 * and a station uses the medium once, so that station to station uses it twice. Without one (ad hoc) a hidden
 * hub node stands for the air: entering it costs the medium's capacity and latency, leaving it is free.
 * In a part, each instance has a medium of its own. */
#include "platform/graph.h"
#include "platform/links.h"

/* Appends the nodes of the first instance that one pattern names. */
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
        !pattern_fit(input, &pattern, array))
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

/* The node in the middle: the access point; UINT32_MAX for none. */
static bool medium_hub(struct draft *draft, const struct value *access_point,
                       const struct index_list *stations, uint32_t *hub)
{
    struct index_list found = {0};
    bool well = true;
    *hub = UINT32_MAX;
    if (!access_point)
        return true;
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

/* The node of an instance that corresponds to a node of the first one. */
static uint32_t medium_node(const struct draft *draft, uint32_t node, uint32_t instance)
{
    for (uint32_t a = 0; a < draft->arrays.count; a++) {
        const struct array *array = &draft->arrays.at[a];
        if (node >= array->first && node - array->first < array->count)
            return node + instance * array->count;
    }
    return node;
}

/* The medium of one instance. */
static bool medium_connect(struct draft *draft, const struct array *medium, const struct links_entry *read,
                           const struct index_list *stations, uint32_t hub, uint32_t instance)
{
    struct platform *platform = draft->platform;
    struct links_entry changed = *read;
    uint32_t indices[ARRAY_RANK];
    char text[ARRAY_TEXT];
    array_indices(medium, instance, indices);
    struct override *override;
    for (uint32_t next = 0; (override = override_next(draft, medium, &next));)
        if (pattern_matches(&override->pattern, medium->rank, indices) &&
            !links_override(draft, override, &changed))
            return false;
    uint32_t name = names_add(platform->names, array_text(medium, indices, "", text));
    uint32_t middle =
        hub == UINT32_MAX ? graph_add_switch(platform, name) : medium_node(draft, hub, instance);
    if (changed.failed || draft_node_failed(draft, middle))
        return true;
    uint32_t link = graph_add_link(platform, links_capacity(draft, &changed, &changed.link, name,
                                                            names_add(platform->names, medium->name)));
    for (uint32_t i = 0; i < stations->count; i++) {
        uint32_t station = medium_node(draft, stations->at[i], instance);
        if (draft_node_failed(draft, station))
            continue;
        graph_add_arc(platform, station, middle, link);
        graph_add_arc(platform, middle, station, hub == UINT32_MAX ? UINT32_MAX : link);
    }
    return true;
}

bool medium_read(struct draft *draft, const struct entry *entry, const struct links_entry *read)
{
    const struct array own = {.name = entry->key, .place = entry->place, .count = 1};
    struct array medium;
    struct index_list stations = {0};
    struct link_type reverse;
    uint32_t hub = 0, count = read->stations->kind == VALUE_LIST ? read->stations->count : 1;
    bool well = link_type_reverse(draft->input, &read->link, &draft->scope, &reverse);
    for (uint32_t i = 0; i < count; i++) {
        const struct value *list = read->stations;
        const struct value *station = list->kind == VALUE_LIST ? list->entries[i].value : list;
        well = medium_station(draft, station, &stations) && well;
    }
    well = well && draft_full(draft, &own, &medium) && medium_hub(draft, read->access_point, &stations, &hub);
    for (uint32_t i = 0; i < draft->part.count && well; i++)
        well = medium_connect(draft, &medium, read, &stations, hub, i);
    VECTOR_FREE(&stations);
    return well;
}
