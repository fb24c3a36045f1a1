/* Split learning (Gupta and Raskar 2018; Vepakomma et al. 2018): the learners have the first part of the
 * model, the server the rest, and per batch activations go up and their gradients come down. One learner
 * after the other, who hands its part on through the server or to the next itself; or all at a time with
 * their parts averaged after each round (SplitFed v1 and v2: Thapa et al., AAAI 2022), or not at all
 * (parallel split learning). With a `tail` the learners have the last part too, so that labels stay with them
 * (U-shaped). */
#include "discipline/casting.h"
#include "discipline/client_keys.h"
#include "discipline/stage.h"

#include "input/read_distribution.h"

#include <math.h>

enum { SEQUENTIAL, SPLITFED_V1, SPLITFED_V2, PARALLEL };
static const char *const split_modes[] = {"sequential", "splitfed-v1", "splitfed-v2", "parallel", NULL};
enum { BY_SERVER, BY_PEER };
static const char *const split_hand_overs[] = {"server", "peer", NULL};

struct split {
    const struct value *server, *clients, *cut, *tail, *samples_value;
    int mode, hand_over;
    int64_t rounds, epochs;
    struct distribution samples;
};

#define AT(member) offsetof(struct split, member)
static const struct field split_fields[] = {
    {.key = "server",
     .kind = FIELD_VALUE,
     .offset = AT(server),
     .required = true,
     .about = "the device with the rest of the model"},
    {.key = "clients",
     .kind = FIELD_VALUE,
     .offset = AT(clients),
     .about = "devices that have the data; by default all others"},
    {.key = "cut",
     .kind = FIELD_VALUE,
     .offset = AT(cut),
     .required = true,
     .about = "the last layer of the clients' part"},
    {.key = "tail",
     .kind = FIELD_VALUE,
     .offset = AT(tail),
     .about = "the first layer of a last part that is the clients' too"},
    {.key = "mode",
     .kind = FIELD_CHOICE,
     .offset = AT(mode),
     .choices = split_modes,
     .about = "sequential by default"},
    {.key = "hand-over",
     .kind = FIELD_CHOICE,
     .offset = AT(hand_over),
     .choices = split_hand_overs,
     .about = "sequential: how the next client gets the clients' part; through the server by default"},
    {.key = "rounds",
     .kind = FIELD_INTEGER,
     .offset = AT(rounds),
     .low = 1,
     .high = 1e6,
     .about = "over all clients; 10 by default"},
    {CLIENT_KEYS_EPOCHS(AT(epochs))},
    {CLIENT_KEYS_SAMPLES(AT(samples_value))},
};
#undef AT

static void split_prepare(void *settings)
{
    struct split *own = settings;
    own->rounds = 10;
    own->epochs = 1;
}

static bool split_cast(struct input *input, const struct value *map, struct script *script)
{
    struct split *own = script->settings;
    if (own->mode != SEQUENTIAL && value_get(map, "hand-over"))
        return report_error(&input->report, casting_place(map, "hand-over"),
                            "a hand-over is for mode sequential");
    if (own->samples_value && !read_distribution(input, own->samples_value, "the samples of a client",
                                                 UNIT_NONE, NULL, &own->samples))
        return false;
    if (!casting_select(input, script, own->server, "a server", &script->servers))
        return false;
    if (script->servers.count != 1)
        return report_error(&input->report, own->server->place, "expected one device as server; got %u",
                            script->servers.count);
    script->cut = own->cut;
    script->tail = own->tail;
    return casting_learners(input, script, own->clients, "clients");
}

struct split_client {
    uint32_t rank, steps, step; /* steps: of a round */
    double samples;             /* of a round */
};

struct split_run {
    const struct split *own;
    const struct script *script;
    struct split_client *clients;
    uint32_t count, server, rounds;
    uint32_t waiting; /* parallel: clients whose activations have come; splitfed: whose weights have */
    uint32_t at_work; /* parallel: clients with steps left */
    double samples;
};

static void begin_step(void *state, uint32_t c, uint32_t unused);
static void begin_turn(struct stage *stage, uint32_t c);

static double head_bytes(const struct split_run *run)
{
    return run->script->clients[run->clients[0].rank].weight_bytes;
}

