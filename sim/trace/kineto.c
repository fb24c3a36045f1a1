#include "trace/kineto.h"

void kineto_fini(struct kineto *kineto)
{
    VECTOR_FREE(&kineto->tasks);
    VECTOR_FREE(&kineto->calls);
    VECTOR_FREE(&kineto->waits);
    VECTOR_FREE(&kineto->operators);
    VECTOR_FREE(&kineto->communications);
    VECTOR_FREE(&kineto->groups);
    VECTOR_FREE(&kineto->steps);
    VECTOR_FREE(&kineto->unused);
    VECTOR_FREE(&kineto->numbers);
}

void kineto_count(struct kineto_unused_list *list, uint32_t name, uint64_t times)
{
    uint32_t i = 0;
    while (i < list->count && list->at[i].name != name)
        i++;
    if (i == list->count)
        VECTOR_PUSH(list, ((struct kineto_unused){.name = name}));
    list->at[i].count += times;
}
