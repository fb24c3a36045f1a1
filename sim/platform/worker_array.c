#include "platform/worker_array.h"

uint32_t worker_array_sizes(const struct platform *platform, uint32_t size[ARRAY_RANK])
{
    struct index_list workers = {0};
    uint32_t rank = 0;
    platform_list_workers(platform, &workers);
    for (uint32_t a = 0; workers.count && a < platform->arrays.count; a++) {
        const struct array *array = &platform->arrays.at[a];
        if (array->count != workers.count || array->first != platform->devices.at[workers.at[0]].node)
            continue;
        rank = array->rank;
        for (uint32_t d = 0; d < rank; d++)
            size[d] = array->size[rank - 1 - d];
    }
    VECTOR_FREE(&workers);
    return rank;
}
