/* Gossip: workers average with their neighbours in a graph, nobody with all. Synchronous (D-PSGD: Lian et
 * al., NIPS 2017): while a worker computes a gradient its model goes to all neighbours; with their models of
 * the same step it averages and updates. Asynchronous (AD-PSGD: Lian et al., ICML 2018): after each gradient
 * a worker exchanges models with one neighbour drawn at random, who answers whatever it is doing. */
#include "discipline/casting.h"
#include "discipline/stage.h"

#include "base/random.h"

#include <math.h>

enum { RING, TORUS, RANDOM };
static const char *const gossip_graphs[] = {"ring", "torus", "random", NULL};
static const char *const gossip_modes[] = {"synchronous", "asynchronous", NULL};

struct gossip {
    const struct value *workers;
    int graph, mode;
    int64_t degree, steps;
};

#define AT(member) offsetof(struct gossip, member)
static const struct field gossip_fields[] = {
    {.key = "workers",
     .kind = FIELD_VALUE,
     .offset = AT(workers),
     .about = "devices that train; by default all"},
    {.key = "graph",
     .kind = FIELD_CHOICE,
     .offset = AT(graph),
     .choices = gossip_graphs,
     .about = "ring (default), torus (as square as can be), or random"},
    {.key = "degree",
     .kind = FIELD_INTEGER,
     .offset = AT(degree),
     .low = 2,
     .high = 1e6,
     .about = "random: neighbours of each worker, an even number; 4 by default"},
    {.key = "mode",
     .kind = FIELD_CHOICE,
     .offset = AT(mode),
     .choices = gossip_modes,
     .about = "synchronous (D-PSGD, default) or asynchronous (AD-PSGD)"},
    {.key = "steps",
     .kind = FIELD_INTEGER,
     .offset = AT(steps),
     .low = 1,
     .high = 1e7,
     .about = "of each worker; 100 by default"},
};
#undef AT

static void gossip_prepare(void *settings)
{
    *(struct gossip *)settings = (struct gossip){.degree = 4, .steps = 100};
}

/* The largest divisor of n up to its root. */
static uint32_t rows_of(uint32_t n)
{
    uint32_t rows = 1;
    for (uint32_t r = 2; (uint64_t)r * r <= n; r++)
        if (n % r == 0)
            rows = r;
    return rows;
}

static bool gossip_cast(struct input *input, const struct value *map, struct script *script)
{
    const struct gossip *own = script->settings;
    if (!casting_learners(input, script, own->workers, "workers"))
        return false;
    uint32_t n = script->learners.count;
    if (n < 2)
        return report_error(&input->report, map->place, "gossip needs two workers at least; there is %u", n);
    if (own->graph == TORUS && rows_of(n) < 3)
        return report_error(&input->report, casting_place(map, "graph"),
                            "a torus needs rows and columns of three at least; %u workers make none", n);
    if (own->graph == RANDOM && (own->degree % 2 || own->degree >= n))
        return report_error(&input->report, casting_place(map, "degree"),
                            "expected an even degree below the %u workers; got %lld", n,
                            (long long)own->degree);
    return own->graph == RANDOM || !value_get(map, "degree") ||
           report_error(&input->report, casting_place(map, "degree"), "a degree is for a random graph");
}

struct gossiper {
    uint32_t step, came[2]; /* models of neighbours for even and odd steps */
    bool computed;
    gsl_rng *luck;
    struct index_list neighbours; /* in the stage's arena */
};

struct gossip_run {
    const struct gossip *own;
    const struct script *script;
    struct gossiper *workers;
    uint32_t count, done;
};

static bool are_neighbours(const struct gossip_run *run, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < run->workers[a].neighbours.count; i++)
        if (run->workers[a].neighbours.at[i] == b)
            return true;
    return false;
}

static void connect(struct gossip_run *run, uint32_t a, uint32_t b)
{
    if (a == b || are_neighbours(run, a, b))
        return;
    run->workers[a].neighbours.at[run->workers[a].neighbours.count++] = b;
    run->workers[b].neighbours.at[run->workers[b].neighbours.count++] = a;
}

