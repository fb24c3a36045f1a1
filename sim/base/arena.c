/* Arena: a chain of blocks that double in size up to 16 MiB; larger requests get a block of their own. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_FIRST = 1 << 14, ARENA_LARGEST = 1 << 24 };

struct arena_block {
    struct arena_block *older;
    size_t room; /* bytes after this header */
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena)
{
    for (struct arena_block *block = arena->newest; block;) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
    *arena = (struct arena){0};
}

static void arena_grow(struct arena *arena, size_t bytes)
{
    size_t room = arena->newest ? arena->newest->room * 2 : ARENA_FIRST;
    if (room > ARENA_LARGEST)
        room = ARENA_LARGEST;
    if (room < bytes)
        room = bytes;
    struct arena_block *block = calloc(1, sizeof *block + room);
    if (!block) {
        fprintf(stderr, "partita: out of memory (%zu bytes wanted, %zu bytes held)\n", room, arena->total);
        exit(70);
    }
    block->older = arena->newest;
    block->room = room;
    arena->newest = block;
    arena->used = 0;
    arena->total += room;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    const size_t unit = alignof(max_align_t);
    bytes = (bytes + unit - 1) / unit * unit;
    if (!arena->newest || arena->newest->room - arena->used < bytes)
        arena_grow(arena, bytes);
    void *memory = arena->newest->bytes + arena->used;
    arena->used += bytes;
    return memory;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size) {
        fprintf(stderr, "partita: out of memory (%zu elements of %zu bytes wanted)\n", count, size);
        exit(70);
    }
    return arena_alloc(arena, count * size);
}

void *arena_copy(struct arena *arena, const void *from, size_t bytes)
{
    void *memory = arena_alloc(arena, bytes);
    if (bytes)
        memcpy(memory, from, bytes);
    return memory;
}

char *arena_text(struct arena *arena, const char *text)
{
    return arena_copy(arena, text, strlen(text) + 1);
}

char *arena_vformat(struct arena *arena, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = arena_alloc(arena, (size_t)length + 1);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    return text;
}
