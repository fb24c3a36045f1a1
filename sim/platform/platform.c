#include "platform/platform.h"

#include "platform/route.h"
#include "platform/route_table.h"

void platform_init(struct platform *platform, struct names *names)
{
    *platform = (struct platform){.names = names};
    arena_init(&platform->arena);
}

void platform_fini(struct platform *platform)
{
    route_fini(platform);
    route_table_fini(platform);
    VECTOR_FREE(&platform->device_types);
    VECTOR_FREE(&platform->devices);
    VECTOR_FREE(&platform->links);
    VECTOR_FREE(&platform->protocols);
    VECTOR_FREE(&platform->protocol_names);
    VECTOR_FREE(&platform->nodes);
    VECTOR_FREE(&platform->arcs);
    VECTOR_FREE(&platform->arrays);
    VECTOR_FREE(&platform->routing.fixed);
    VECTOR_FREE(&platform->routing.arcs);
    arena_fini(&platform->arena);
    *platform = (struct platform){0};
}

void platform_list_workers(const struct platform *platform, struct index_list *out)
{
    for (uint32_t d = 0; d < platform->devices.count; d++)
        if (platform->devices.at[d].role == DEVICE_WORKER)
            VECTOR_PUSH(out, d);
}

uint32_t platform_workers(const struct platform *platform)
{
    uint32_t count = 0;
    for (uint32_t d = 0; d < platform->devices.count; d++)
        count += platform->devices.at[d].role == DEVICE_WORKER;
    return count;
}
