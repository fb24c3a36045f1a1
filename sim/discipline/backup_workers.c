/* Backup workers (Chen et al., "Revisiting Distributed Synchronous SGD", 2016): of N + b workers a step waits
 * for the first N gradients. What the slowest b compute and send is given up at once and they begin the next
 * step with the others (`cancel`), or they finish first, their gradient is discarded on arrival, and they
 * join the step that is then going on. */
#include "discipline/casting.h"
#include "discipline/stage.h"

struct backup_workers {
    const struct value *server, *workers;
    int64_t backup, steps;
    bool cancel;
};

#define AT(member) offsetof(struct backup_workers, member)
static const struct field backup_workers_fields[] = {
    {.key = "server",
     .kind = FIELD_VALUE,
     .offset = AT(server),
     .required = true,
     .about = "the device that has the parameters"},
    {.key = "workers",
     .kind = FIELD_VALUE,
     .offset = AT(workers),
     .about = "devices that train, backups included; by default all others"},
    {.key = "backup",
     .kind = FIELD_INTEGER,
     .offset = AT(backup),
     .low = 0,
     .high = 1e6,
     .about = "how many of them a step does not wait for; 1 by default"},
    {.key = "cancel",
     .kind = FIELD_FLAG,
     .offset = AT(cancel),
     .about = "give up what they compute and send; yes by default"},
    {.key = "steps",
     .kind = FIELD_INTEGER,
     .offset = AT(steps),
     .low = 1,
     .high = 1e7,
     .about = "100 by default"},
};
#undef AT

static void backup_workers_prepare(void *settings)
{
    *(struct backup_workers *)settings = (struct backup_workers){.backup = 1, .cancel = true, .steps = 100};
}

static bool backup_workers_cast(struct input *input, const struct value *map, struct script *script)
{
    const struct backup_workers *own = script->settings;
    if (!casting_select(input, script, own->server, "a server", &script->servers) ||
        !casting_learners(input, script, own->workers, "workers"))
        return false;
    if (script->servers.count != 1)
        return report_error(&input->report, own->server->place, "expected one device as server; got %u",
                            script->servers.count);
    for (uint32_t w = 0; w < script->learners.count; w++)
        if (script->learners.at[w] == script->servers.at[0])
            return report_error(&input->report, own->workers->place, "the server cannot be a worker here");
    return own->backup < script->learners.count ||
           report_error(&input->report, casting_place(map, "backup"),
                        "%lld backups leave none of the %u workers to wait for", (long long)own->backup,
                        script->learners.count);
}

struct backup_worker {
    uint32_t step, message; /* message: under way if sending */
    bool sending, busy;
};

struct backup_run {
    const struct backup_workers *own;
    const struct script *script;
    struct backup_worker *workers;
    uint32_t count, needed, server, step, came;
};

static void computed(void *state, uint32_t w, uint32_t step);

static void parameters_came(void *state, uint32_t w, uint32_t step)
{
    struct stage *stage = state;
    struct backup_run *run = stage->state;
    run->workers[w].sending = false;
    if (run->workers[w].step == step) /* not if a newer copy is on its way */
        stage_step(stage, run->script->learners.at[w], step, false, (struct actors_then){computed, w, step});
}

static void send_parameters(struct stage *stage, uint32_t w)
{
    struct backup_run *run = stage->state;
    struct backup_worker *worker = &run->workers[w];
    worker->step = run->step;
    worker->busy = true;
    worker->sending = true;
    worker->message =
        stage_send(stage, run->server, run->script->learners.at[w], run->script->weight_bytes, "parameters",
                   run->step, (struct actors_then){parameters_came, w, run->step});
}

static void updated(void *state, uint32_t unused, uint32_t also_unused)
{
    struct stage *stage = state;
    struct backup_run *run = stage->state;
    (void)unused, (void)also_unused;
    stage_mark(stage, run->script->batch * run->needed);
    run->step++;
    run->came = 0;
    if (run->step == run->own->steps)
        return;
    for (uint32_t w = 0; w < run->count; w++)
        if (!run->workers[w].busy)
            send_parameters(stage, w);
}

/* Gives up what the workers do that the step did not wait for. */
static void give_up(struct stage *stage)
{
    struct backup_run *run = stage->state;
    for (uint32_t w = 0; w < run->count; w++) {
        struct backup_worker *worker = &run->workers[w];
        if (!worker->busy)
            continue;
        account_add(stage->account, "given up", 1);
        actors_drop(stage->actors, run->script->learners.at[w]);
        if (worker->sending)
            actors_send_recall(stage->actors, worker->message);
        worker->busy = worker->sending = false;
    }
}

static void gradient_came(void *state, uint32_t w, uint32_t step)
{
    struct stage *stage = state;
    struct backup_run *run = stage->state;
    struct backup_worker *worker = &run->workers[w];
    worker->sending = worker->busy = false;
    if (run->step == run->own->steps)
        return;
    if (step != run->step || run->came == run->needed) {
        account_add(stage->account, "discarded gradients", 1);
        if (run->came < run->needed) /* otherwise with the others, after the update */
            send_parameters(stage, w);
        return;
    }
    if (++run->came < run->needed)
        return;
    if (run->own->cancel)
        give_up(stage);
    stage_work(stage, run->server, &run->script->costs[run->server].optimizer, 1, "update", PASS_O, run->step,
               (struct actors_then){updated, 0, 0});
}

static void computed(void *state, uint32_t w, uint32_t step)
{
    struct stage *stage = state;
    struct backup_run *run = stage->state;
    run->workers[w].sending = true;
    run->workers[w].message =
        stage_send(stage, run->script->learners.at[w], run->server, run->script->gradient_bytes, "gradients",
                   step, (struct actors_then){gradient_came, w, step});
}

static void backup_workers_start(struct stage *stage)
{
    struct backup_run *run = ARENA_NEW(stage->arena, struct backup_run);
    run->own = stage->script->settings;
    run->script = stage->script;
    run->count = stage->script->learners.count;
    run->needed = run->count - (uint32_t)run->own->backup;
    run->server = stage->script->servers.at[0];
    run->workers = ARENA_ARRAY(stage->arena, struct backup_worker, run->count);
    stage->state = run;
    for (uint32_t w = 0; w < run->count; w++)
        send_parameters(stage, w);
}

static const char *backup_workers_unfinished(struct stage *stage)
{
    const struct backup_run *run = stage->state;
    if (run->step == run->own->steps)
        return NULL;
    return arena_format(stage->arena,
                        "only %u of %lld steps have been made; the server has %u of %u gradients", run->step,
                        (long long)run->own->steps, run->came, run->needed);
}

const struct discipline backup_workers_discipline = {
    .name = "backup-workers",
    .about = "synchronous steps that do not wait for the slowest workers",
    .recurs = "step",
    .fields = backup_workers_fields,
    .field_count = FIELDS_COUNT(backup_workers_fields),
    .size = sizeof(struct backup_workers),
    .prepare = backup_workers_prepare,
    .cast = backup_workers_cast,
    .start = backup_workers_start,
    .unfinished = backup_workers_unfinished,
};
