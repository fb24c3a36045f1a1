/* Loose: an entry of `links:` without ends, in a topology with `routes:`. It has no arcs in the graph; the
 * routes that name it use it: "bus" when both directions share it, "cable>" and "cable<" when each has its
 * own. */
#include "platform/graph.h"
#include "platform/links.h"

bool loose_read(struct draft *draft, const struct entry *entry, const struct links_entry *read)
{
    struct platform *platform = draft->platform;
    struct links_entry changed = *read;
    const struct array single = {.name = entry->key, .place = entry->place, .count = 1};
    struct link_type back;
    struct override *override;
    bool well = true;
    for (uint32_t next = 0; (override = override_next(draft, &single, &next));)
        well = links_override(draft, override, &changed) && well;
    if (well && changed.failed)
        return true;
    if (!well || !link_type_reverse(draft->input, &changed.link, &draft->scope, &back) ||
        !link_type_check(draft->input, &back, draft_what(draft, "the reverse of link", entry->key),
                         entry->place))
        return false;
    bool duplex = changed.link.mode == LINK_FULL_DUPLEX;
    uint32_t group = names_add(platform->names, entry->key);
    char text[ARRAY_TEXT];
    uint32_t name = names_add(platform->names, array_text(&single, NULL, duplex ? ">" : "", text));
    graph_add_link(platform, links_capacity(draft, &changed, &changed.link, name, group));
    if (duplex) {
        name = names_add(platform->names, array_text(&single, NULL, "<", text));
        graph_add_link(platform, links_capacity(draft, &changed, &back, name, group));
    }
    return true;
}
