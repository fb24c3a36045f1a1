#include "plan/trim.h"

void trim_list(struct schedule_list *list, uint32_t micro_batches)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct schedule_item item = list->at[i];
        if (item.micro_batch >= micro_batches)
            continue;
        item.overlapped = item.overlapped && list->at[i + 1].micro_batch < micro_batches;
        list->at[kept++] = item;
    }
    list->count = kept;
}
