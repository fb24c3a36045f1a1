#include "discipline/casting.h"

#include "platform/topology.h"

uint32_t casting_rank(struct script *script, uint32_t device)
{
    for (uint32_t r = 0; r < script->devices.count; r++)
        if (script->devices.at[r] == device)
            return r;
    VECTOR_PUSH(&script->devices, device);
    return script->devices.count - 1;
}

bool casting_select(struct input *input, struct script *script, const struct value *pattern, const char *what,
                    struct index_list *ranks)
{
    struct index_list devices = {0};
    bool good = topology_select(input, script->platform, pattern, &devices);
    if (good && !devices.count)
        good = report_error(&input->report, pattern->place, "a discipline needs %s; this names none", what);
    for (uint32_t i = 0; good && i < devices.count; i++)
        VECTOR_PUSH(ranks, casting_rank(script, devices.at[i]));
    VECTOR_FREE(&devices);
    return good;
}

bool casting_learners(struct input *input, struct script *script, const struct value *pattern,
                      const char *what)
{
    if (pattern)
        return casting_select(input, script, pattern, what, &script->learners);
    uint32_t serving = script->devices.count;
    for (uint32_t d = 0; d < script->platform->devices.count; d++) {
        bool serves = script->platform->devices.at[d].role != DEVICE_WORKER;
        for (uint32_t r = 0; r < serving && !serves; r++)
            serves = script->devices.at[r] == d;
        if (!serves)
            VECTOR_PUSH(&script->learners, casting_rank(script, d));
    }
    return script->learners.count ||
           report_error(&input->report, script->place, "there are no %s: every device of the topology serves",
                        what);
}

struct place casting_place(const struct value *map, const char *key)
{
    const struct value *value = value_get(map, key);
    return value ? value->place : map->place;
}
