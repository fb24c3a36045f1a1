#include "platform/route_table.h"

#include <assert.h>
#include <stdlib.h>

struct route_table_entry {
    uint32_t from, to;     /* devices */
    uint32_t first, count; /* its links in the pool */
};

struct route_table {
    VECTOR(struct route_table_entry) entries;
    struct index_list links;
    bool *reached; /* per device, once closed: a route starts or ends there */
};

void route_table_add(struct platform *platform, uint32_t from_device, uint32_t to_device,
                     const uint32_t *links, uint32_t count)
{
    if (!platform->table)
        platform->table = ARENA_NEW(&platform->arena, struct route_table);
    struct route_table *table = platform->table;
    assert(!table->reached && from_device != to_device);
    VECTOR_PUSH(&table->entries,
                ((struct route_table_entry){from_device, to_device, table->links.count, count}));
    for (uint32_t i = 0; i < count; i++) {
        assert(links[i] < platform->links.count);
        VECTOR_PUSH(&table->links, links[i]);
    }
}

static int route_table_compare(const void *a, const void *b)
{
    const struct route_table_entry *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

bool route_table_close(struct platform *platform, uint32_t *from_device, uint32_t *to_device)
{
    struct route_table *table = platform->table;
    if (!table || !table->entries.count)
        return true;
    qsort(table->entries.at, table->entries.count, sizeof *table->entries.at, route_table_compare);
    table->reached = ARENA_ARRAY(&platform->arena, bool, platform->devices.count);
    for (uint32_t i = 0; i < table->entries.count; i++)
        table->reached[table->entries.at[i].from] = table->reached[table->entries.at[i].to] = true;
    for (uint32_t i = 1; i < table->entries.count; i++)
        if (route_table_compare(&table->entries.at[i - 1], &table->entries.at[i]) == 0) {
            *from_device = table->entries.at[i].from;
            *to_device = table->entries.at[i].to;
            return false;
        }
    return true;
}

const uint32_t *route_table_links(const struct platform *platform, uint32_t from_device, uint32_t to_device,
                                  uint32_t *count)
{
    const struct route_table *table = platform->table;
    const struct route_table_entry wanted = {.from = from_device, .to = to_device};
    if (!table || !table->entries.count)
        return NULL;
    assert(table->reached);
    const struct route_table_entry *found =
        bsearch(&wanted, table->entries.at, table->entries.count, sizeof wanted, route_table_compare);
    if (!found)
        return NULL;
    static const uint32_t none[1] = {UINT32_MAX};
    *count = found->count;
    return found->count ? table->links.at + found->first : none;
}

bool route_table_reaches(const struct platform *platform, uint32_t device)
{
    return platform->table && platform->table->reached && platform->table->reached[device];
}

void route_table_fini(struct platform *platform)
{
    if (!platform->table)
        return;
    VECTOR_FREE(&platform->table->entries);
    VECTOR_FREE(&platform->table->links);
}
