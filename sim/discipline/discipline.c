#include "discipline/discipline.h"

#include <string.h>

const struct discipline *const discipline_table[] = {&parameter_server_discipline,
                                                     &backup_workers_discipline,
                                                     &averaging_discipline,
                                                     &gossip_discipline,
                                                     &federated_discipline,
                                                     &split_learning_discipline,
                                                     NULL};

static const struct field discipline_kind_field = {.key = "kind", .kind = FIELD_TEXT, .required = true};

/* The kind's entry; NULL after reporting. */
static const struct discipline *read_kind(struct input *input, const struct value *map)
{
    const char *known[32], *name = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; discipline_table[i]; i++)
        known[count++] = discipline_table[i]->name;
    const struct value *kind = value_get(map, "kind");
    if (!kind) {
        report_error(&input->report, map->place,
                     "a discipline needs a `kind`: see `partita list disciplines`");
        return NULL;
    }
    if (!fields_read_one(input, kind, &discipline_kind_field, NULL, &name))
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(known[i], name) == 0)
            return discipline_table[i];
    fields_no_such(input, kind->place, "discipline", name, known, count);
    return NULL;
}

/* The map without `kind`, which every discipline has. */
static const struct value *without_kind(struct input *input, const struct value *map)
{
    struct value *rest = value_new(&input->arena, map->place, VALUE_MAP);
    for (uint32_t i = 0; i < map->count; i++)
        if (strcmp(map->entries[i].key, "kind") != 0)
            value_put(&input->arena, rest, map->entries[i].key, map->entries[i].place, map->entries[i].value);
    return rest;
}

bool discipline_read(struct input *input, const struct value *map, struct platform *platform,
                     struct names *names, struct script *script)
{
    *script = (struct script){.platform = platform, .names = names, .place = map->place};
    if (!fields_want_map(input, map, map->place, "discipline"))
        return false;
    const struct discipline *discipline = read_kind(input, map);
    if (!discipline)
        return false;
    const struct value *rest = without_kind(input, map);
    script->discipline = discipline;
    script->settings = arena_alloc(&input->arena, discipline->size);
    if (discipline->prepare)
        discipline->prepare(script->settings);
    return fields_read(input, rest, map->place,
                       arena_format(&input->arena, "discipline %s", discipline->name), discipline->fields,
                       discipline->field_count, NULL, script->settings) &&
           discipline->cast(input, rest, script);
}

void discipline_fini(struct script *script)
{
    VECTOR_FREE(&script->devices);
    VECTOR_FREE(&script->learners);
    VECTOR_FREE(&script->servers);
}

bool discipline_run(const struct script *script, const struct engine_options *options, uint64_t seed,
                    struct job *job, struct engine_result *result, struct account *account,
                    struct stage *stage, const char **error)
{
    *stage = (struct stage){.script = script, .account = account, .seed = seed};
    stage->actors = actors_open(script->platform, script->names, script->devices.at, script->devices.count,
                                options, stage);
    stage->arena = actors_arena(stage->actors);
    script->discipline->start(stage);
    if (actors_run(stage->actors)) {
        const char *unfinished = script->discipline->unfinished(stage);
        if (unfinished)
            actors_fail(stage->actors, "nothing happens any more, but %s", unfinished);
    }
    bool good = actors_finish(stage->actors, job, result, error);
    actors_close(stage->actors);
    stage->actors = NULL;
    if (!good)
        VECTOR_FREE(&stage->marks);
    return good;
}
