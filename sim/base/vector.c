#include "base/vector.h"

#include <stdio.h>
#include <stdlib.h>

void *vector_grow(void *at, uint32_t *room, size_t size)
{
    uint64_t wanted = *room ? (uint64_t)*room * 2 : 16;
    void *grown = wanted <= UINT32_MAX ? realloc(at, (size_t)wanted * size) : NULL;
    if (!grown) {
        fprintf(stderr, "partita: out of memory (%llu elements of %zu bytes wanted)\n",
                (unsigned long long)wanted, size);
        exit(70);
    }
    *room = (uint32_t)wanted;
    return grown;
}

void vector_release(void *at)
{
    free(at);
}