static void begin_round(struct stage *stage)
{
    struct split_run *run = stage->state;
    run->waiting = 0;
    run->at_work = run->count;
    for (uint32_t c = 0; c < run->count; c++)
        run->clients[c].step = 0;
    for (uint32_t c = 0; c < (run->own->mode == SEQUENTIAL ? 1 : run->count); c++)
        begin_turn(stage, c);
}

static void end_round(struct stage *stage)
{
    struct split_run *run = stage->state;
    run->rounds++;
    stage_mark(stage, run->samples);
    if (run->rounds < run->own->rounds)
        begin_round(stage);
}

/* Sequential: the client's part has reached the server, or the next client. */
static void handed_over(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    struct split_run *run = stage->state;
    (void)unused;
    if (c + 1 < run->count)
        begin_turn(stage, c + 1);
    else
        end_round(stage);
}

/* SplitFed: the sum of the clients' parts, and in v1 that of the server's copies of the rest, is done. */
static void averaged(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    struct split_run *run = stage->state;
    (void)c, (void)unused;
    if (++run->waiting == run->count)
        end_round(stage);
}

static void part_came(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    (void)unused;
    double share = run->script->weight_bytes > 0 ? head_bytes(run) / run->script->weight_bytes : 0;
    stage_work(stage, run->server, &run->script->costs[run->server].add,
               run->own->mode == SPLITFED_V1 ? 1 : share, "average", PASS_O, run->rounds,
               (struct actors_then){averaged, c, 0});
}

static void parallel_done(void *state, uint32_t unused, uint32_t also_unused);

/* Parallel: the server updates once, when it has the gradient of every client that has steps left. */
static void try_update(struct stage *stage)
{
    struct split_run *run = stage->state;
    if (!run->waiting || run->waiting < run->at_work)
        return;
    stage_work(stage, run->server, &run->script->bodies[run->server].optimizer, 1, "body update", PASS_O,
               run->rounds, (struct actors_then){parallel_done, 0, 0});
}

static void end_turn(struct stage *stage, uint32_t c)
{
    struct split_run *run = stage->state;
    uint32_t rank = run->clients[c].rank;
    if (run->own->mode == PARALLEL) {
        if (--run->at_work == 0)
            end_round(stage);
        else
            try_update(stage);
    } else if (run->own->mode != SEQUENTIAL) {
        stage_send(stage, rank, run->server, head_bytes(run), "weights", run->rounds,
                   (struct actors_then){part_came, c, 0});
    } else {
        uint32_t next = run->clients[(c + 1) % run->count].rank;
        stage_send(stage, rank, run->own->hand_over == BY_PEER ? next : run->server, head_bytes(run),
                   "weights", run->rounds, (struct actors_then){handed_over, c, 0});
    }
}

/* A client gets its part first, unless the one before handed it over, or all keep their own. */
static void begin_turn(struct stage *stage, uint32_t c)
{
    struct split_run *run = stage->state;
    bool has = run->own->mode == PARALLEL || (run->own->mode == SEQUENTIAL && run->own->hand_over == BY_PEER);
    if (has)
        begin_step(stage, c, 0);
    else
        stage_send(stage, run->server, run->clients[c].rank, head_bytes(run), "weights", run->rounds,
                   (struct actors_then){begin_step, c, 0});
}

static void step_done(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    struct split_run *run = stage->state;
    (void)unused;
    if (++run->clients[c].step < run->clients[c].steps)
        begin_step(stage, c, 0);
    else
        end_turn(stage, c);
}

static void work(struct stage *stage, uint32_t rank, const struct script_work *piece, const char *label,
                 enum op_pass pass, struct actors_then then)
{
    const struct split_run *run = stage->state;
    stage_work(stage, rank, piece, 1, label, pass, run->rounds, then);
}

/* The gradients of the cut have come down: the first part's backward pass and update. */
static void gradients_came(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    uint32_t rank = run->clients[c].rank;
    const struct script_half *head = &run->script->clients[rank];
    (void)unused;
    work(stage, rank, &head->backward, "head backward", PASS_B, (struct actors_then){0});
    work(stage, rank, &head->optimizer, "head update", PASS_O, (struct actors_then){step_done, c, 0});
}

static void server_done(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    (void)unused;
    stage_send(stage, run->server, run->clients[c].rank, run->script->cut_bytes, "gradients", run->rounds,
               (struct actors_then){gradients_came, c, 0});
}

