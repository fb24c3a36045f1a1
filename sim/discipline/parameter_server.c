/* Parameter server (Li et al., "Scaling Distributed Machine Learning with the Parameter Server", OSDI 2014).
 * A worker computes a gradient and pushes a share of it to each server; a server applies one gradient at a
 * time and answers with its share of the parameters, at once (asynchronous), or when the worker's clock is at
 * most s ahead of the slowest (stale-synchronous: Ho et al., NIPS 2013), or when all have come (synchronous:
 * s = 0). A clock is a step of a worker; each server has its own view of the clocks. */
#include "discipline/casting.h"
#include "discipline/stage.h"

#include <string.h>

enum { SYNCHRONOUS, ASYNCHRONOUS, STALE_SYNCHRONOUS };
static const char *const parameter_server_modes[] = {"synchronous", "asynchronous", "stale-synchronous",
                                                     NULL};

struct parameter_server {
    const struct value *servers, *workers;
    int mode;
    int64_t bound, steps, local;
};

#define AT(member) offsetof(struct parameter_server, member)
static const struct field parameter_server_fields[] = {
    {.key = "servers",
     .kind = FIELD_VALUE,
     .offset = AT(servers),
     .about = "devices that hold equal shares of the parameters, or `co-located`: every worker holds one"},
    {.key = "workers",
     .kind = FIELD_VALUE,
     .offset = AT(workers),
     .about = "devices that train; by default all that do not serve"},
    {.key = "mode",
     .kind = FIELD_CHOICE,
     .offset = AT(mode),
     .choices = parameter_server_modes,
     .about = "when a worker gets the new parameters; synchronous by default"},
    {.key = "bound",
     .kind = FIELD_INTEGER,
     .offset = AT(bound),
     .low = 0,
     .high = 1e6,
     .about = "stale-synchronous: steps that a worker may be ahead of the slowest"},
    {.key = "steps",
     .kind = FIELD_INTEGER,
     .offset = AT(steps),
     .low = 1,
     .high = 1e7,
     .about = "pushes per worker on average: the run ends after so many times the number of workers; 100 by "
              "default"},
    {.key = "local-steps",
     .kind = FIELD_INTEGER,
     .offset = AT(local),
     .low = 1,
     .high = 1e5,
     .about = "steps with updates of its own that a worker makes before each push; 1 by default: a gradient"},
};
#undef AT

static void parameter_server_prepare(void *settings)
{
    struct parameter_server *own = settings;
    own->steps = 100;
    own->bound = -1;
    own->local = 1;
}

static bool cast_servers(struct input *input, const struct parameter_server *own, struct script *script)
{
    const struct value *servers = own->servers;
    if (!servers)
        return report_error(&input->report, script->place,
                            "a parameter server needs `servers`: devices, or co-located");
    if (servers->kind == VALUE_SCALAR && strcmp(servers->text, "co-located") == 0) {
        if (!casting_learners(input, script, own->workers, "workers"))
            return false;
        for (uint32_t i = 0; i < script->learners.count; i++)
            VECTOR_PUSH(&script->servers, script->learners.at[i]);
        return true;
    }
    if (servers->kind == VALUE_SCALAR && !servers->quoted && strspn(servers->text, "0123456789") &&
        !servers->text[strspn(servers->text, "0123456789")])
        return report_error(&input->report, servers->place,
                            "expected the devices that serve, such as \"server[0..3]\", or co-located; got "
                            "'%s' (there are %u devices)",
                            servers->text, script->platform->devices.count);
    return casting_select(input, script, servers, "servers", &script->servers) &&
           casting_learners(input, script, own->workers, "workers");
}

static bool parameter_server_cast(struct input *input, const struct value *map, struct script *script)
{
    struct parameter_server *own = script->settings;
    bool bounded = own->mode == STALE_SYNCHRONOUS;
    if (bounded != (own->bound >= 0))
        return report_error(&input->report, casting_place(map, bounded ? "mode" : "bound"),
                            bounded ? "mode stale-synchronous needs a `bound`"
                                    : "a bound is for mode stale-synchronous");
    if (own->mode == SYNCHRONOUS)
        own->bound = 0;
    return cast_servers(input, own, script);
}

struct server_view { /* of one server on one worker */
    uint64_t pulled; /* the server's version that the worker has */
    uint32_t clock;  /* of the worker: gradients applied */
    bool waits;      /* for the new parameters */
};

struct parameter_server_run {
    const struct parameter_server *own;
    const struct script *script;
    uint64_t target, started, applied; /* steps of workers; applied by the first server */
    uint64_t *versions;                /* per server */
    struct server_view *views;         /* server · workers + worker */
    uint32_t *shares;                  /* per worker: that have come of the new parameters */
    uint32_t *clocks;                  /* per worker: steps begun */
};

static struct server_view *view_at(const struct parameter_server_run *run, uint32_t server, uint32_t worker)
{
    return &run->views[(size_t)server * run->script->learners.count + worker];
}

static uint32_t slowest(const struct parameter_server_run *run, uint32_t server)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t w = 0; w < run->script->learners.count; w++)
        if (view_at(run, server, w)->clock < least)
            least = view_at(run, server, w)->clock;
    return least;
}

static void computed(void *state, uint32_t w, uint32_t unused);

