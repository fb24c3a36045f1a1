#include "base/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t names_hash(const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

void names_init(struct names *names)
{
    *names = (struct names){0};
    arena_init(&names->texts);
    names_add(names, "");
}

void names_fini(struct names *names)
{
    arena_fini(&names->texts);
    VECTOR_FREE(&names->list);
    vector_release(names->slots);
    *names = (struct names){0};
}

/* The slot that holds `text`, or the empty slot where it belongs. Texts of other hashes are not looked at. */
static uint32_t names_slot(const struct names *names, uint32_t hash, const char *text)
{
    uint32_t mask = names->slot_count - 1, slot = hash & mask;
    while (names->slots[slot].id &&
           (names->slots[slot].hash != hash || strcmp(names->list.at[names->slots[slot].id - 1], text) != 0))
        slot = (slot + 1) & mask;
    return slot;
}

static void names_rehash(struct names *names)
{
    struct names_slot *old = names->slots;
    uint32_t old_count = names->slot_count, room = old_count;
    names->slots = vector_grow(NULL, &room, sizeof *names->slots); /* doubles: it stays a power of two */
    names->slot_count = room;
    memset(names->slots, 0, room * sizeof *names->slots);
    for (uint32_t i = 0; i < old_count; i++) {
        uint32_t slot = old[i].hash & (room - 1);
        while (old[i].id && names->slots[slot].id)
            slot = (slot + 1) & (room - 1);
        if (old[i].id)
            names->slots[slot] = old[i];
    }
    vector_release(old);
}

uint32_t names_add(struct names *names, const char *text)
{
    if (names->list.count * 2 >= names->slot_count)
        names_rehash(names);
    uint32_t hash = names_hash(text), slot = names_slot(names, hash, text);
    if (!names->slots[slot].id) {
        VECTOR_PUSH(&names->list, arena_text(&names->texts, text));
        names->slots[slot] = (struct names_slot){hash, names->list.count};
    }
    return names->slots[slot].id - 1;
}

uint32_t names_find(const struct names *names, const char *text)
{
    uint32_t found = names->slots[names_slot(names, names_hash(text), text)].id;
    return found ? found - 1 : UINT32_MAX;
}

const char *names_text(const struct names *names, uint32_t id)
{
    assert(id < names->list.count);
    return names->list.at[id];
}
