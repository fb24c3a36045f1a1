#include "plan/registry.h"

#include "plan/mesh.h"

#include <stdio.h>
#include <string.h>

const char *const registry_channel_names[CHANNEL_COUNT] = {"pipeline", "pipeline", "halo",    "input",
                                                           "ring",     "panels",   "offload", "tied"};

void registry_init(struct registry *registry, struct names *names)
{
    *registry = (struct registry){.names = names};
}

void registry_fini(struct registry *registry)
{
    VECTOR_FREE(&registry->groups);
    VECTOR_FREE(&registry->members);
    VECTOR_FREE(&registry->keys);
    vector_release(registry->slots);
    registry->slots = NULL;
}

static uint32_t registry_slot(const struct registry *registry, uint64_t first, uint64_t second)
{
    uint64_t hash = first * 0x9E3779B97F4A7C15u ^ (second + 0x7F4A7C15u) * 0xC2B2AE3D27D4EB4Fu;
    uint32_t mask = registry->slot_count - 1, slot = (uint32_t)(hash >> 32) & mask;
    for (; registry->slots[slot]; slot = (slot + 1) & mask) {
        uint32_t group = registry->slots[slot] - 1;
        if (registry->keys.at[2 * group] == first && registry->keys.at[2 * group + 1] == second)
            break;
    }
    return slot;
}

static void registry_rehash(struct registry *registry)
{
    vector_release(registry->slots);
    uint32_t room = registry->slot_count;
    registry->slots = vector_grow(NULL, &room, sizeof *registry->slots);
    registry->slot_count = room;
    memset(registry->slots, 0, room * sizeof *registry->slots);
    for (uint32_t g = 0; g < registry->groups.count; g++)
        registry->slots[registry_slot(registry, registry->keys.at[2 * g], registry->keys.at[2 * g + 1])] =
            g + 1;
}

/* The group with this key; *fresh says that it was just added, with no members yet. */
static uint32_t registry_get(struct registry *registry, uint64_t first, uint64_t second, bool *fresh)
{
    if (registry->groups.count * 2 >= registry->slot_count)
        registry_rehash(registry);
    uint32_t slot = registry_slot(registry, first, second);
    *fresh = registry->slots[slot] == 0;
    if (*fresh) {
        VECTOR_PUSH(&registry->groups, ((struct group){.first_member = registry->members.count}));
        VECTOR_PUSH(&registry->keys, first);
        VECTOR_PUSH(&registry->keys, second);
        registry->slots[slot] = registry->groups.count;
    }
    return registry->slots[slot] - 1;
}

uint32_t registry_channel(struct registry *registry, uint32_t from, uint32_t to, enum channel channel,
                          uint64_t pair, bool rendezvous)
{
    bool fresh;
    uint32_t group =
        registry_get(registry, (uint64_t)1 << 56 | pair << 8 | channel, (uint64_t)from << 32 | to, &fresh);
    if (fresh) {
        VECTOR_PUSH(&registry->members, from);
        VECTOR_PUSH(&registry->members, to);
        registry->groups.at[group].member_count = 2;
        registry->groups.at[group].name = names_add(registry->names, registry_channel_names[channel]);
        registry->groups.at[group].rendezvous = rendezvous;
    }
    return group;
}

static uint32_t registry_axes_name(struct registry *registry, const struct plan_stage *stage, uint32_t mask)
{
    char text[128];
    return names_add(registry->names, mesh_name(stage, mask, registry->names, text, sizeof text));
}

uint32_t registry_axes(struct registry *registry, const struct plan_stage *stage, uint32_t stage_index,
                       uint32_t mask, uint32_t member)
{
    struct coordinates at = layout_coordinates(stage, member);
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (mask >> a & 1)
            at.at[a] = 0;
    bool fresh;
    uint32_t base = layout_member(stage, at);
    uint32_t group =
        registry_get(registry, (uint64_t)2 << 56 | mask, (uint64_t)stage_index << 32 | base, &fresh);
    if (!fresh)
        return group;
    uint32_t count = 1;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        count *= mask >> a & 1 ? stage->axes[a].size : 1;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rest = i;
        for (uint32_t a = stage->axis_count; a-- > 0;)
            if (mask >> a & 1) {
                at.at[a] = rest % stage->axes[a].size;
                rest /= stage->axes[a].size;
            }
        VECTOR_PUSH(&registry->members, stage->ranks[layout_member(stage, at)]);
    }
    registry->groups.at[group].member_count = count;
    registry->groups.at[group].name = registry_axes_name(registry, stage, mask);
    return group;
}

uint32_t registry_named(struct registry *registry, const char *name, uint64_t number, const uint32_t *ranks,
                        uint32_t count)
{
    bool fresh;
    uint32_t id = names_add(registry->names, name);
    uint32_t group = registry_get(registry, (uint64_t)3 << 56 | id, number, &fresh);
    if (!fresh)
        return group;
    for (uint32_t i = 0; i < count; i++)
        VECTOR_PUSH(&registry->members, ranks[i]);
    registry->groups.at[group].member_count = count;
    registry->groups.at[group].name = id;
    return group;
}

bool registry_blocks(const struct registry *registry, uint32_t group)
{
    uint64_t key = registry->keys.at[2 * group];
    return registry->blocking && key >> 56 == 1 && (key & 0xff) <= CHANNEL_BACKWARD;
}

void registry_use(struct registry *registry, uint32_t group, uint32_t match)
{
    if (registry->groups.at[group].match_count <= match)
        registry->groups.at[group].match_count = match + 1;
}