/* A cycle through all workers in random order that has no edge that is there already; false: it has one. */
static bool random_cycle(struct stage *stage, uint32_t *order, gsl_rng *luck)
{
    struct gossip_run *run = stage->state;
    for (uint32_t i = 0; i < run->count; i++)
        order[i] = i;
    for (uint32_t i = run->count - 1; i > 0; i--) {
        uint32_t j = (uint32_t)gsl_rng_uniform_int(luck, i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (uint32_t i = 0; i < run->count; i++)
        if (are_neighbours(run, order[i], order[(i + 1) % run->count]))
            return false;
    for (uint32_t i = 0; i < run->count; i++)
        connect(run, order[i], order[(i + 1) % run->count]);
    return true;
}

/* Unions of random cycles (Law and Siu, INFOCOM 2003): connected, and every worker has the degree. */
static void connect_random(struct stage *stage)
{
    enum { TRIES = 10000 };
    struct gossip_run *run = stage->state;
    gsl_rng *luck = random_stream(stage->arena, stage->seed, "gossip graph", 0);
    uint32_t *order = ARENA_ARRAY(stage->arena, uint32_t, run->count);
    for (int64_t cycle = 0; cycle < run->own->degree / 2; cycle++) {
        int tries = 0;
        while (tries < TRIES && !random_cycle(stage, order, luck))
            tries++;
        if (tries == TRIES)
            actors_fail(stage->actors,
                        "no random graph of degree %lld over %u workers was found: take a lower degree",
                        (long long)run->own->degree, run->count);
    }
}

static void connect_all(struct stage *stage)
{
    struct gossip_run *run = stage->state;
    uint32_t n = run->count, rows = run->own->graph == TORUS ? rows_of(n) : 1, columns = n / rows;
    size_t most = run->own->graph == RANDOM ? (size_t)run->own->degree : 4;
    for (uint32_t w = 0; w < n; w++)
        run->workers[w].neighbours.at = ARENA_ARRAY(stage->arena, uint32_t, most);
    if (run->own->graph == RANDOM) {
        connect_random(stage);
        return;
    }
    for (uint32_t w = 0; w < n; w++) {
        uint32_t row = w / columns, column = w % columns;
        connect(run, w, row * columns + (column + 1) % columns);
        connect(run, w, (row + 1) % rows * columns + column);
    }
}

static void begin_step(struct stage *stage, uint32_t w);

static void updated(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    struct gossip_run *run = stage->state;
    (void)unused;
    run->workers[w].step++;
    if (++run->done % run->count == 0)
        stage_mark(stage, run->script->batch * run->count);
    if (run->workers[w].step < run->own->steps)
        begin_step(stage, w);
}

/* Adds so many models to its own and updates. */
static void average(struct stage *stage, uint32_t w, double models)
{
    const struct gossip_run *run = stage->state;
    uint32_t rank = run->script->learners.at[w];
    const struct script_cost *cost = &run->script->costs[rank];
    stage_work(stage, rank, &cost->add, models, "average", PASS_O, run->workers[w].step,
               (struct actors_then){0});
    stage_work(stage, rank, &cost->optimizer, 1, "update", PASS_O, run->workers[w].step,
               (struct actors_then){updated, w, 0});
}

/* A synchronous worker goes on with its gradient and all its neighbours' models of this step. */
static void try_average(struct stage *stage, uint32_t w)
{
    struct gossip_run *run = stage->state;
    struct gossiper *worker = &run->workers[w];
    if (!worker->computed || worker->came[worker->step % 2] < worker->neighbours.count)
        return;
    worker->came[worker->step % 2] = 0;
    worker->computed = false;
    average(stage, w, worker->neighbours.count);
}

static void model_came(void *state, uint32_t w, uint32_t step)
{
    struct gossip_run *run = ((struct stage *)state)->state;
    run->workers[w].came[step % 2]++;
    try_average(state, w);
}

static void answer_came(void *state, uint32_t w, uint32_t unused)
{
    (void)unused;
    average(state, w, 1);
}

/* The neighbour averages too, and its model goes back at once. */
static void visited(void *state, uint32_t neighbour, uint32_t w)
{
    struct stage *stage = state;
    const struct gossip_run *run = stage->state;
    const struct script *script = run->script;
    uint32_t rank = script->learners.at[neighbour];
    stage_send(stage, rank, script->learners.at[w], script->weight_bytes, "models",
               run->workers[neighbour].step, (struct actors_then){answer_came, w, 0});
    stage_work(stage, rank, &script->costs[rank].add, 1, "average", PASS_O, run->workers[neighbour].step,
               (struct actors_then){0});
}

static void computed(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    struct gossip_run *run = stage->state;
    struct gossiper *worker = &run->workers[w];
    (void)unused;
    if (run->own->mode == 0) {
        worker->computed = true;
        try_average(stage, w);
        return;
    }
    uint32_t neighbour = worker->neighbours.at[gsl_rng_uniform_int(worker->luck, worker->neighbours.count)];
    stage_send(stage, run->script->learners.at[w], run->script->learners.at[neighbour],
               run->script->weight_bytes, "models", worker->step,
               (struct actors_then){visited, neighbour, w});
}

static void begin_step(struct stage *stage, uint32_t w)
{
    struct gossip_run *run = stage->state;
    struct gossiper *worker = &run->workers[w];
    uint32_t rank = run->script->learners.at[w];
    for (uint32_t i = 0; run->own->mode == 0 && i < worker->neighbours.count; i++)
        stage_send(stage, rank, run->script->learners.at[worker->neighbours.at[i]], run->script->weight_bytes,
                   "models", worker->step,
                   (struct actors_then){model_came, worker->neighbours.at[i], worker->step});
    stage_step(stage, rank, worker->step, false, (struct actors_then){computed, w, 0});
}

static void gossip_start(struct stage *stage)
{
    struct gossip_run *run = ARENA_NEW(stage->arena, struct gossip_run);
    run->own = stage->script->settings;
    run->script = stage->script;
    run->count = stage->script->learners.count;
    run->workers = ARENA_ARRAY(stage->arena, struct gossiper, run->count);
    stage->state = run;
    connect_all(stage);
    for (uint32_t w = 0; w < run->count; w++) {
        uint32_t device = run->script->devices.at[run->script->learners.at[w]];
        run->workers[w].luck = random_stream(stage->arena, stage->seed, "gossip", device);
        begin_step(stage, w);
    }
}

static const char *gossip_unfinished(struct stage *stage)
{
    const struct gossip_run *run = stage->state;
    if (run->done == (uint64_t)run->own->steps * run->count)
        return NULL;
    return arena_format(stage->arena, "only %u of %llu steps have been made", run->done,
                        (unsigned long long)run->own->steps * run->count);
}

const struct discipline gossip_discipline = {
    .name = "gossip",
    .about = "workers average with their neighbours on a ring, a torus or a random graph: D-PSGD and AD-PSGD",
    .draws = true,
    .recurs = "step",
    .fields = gossip_fields,
    .field_count = FIELDS_COUNT(gossip_fields),
    .size = sizeof(struct gossip),
    .prepare = gossip_prepare,
    .cast = gossip_cast,
    .start = gossip_start,
    .unfinished = gossip_unfinished,
};
