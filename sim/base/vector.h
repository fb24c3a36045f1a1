/* Vector: a plain array that doubles. Declare one as VECTOR(type) field; zero it to start; elements are
 * contiguous at .at[0 .. .count). Indices stay valid when it grows, pointers do not. */
#ifndef PARTITA_BASE_VECTOR_H
#define PARTITA_BASE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

#define VECTOR(type)                                                                                         \
    struct {                                                                                                 \
        type *at;                                                                                            \
        uint32_t count, room;                                                                                \
    }

/* A list of indices; the VECTOR macros work on it. */
struct index_list {
    uint32_t *at;
    uint32_t count, room;
};

/* Appends one element; `item` is evaluated once. */
#define VECTOR_PUSH(vector, item)                                                                            \
    do {                                                                                                     \
        if ((vector)->count == (vector)->room)                                                               \
            (vector)->at = vector_grow((vector)->at, &(vector)->room, sizeof *(vector)->at);                 \
        (vector)->at[(vector)->count++] = (item);                                                            \
    } while (0)

/* Makes room for `wanted` elements in all. */
#define VECTOR_RESERVE(vector, wanted)                                                                       \
    do {                                                                                                     \
        while ((vector)->room < (wanted))                                                                    \
            (vector)->at = vector_grow((vector)->at, &(vector)->room, sizeof *(vector)->at);                 \
    } while (0)

#define VECTOR_FREE(vector)                                                                                  \
    do {                                                                                                     \
        vector_release((vector)->at);                                                                        \
        (vector)->at = NULL;                                                                                 \
        (vector)->count = (vector)->room = 0;                                                                \
    } while (0)

/* Doubles the room of an array (from 16). Ends the program with a message when memory is out. */
void *vector_grow(void *at, uint32_t *room, size_t size);
void vector_release(void *at);

#endif
