#include "trace/trace_yaml.h"

#include "input/fields.h"

/* Where two kinds of Chakra's are one collective, the first is written. */
const struct trace_yaml_word trace_yaml_words[TRACE_YAML_WORDS] = {
    {"compute", TRACE_COMPUTE, -1, false, false, "a computation of the device"},
    {"host", TRACE_COMPUTE, -1, true, false, "work of the host's processor"},
    {"pause", TRACE_COMPUTE, -1, false, true, "recorded time on any device, which is no computing"},
    {"load", TRACE_LOAD, -1, false, false, "memory is read"},
    {"store", TRACE_STORE, -1, false, false, "memory is written"},
    {"send", TRACE_SEND, -1, false, false, "a message to rank `to`"},
    {"receive", TRACE_RECEIVE, -1, false, false, "a message from rank `from`"},
    {"all-reduce", TRACE_COLLECTIVE, 0, false, false, "a collective"},
    {"reduce", TRACE_COLLECTIVE, 1, false, false, "a collective"},
    {"all-gather", TRACE_COLLECTIVE, 2, false, false, "a collective"},
    {"gather", TRACE_COLLECTIVE, 3, false, false, "a collective"},
    {"scatter", TRACE_COLLECTIVE, 4, false, false, "a collective"},
    {"broadcast", TRACE_COLLECTIVE, 5, false, false, "a collective"},
    {"all-to-all", TRACE_COLLECTIVE, 6, false, false, "a collective"},
    {"reduce-scatter", TRACE_COLLECTIVE, 7, false, false, "a collective"},
    {"barrier", TRACE_COLLECTIVE, 9, false, false, "a collective"},
    {"nothing", TRACE_METADATA, -1, false, false,
     "takes no time; what waits for it waits for what it waits for"},
};

static bool yaml_members(struct input *input, const struct entry *entry, struct trace_group *group)
{
    const struct value *list = entry->value;
    if (!fields_want_list(input, list, entry->place, "ranks of a process group"))
        return false;
    static const struct field field = {.key = "rank", .kind = FIELD_INTEGER, .low = 0, .high = 16777215};
    bool good = true;
    for (uint32_t i = 0; i < list->count; i++) {
        int64_t rank = 0;
        good = fields_read_one(input, list->entries[i].value, &field, NULL, &rank) && good;
        VECTOR_PUSH(&group->members, (uint32_t)rank);
    }
    if (good && !list->count)
        good = report_error(&input->report, entry->place, "process group '%s' has no ranks", entry->key);
    return good;
}

bool trace_yaml_groups(struct input *input, const struct value *groups, struct trace *trace)
{
    bool good = fields_want_map(input, groups, groups->place, "process groups");
    const char *file = groups->place.file ? arena_text(&trace->arena, groups->place.file) : NULL;
    for (uint32_t i = 0; good && i < groups->count; i++) {
        struct trace_group group = {.name = names_add(trace->names, groups->entries[i].key), .path = file};
        if (yaml_members(input, &groups->entries[i], &group)) {
            VECTOR_PUSH(&trace->groups, group);
        } else {
            VECTOR_FREE(&group.members);
            good = false;
        }
    }
    return good;
}