/* A share of the parameters has come; with the last one a step begins, unless enough were begun. */
static void received_parameters(void *state, uint32_t w, uint32_t server)
{
    struct stage *stage = state;
    struct parameter_server_run *run = stage->state;
    (void)server;
    if (++run->shares[w] < run->script->servers.count)
        return;
    run->shares[w] = 0;
    if (run->started == run->target)
        return;
    run->started++;
    account_count(stage->account, "lead", run->clocks[w] - slowest(run, 0));
    for (int64_t i = 1; i < run->own->local; i++)
        stage_step(stage, run->script->learners.at[w], run->clocks[w], true, (struct actors_then){0});
    stage_step(stage, run->script->learners.at[w], run->clocks[w]++, run->own->local > 1,
               (struct actors_then){computed, w, 0});
}

static void send_parameters(struct stage *stage, uint32_t server, uint32_t w)
{
    struct parameter_server_run *run = stage->state;
    const struct script *script = run->script;
    struct server_view *view = view_at(run, server, w);
    view->pulled = run->versions[server];
    view->waits = false;
    stage_send(stage, script->servers.at[server], script->learners.at[w],
               script->weight_bytes / script->servers.count, "parameters", view->clock,
               (struct actors_then){received_parameters, w, server});
}

/* The synchronous run has one step for all, so its gradients are never stale. A worker's first gradient
 * starts from what all have at the beginning and does not count. */
static void note_staleness(struct stage *stage, uint32_t server, const struct server_view *view)
{
    const struct parameter_server_run *run = stage->state;
    if (run->own->mode != SYNCHRONOUS && view->clock > 0)
        account_count(stage->account, "staleness", run->versions[server] - view->pulled);
}

/* A server has applied a gradient: its worker, and maybe others that waited for it, may go on. */
static void applied(void *state, uint32_t server, uint32_t w)
{
    struct stage *stage = state;
    struct parameter_server_run *run = stage->state;
    uint32_t workers = run->script->learners.count;
    struct server_view *view = view_at(run, server, w);
    note_staleness(stage, server, view);
    run->versions[server]++;
    view->clock++;
    view->waits = true;
    if (server == 0 && run->versions[0] % workers == 0)
        stage_mark(stage, stage->script->batch * workers * (double)run->own->local);
    run->applied += server == 0;
    uint32_t least = run->own->mode == ASYNCHRONOUS ? 0 : slowest(run, server);
    for (uint32_t other = 0; other < workers; other++) {
        const struct server_view *at = view_at(run, server, other);
        if (at->waits && (run->own->mode == ASYNCHRONOUS || at->clock - least <= run->own->bound))
            send_parameters(stage, server, other);
    }
}

static void received_gradient(void *state, uint32_t server, uint32_t w)
{
    struct stage *stage = state;
    const struct parameter_server_run *run = stage->state;
    uint32_t rank = run->script->servers.at[server];
    stage_work(stage, rank, &run->script->costs[rank].optimizer, 1.0 / run->script->servers.count, "update",
               PASS_O, view_at(run, server, w)->clock, (struct actors_then){applied, server, w});
}

static void computed(void *state, uint32_t w, uint32_t unused)
{
    struct stage *stage = state;
    const struct parameter_server_run *run = stage->state;
    const struct script *script = run->script;
    (void)unused;
    for (uint32_t s = 0; s < script->servers.count; s++)
        stage_send(stage, script->learners.at[w], script->servers.at[s],
                   script->gradient_bytes / script->servers.count, "gradients", run->clocks[w] - 1,
                   (struct actors_then){received_gradient, s, w});
}

static void parameter_server_start(struct stage *stage)
{
    const struct script *script = stage->script;
    uint32_t workers = script->learners.count, servers = script->servers.count;
    struct parameter_server_run *run = ARENA_NEW(stage->arena, struct parameter_server_run);
    run->own = script->settings;
    run->script = script;
    run->target = (uint64_t)run->own->steps * workers;
    run->versions = ARENA_ARRAY(stage->arena, uint64_t, servers);
    run->views = ARENA_ARRAY(stage->arena, struct server_view, (size_t)servers * workers);
    run->shares = ARENA_ARRAY(stage->arena, uint32_t, workers);
    run->clocks = ARENA_ARRAY(stage->arena, uint32_t, workers);
    stage->state = run;
    for (uint32_t s = 0; s < servers; s++)
        for (uint32_t w = 0; w < workers; w++)
            send_parameters(stage, s, w);
}

static const char *parameter_server_unfinished(struct stage *stage)
{
    const struct parameter_server_run *run = stage->state;
    const struct script *script = run->script;
    if (run->applied == run->target)
        return NULL;
    const char *text = arena_format(stage->arena, "only %llu of %llu gradients have been applied",
                                    (unsigned long long)run->applied, (unsigned long long)run->target);
    for (uint32_t w = 0; w < script->learners.count; w++)
        if (view_at(run, 0, w)->waits)
            text = arena_format(stage->arena, "%s; %s waits for the slowest worker, at clock %u", text,
                                stage_name(stage, script->learners.at[w]), slowest(run, 0));
    return text;
}

const struct discipline parameter_server_discipline = {
    .name = "parameter-server",
    .about =
        "workers push gradients to servers and pull parameters: synchronous, asynchronous or within a bound",
    .recurs = "step",
    .fields = parameter_server_fields,
    .field_count = FIELDS_COUNT(parameter_server_fields),
    .size = sizeof(struct parameter_server),
    .prepare = parameter_server_prepare,
    .cast = parameter_server_cast,
    .start = parameter_server_start,
    .unfinished = parameter_server_unfinished,
};
