/* Averaging among workers without a server. With `every` 1 gradients are all-reduced before each update;
 * otherwise each worker makes so many steps of its own and then the models are averaged (local SGD: Stich,
 * ICLR 2019), on demand followed by an outer optimizer's step on each worker (DiLoCo: Douillard et al. 2023).
 * With groups, most averages are within a group and only each so many-th is over all (hierarchical averaging:
 * Lin et al., ICLR 2020). What is exchanged may be compressed: numbers of fewer bits (Seide et al. 2014,
 * Alistarh et al. 2017), or the largest of them only, as an all-gather of values and indices (Lin et al.,
 * Deep Gradient Compression, ICLR 2018). */
#include "discipline/casting.h"
#include "discipline/stage.h"

#include <math.h>

struct averaging {
    const struct value *workers;
    int64_t every, rounds, groups, global_every, bits;
    double top; /* share of the numbers; 0: all */
    bool outer;
};

#define AT(member) offsetof(struct averaging, member)
static const struct field averaging_fields[] = {
    {.key = "workers",
     .kind = FIELD_VALUE,
     .offset = AT(workers),
     .about = "devices that train; by default all"},
    {.key = "every",
     .kind = FIELD_INTEGER,
     .offset = AT(every),
     .low = 1,
     .high = 1e6,
     .about = "steps between averages; 1 (default): of gradients, before the update"},
    {.key = "rounds",
     .kind = FIELD_INTEGER,
     .offset = AT(rounds),
     .low = 1,
     .high = 1e7,
     .about = "averages; 100 by default"},
    {.key = "outer",
     .kind = FIELD_FLAG,
     .offset = AT(outer),
     .about = "an outer optimizer's step follows each average of models"},
    {.key = "groups",
     .kind = FIELD_INTEGER,
     .offset = AT(groups),
     .low = 1,
     .high = 1e6,
     .about = "of equal numbers of workers, in their order; 1 by default"},
    {.key = "global-every",
     .kind = FIELD_INTEGER,
     .offset = AT(global_every),
     .low = 1,
     .high = 1e6,
     .about = "groups: the how-many-th average is over all; 1 by default: each"},
    {.key = "bits",
     .kind = FIELD_INTEGER,
     .offset = AT(bits),
     .low = 1,
     .high = 64,
     .about = "of a number that is exchanged; by default those of its precision"},
    {.key = "top",
     .kind = FIELD_NUMBER,
     .offset = AT(top),
     .low = 1e-9,
     .high = 1,
     .about = "only this share of the numbers is exchanged, each with its index"},
};
#undef AT

static void averaging_prepare(void *settings)
{
    *(struct averaging *)settings =
        (struct averaging){.every = 1, .rounds = 100, .groups = 1, .global_every = 1};
}

static bool averaging_cast(struct input *input, const struct value *map, struct script *script)
{
    struct averaging *own = script->settings;
    if (own->top > 0 && own->bits)
        return report_error(&input->report, casting_place(map, "top"), "give `top` or `bits`, not both");
    if (own->outer && own->every == 1)
        return report_error(&input->report, casting_place(map, "outer"),
                            "an outer step follows averages of models; `every: 1` averages gradients");
    if (!casting_learners(input, script, own->workers, "workers"))
        return false;
    return script->learners.count % (uint64_t)own->groups == 0 ||
           report_error(&input->report, casting_place(map, "groups"),
                        "%lld groups do not divide the %u workers", (long long)own->groups,
                        script->learners.count);
}

struct averaging_run {
    const struct averaging *own;
    const struct script *script;
    uint32_t *groups, *steps, *rounds; /* per group: for the actors; per worker: of this round, rounds done */
    uint32_t whole, size, back, ended; /* whole: the group of all; size: workers of a group */
};

static void begin(struct stage *stage, uint32_t w);

/* A worker is through with a round. */
static void round_done(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    struct averaging_run *run = stage->state;
    uint32_t workers = run->script->learners.count;
    (void)unused;
    run->rounds[w]++;
    if (++run->back % workers == 0) {
        run->ended++;
        stage_mark(stage, run->script->batch * workers * (double)run->own->every);
    }
    if (run->rounds[w] < run->own->rounds)
        begin(stage, w);
}

