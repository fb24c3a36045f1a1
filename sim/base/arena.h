/* Arena: memory that lives as long as one phase (reading, planning, running) and is released in one call.
 * Blocks are chained and never move, so pointers into an arena stay valid until arena_fini(). */
#ifndef PARTITA_BASE_ARENA_H
#define PARTITA_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *newest; /* owned; a chain of blocks */
    size_t used;                /* bytes used in the newest block */
    size_t total;               /* bytes of all blocks, for memory statistics */
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);

/* Zeroed memory, aligned for any type. Never returns NULL: running out of memory ends the program with a
 * message. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* The same for `count` elements; a product that overflows ends the program too. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* Copies of bytes, of a text, and of what printf would write. */
void *arena_copy(struct arena *arena, const void *from, size_t bytes);
char *arena_text(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_array((arena), (count), sizeof(type)))

#endif