static void parallel_done(void *state, uint32_t unused, uint32_t also_unused)
{
    struct stage *stage = state;
    struct split_run *run = stage->state;
    (void)unused, (void)also_unused;
    run->waiting = 0;
    for (uint32_t c = 0; c < run->count; c++)
        if (run->clients[c].step < run->clients[c].steps)
            server_done(stage, c, 0);
}

static void body_backward(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    struct split_run *run = stage->state;
    const struct script_half *body = &run->script->bodies[run->server];
    (void)unused;
    work(stage, run->server, &body->backward, "body backward", PASS_B, (struct actors_then){0});
    if (run->own->mode == PARALLEL) {
        run->waiting++;
        try_update(stage);
        return;
    }
    work(stage, run->server, &body->optimizer, "body update", PASS_O,
         (struct actors_then){server_done, c, 0});
}

static void tail_done(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    (void)unused;
    stage_send(stage, run->clients[c].rank, run->server, run->script->tail_bytes, "gradients", run->rounds,
               (struct actors_then){body_backward, c, 0});
}

static void tail_came(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    uint32_t rank = run->clients[c].rank;
    const struct script_half *tail = &run->script->tails[rank];
    (void)unused;
    work(stage, rank, &tail->forward, "tail forward", PASS_F, (struct actors_then){0});
    work(stage, rank, &tail->backward, "tail backward", PASS_B, (struct actors_then){0});
    work(stage, rank, &tail->optimizer, "tail update", PASS_O, (struct actors_then){tail_done, c, 0});
}

static void body_forward_done(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    if (!run->script->tail)
        body_backward(stage, c, unused);
    else
        stage_send(stage, run->server, run->clients[c].rank, run->script->tail_bytes, "activations",
                   run->rounds, (struct actors_then){tail_came, c, 0});
}

static void activations_came(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    (void)unused;
    work(stage, run->server, &run->script->bodies[run->server].forward, "body forward", PASS_F,
         (struct actors_then){body_forward_done, c, 0});
}

static void head_done(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    (void)unused;
    stage_send(stage, run->clients[c].rank, run->server, run->script->cut_bytes, "activations", run->rounds,
               (struct actors_then){activations_came, c, 0});
}

static void begin_step(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct split_run *run = stage->state;
    uint32_t rank = run->clients[c].rank;
    (void)unused;
    work(stage, rank, &run->script->clients[rank].forward, "head forward", PASS_F,
         (struct actors_then){head_done, c, 0});
}

static void split_start(struct stage *stage)
{
    const struct script *script = stage->script;
    struct split_run *run = ARENA_NEW(stage->arena, struct split_run);
    run->own = script->settings;
    run->script = script;
    run->count = script->learners.count;
    run->server = script->servers.at[0];
    run->clients = ARENA_ARRAY(stage->arena, struct split_client, run->count);
    stage->state = run;
    for (uint32_t c = 0; c < run->count; c++) {
        struct split_client *client = &run->clients[c];
        client->rank = script->learners.at[c];
        uint32_t device = script->devices.at[client->rank];
        double samples = script->batch;
        if (run->own->samples.kind)
            samples = fmax(1, round(distribution_draw_from(
                                  &run->own->samples, 1,
                                  random_stream(stage->arena, stage->seed, "split samples", device))));
        client->samples = samples * (double)run->own->epochs;
        client->steps = (uint32_t)((double)run->own->epochs * ceil(samples / script->batch));
        run->samples += client->samples;
    }
    begin_round(stage);
}

static const char *split_unfinished(struct stage *stage)
{
    const struct split_run *run = stage->state;
    if (run->rounds == run->own->rounds)
        return NULL;
    return arena_format(stage->arena, "only %u of %lld rounds have ended", run->rounds,
                        (long long)run->own->rounds);
}

const struct discipline split_learning_discipline = {
    .name = "split",
    .about =
        "split learning: the model is cut between clients and a server; sequential, SplitFed or parallel",
    .draws = true,
    .recurs = "round",
    .fields = split_fields,
    .field_count = FIELDS_COUNT(split_fields),
    .size = sizeof(struct split),
    .prepare = split_prepare,
    .cast = split_cast,
    .start = split_start,
    .unfinished = split_unfinished,
};