/* What was exchanged has come: unpack it, then update, or make the outer step. */
static void exchanged(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    const struct averaging_run *run = stage->state;
    const struct averaging *own = run->own;
    uint32_t rank = run->script->learners.at[w], round = run->rounds[w];
    const struct script_cost *cost = &run->script->costs[rank];
    struct actors_then done = {round_done, w, 0};
    (void)unused;
    if (own->top > 0)
        stage_work(stage, rank, &cost->add, own->top * run->script->learners.count, "unpack", PASS_N, round,
                   (struct actors_then){0});
    else if (own->bits)
        stage_work(stage, rank, &cost->add, 1, "unpack", PASS_N, round, (struct actors_then){0});
    if (own->every == 1)
        stage_work(stage, rank, &cost->optimizer, 1, "update", PASS_O, round, done);
    else if (own->outer)
        stage_work(stage, rank, &cost->add, 1, "outer step", PASS_O, round, done);
    else
        stage_work(stage, rank, &(struct script_work){0}, 1, "average", PASS_O, round, done);
}

static void exchange(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    const struct averaging_run *run = stage->state;
    const struct averaging *own = run->own;
    const struct script *script = run->script;
    bool all = own->groups == 1 || (run->rounds[w] + 1) % own->global_every == 0;
    uint32_t members = all ? script->learners.count : run->size;
    double bytes = own->every == 1 ? script->gradient_bytes : script->weight_bytes;
    (void)unused;
    struct actors_collective collective = {
        .bytes = own->bits ? script->parameters * (double)own->bits / 8 : bytes,
        .label = names_add(script->names, own->every == 1 ? "gradients" : "models"),
        .round = run->rounds[w],
        .kind = ALL_REDUCE};
    if (own->top > 0) { /* each gives its own largest, as many numbers with 4-byte indices */
        collective.kind = ALL_GATHER;
        collective.bytes = members * own->top * (bytes + 4 * script->parameters);
    }
    actors_group_join(stage->actors, all ? run->whole : run->groups[w / run->size], all ? w : w % run->size,
                      &collective, (struct actors_then){exchanged, w, 0});
}

static void stepped(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    struct averaging_run *run = stage->state;
    uint32_t rank = run->script->learners.at[w];
    (void)unused;
    if (++run->steps[w] < run->own->every) {
        stage_step(stage, rank, run->rounds[w], true, (struct actors_then){stepped, w, 0});
        return;
    }
    if (run->own->top > 0 ||
        run->own->bits) /* one pass over all numbers and what was left of the last time */
        stage_work(stage, rank, &run->script->costs[rank].add, 1, "compress", PASS_N, run->rounds[w],
                   (struct actors_then){exchange, w, 0});
    else
        exchange(stage, w, 0);
}

static void begin(struct stage *stage, uint32_t w)
{
    struct averaging_run *run = stage->state;
    run->steps[w] = 0;
    stage_step(stage, run->script->learners.at[w], run->rounds[w], run->own->every > 1,
               (struct actors_then){stepped, w, 0});
}

static void averaging_start(struct stage *stage)
{
    const struct script *script = stage->script;
    struct averaging_run *run = ARENA_NEW(stage->arena, struct averaging_run);
    uint32_t workers = script->learners.count;
    run->own = script->settings;
    run->script = script;
    run->size = workers / (uint32_t)run->own->groups;
    run->groups = ARENA_ARRAY(stage->arena, uint32_t, (size_t)run->own->groups);
    run->steps = ARENA_ARRAY(stage->arena, uint32_t, workers);
    run->rounds = ARENA_ARRAY(stage->arena, uint32_t, workers);
    stage->state = run;
    run->whole = actors_group(stage->actors, "all workers", script->learners.at, workers);
    for (uint32_t g = 0; run->own->groups > 1 && g < run->own->groups; g++)
        run->groups[g] =
            actors_group(stage->actors, "workers of a group", script->learners.at + g * run->size, run->size);
    for (uint32_t w = 0; w < workers; w++)
        begin(stage, w);
}

static const char *averaging_unfinished(struct stage *stage)
{
    const struct averaging_run *run = stage->state;
    if (run->ended == run->own->rounds)
        return NULL;
    return arena_format(stage->arena, "only %u of %lld averages have been made", run->ended,
                        (long long)run->own->rounds);
}

const struct discipline averaging_discipline = {
    .name = "averaging",
    .about =
        "gradients or, every so many steps, models are all-reduced: local SGD, DiLoCo, in groups, compressed",
    .recurs = "round",
    .fields = averaging_fields,
    .field_count = FIELDS_COUNT(averaging_fields),
    .size = sizeof(struct averaging),
    .prepare = averaging_prepare,
    .cast = averaging_cast,
    .start = averaging_start,
    .unfinished = averaging_unfinished,
};
