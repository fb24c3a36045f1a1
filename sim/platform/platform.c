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
