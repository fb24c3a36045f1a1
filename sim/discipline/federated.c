/* Federated learning (McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized
 * Data", AISTATS 2017): a hub draws clients, sends them the model, each trains on its own data and sends its
 * model back, and the hub adds them up. Drawing more than are waited for and deadlines: Bonawitz et al.,
 * "Towards Federated Learning at Scale", MLSys 2019. A hub that takes what comes: Xie et al. 2019 (FedAsync),
 * Nguyen et al. 2022 (FedBuff). Hubs under a hub: Liu et al. 2020 (HierFAVG). Secure aggregation: Bonawitz et
 * al., CCS 2017, four rounds of messages of the sizes of their section 7. */
#include "discipline/federated.h"

#include "discipline/stage.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <string.h>

enum { KEYS, SHARES, PHASES }; /* of secure aggregation, before the training */

struct client {
    uint32_t rank, hub, round, version; /* version: of the model that it was sent */
    uint32_t came;                      /* the last round that its update was in time for */
    double samples, speed, down, up;    /* bytes per second; 0: as fast as the network goes */
    bool busy;
    gsl_rng *luck; /* availability, dropping out */
};

struct hub {
    uint32_t rank, round, turn; /* turn: of an edge, since it heard from the server */
    uint32_t *clients, client_count;
    uint32_t drawn, expected, came, added, phase_came[PHASES], revealed, alive;
    double samples; /* of the updates that came */
    bool closed, expired;
    gsl_rng *luck;
};

struct federated_run {
    const struct federated *own;
    const struct script *script;
    struct client *clients;
    struct hub *hubs;
    uint32_t client_count, hub_count, server, hubs_back;
    uint32_t rounds, version, buffered; /* rounds: that have ended */
    uint32_t *draw;                     /* scratch: candidates */
    double buffered_samples, round_samples;
};

static void begin_round(struct stage *stage, uint32_t h);
static void add_update(struct stage *stage, uint32_t h, uint32_t c);
static void close_round(struct stage *stage, uint32_t h);
static void replace(struct stage *stage, uint32_t h);

static bool waits_for_all(const struct federated_run *run)
{
    return run->own->mode == FEDERATED_SYNCHRONOUS;
}

/* A message between a client and its hub, no faster than the client's radio. */
static void send(struct stage *stage, uint32_t c, bool up, double bytes, const char *purpose,
                 struct actors_then then)
{
    const struct federated_run *run = stage->state;
    const struct client *client = &run->clients[c];
    uint32_t name = names_add(run->script->names, purpose), hub = run->hubs[client->hub].rank;
    struct actors_message message = {.bytes = bytes,
                                     .cap = up ? client->up : client->down,
                                     .group = name,
                                     .label = name,
                                     .round = client->round,
                                     .pass = PASS_N};
    actors_send(stage->actors, up ? client->rank : hub, up ? hub : client->rank, &message, then);
}

/* Bits in which a sum of n masked numbers is sent. */
static double masked_bits(const struct federated *own, uint32_t n)
{
    return (double)own->secure_bits + ceil(log2(n > 1 ? n : 2));
}

static double update_bytes(const struct federated_run *run, const struct hub *hub)
{
    if (!run->own->secure)
        return run->script->weight_bytes;
    return run->script->parameters * masked_bits(run->own, hub->drawn) / 8;
}

static void client_gone(void *state, uint32_t c, uint32_t unused)
{
    struct federated_run *run = ((struct stage *)state)->state;
    (void)unused;
    run->clients[c].busy = false;
}

/* A client's update has come. */
static void update_came(void *state, uint32_t c, uint32_t round)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    struct client *client = &run->clients[c];
    struct hub *hub = &run->hubs[client->hub];
    client->busy = !waits_for_all(run); /* what it had is needed until its update has been added */
    if (waits_for_all(run) && hub->expired && hub->round == round) {
        actors_fail(stage->actors,
                    "%s:%u:%u: no client met the deadline of %g s in round %u: the first, %s, came %g s late",
                    run->own->deadline_place.file, run->own->deadline_place.line,
                    run->own->deadline_place.column, run->own->deadline, run->rounds + 1,
                    stage_name(stage, client->rank),
                    actors_now(stage->actors) - run->own->deadline - hub->samples);
        return;
    }
    if (waits_for_all(run) && (hub->round != round || hub->closed)) {
        account_add(stage->account, "late arrivals", 1);
        return;
    }
    hub->came++;
    client->came = hub->round;
    hub->samples += client->samples * (double)run->own->epochs;
    if (waits_for_all(run) && hub->came == hub->expected)
        hub->closed = true;
    add_update(stage, client->hub, c);
}

static void trained(void *state, uint32_t c, uint32_t round)
{
    struct stage *stage = state;
    const struct federated_run *run = stage->state;
    double bytes = update_bytes(run, &run->hubs[run->clients[c].hub]);
    send(stage, c, true, bytes, "updates", (struct actors_then){update_came, c, round});
}

/* Local training, as one operation: so many steps of the workload's batch, the last of an epoch maybe of
 * fewer samples but as long. A client that drops out does so somewhere on the way. */
static void train(void *state, uint32_t c, uint32_t round)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    struct client *client = &run->clients[c];
    const struct script_cost *cost = &run->script->costs[client->rank];
    double steps = (double)run->own->epochs * ceil(client->samples / run->script->batch), share = 1;
    bool drops = run->own->dropout > 0 && gsl_rng_uniform(client->luck) < run->own->dropout;
    if (drops)
        share = gsl_rng_uniform(client->luck);
    struct script_work work = {
        (cost->forward.seconds + cost->backward.seconds + cost->optimizer.seconds) / client->speed,
        cost->forward.flops + cost->backward.flops + cost->optimizer.flops,
        cost->forward.memory_bytes + cost->backward.memory_bytes + cost->optimizer.memory_bytes};
    if (drops) {
        account_add(stage->account, "dropouts", 1);
        run->hubs[client->hub].alive--;
    }
    stage_work(stage, client->rank, &work, steps * share, drops ? "dropped out" : "local training", PASS_B,
               client->round, (struct actors_then){drops ? client_gone : trained, c, round});
    if (!waits_for_all(run) && drops)
        replace(stage, client->hub);
}

/* All clients of the round have said what they had to in a phase: the hub passes it on. */
static void phase_came(void *state, uint32_t c, uint32_t phase);

static void pass_on(struct stage *stage, uint32_t h, uint32_t phase)
{
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[h];
    double others = hub->drawn - 1.0;
    for (uint32_t i = 0; i < hub->client_count; i++) {
        uint32_t c = hub->clients[i];
        if (!run->clients[c].busy || run->clients[c].round != hub->round)
            continue;
        if (phase == KEYS)
            send(stage, c, false, 2 * others * FEDERATED_KEY, "keys",
                 (struct actors_then){phase_came, c, PHASES});
        else
            send(stage, c, false, 2 * others * FEDERATED_SHARE, "shares",
                 (struct actors_then){train, c, hub->round});
    }
}

/* What a client (phase PHASES: the client itself) has got in a phase. */
static void phase_came(void *state, uint32_t c, uint32_t phase)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[run->clients[c].hub];
    if (phase == PHASES) {
        send(stage, c, true, 2 * (hub->drawn - 1.0) * FEDERATED_SHARE, "shares",
             (struct actors_then){phase_came, c, SHARES});
        return;
    }
    if (++hub->phase_came[phase] == hub->drawn)
        pass_on(stage, run->clients[c].hub, phase);
}

static void model_came(void *state, uint32_t c, uint32_t round)
{
    struct stage *stage = state;
    const struct federated_run *run = stage->state;
    if (run->own->secure)
        send(stage, c, true, 2 * FEDERATED_KEY, "keys", (struct actors_then){phase_came, c, KEYS});
    else
        train(stage, c, round);
}

static void send_model(struct stage *stage, uint32_t c)
{
    struct federated_run *run = stage->state;
    struct client *client = &run->clients[c];
    client->busy = true;
    client->round = run->hubs[client->hub].round;
    client->version = run->version;
    account_add(stage->account, "models sent", 1);
    send(stage, c, false, run->script->weight_bytes, "models",
         (struct actors_then){model_came, c, client->round});
}

/* Draws up to `wanted` of the hub's clients that are idle and available now, without repetition. */
static uint32_t draw_clients(struct federated_run *run, struct hub *hub, uint32_t wanted)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hub->client_count; i++) {
        struct client *client = &run->clients[hub->clients[i]];
        bool there = run->own->available >= 1 || gsl_rng_uniform(client->luck) < run->own->available;
        if (!client->busy && there)
            run->draw[count++] = hub->clients[i];
    }
    if (wanted > count)
        wanted = count;
    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t j = i + (uint32_t)gsl_rng_uniform_int(hub->luck, count - i), swap = run->draw[i];
        run->draw[i] = run->draw[j];
        run->draw[j] = swap;
    }
    return wanted;
}

/* Takes the place of one that came or dropped out, where the hub takes what comes. */
static void replace(struct stage *stage, uint32_t h)
{
    struct federated_run *run = stage->state;
    if (run->rounds < run->own->rounds && draw_clients(run, &run->hubs[h], 1))
        send_model(stage, run->draw[0]);
}

static void deadline_came(void *state, uint32_t h, uint32_t round)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[h];
    if (hub->round != round || hub->closed)
        return;
    account_add(stage->account, "rounds cut by the deadline", 1);
    if (!hub->came) {
        hub->expired = true;
        hub->samples =
            actors_now(stage->actors) - run->own->deadline; /* when the round began, for the message */
        return;
    }
    hub->closed = true;
    if (hub->added == hub->came)
        close_round(stage, h);
}

/* Clients of a round: `select` of the hub's, rounded up where it is a share. */
static uint32_t wanted_clients(const struct federated *own, const struct hub *hub)
{
    double wanted = own->select > 0 ? (double)own->select : ceil(own->fraction * hub->client_count - 1e-9);
    return wanted < 1 ? 1 : wanted > hub->client_count ? hub->client_count : (uint32_t)wanted;
}

static void begin_round(struct stage *stage, uint32_t h)
{
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[h];
    uint32_t wanted = wanted_clients(run->own, hub);
    hub->round++;
    hub->came = hub->added = hub->revealed = 0;
    hub->closed = hub->expired = false;
    hub->samples = 0;
    memset(hub->phase_came, 0, sizeof hub->phase_came);
    hub->drawn = draw_clients(run, hub, (uint32_t)ceil(wanted * run->own->over - 1e-9));
    hub->alive = hub->drawn;
    hub->expected = hub->drawn < wanted ? hub->drawn : wanted;
    if (!hub->drawn) {
        actors_fail(stage->actors, "round %u: no client of %s is available", run->rounds + 1,
                    stage_name(stage, hub->rank));
        return;
    }
    if (run->own->deadline > 0 && waits_for_all(run))
        actors_wait(stage->actors, run->own->deadline, (struct actors_then){deadline_came, h, hub->round});
    for (uint32_t i = 0; i < hub->drawn; i++)
        send_model(stage, run->draw[i]);
}

/* A round of all is over. */
static void end_round(struct stage *stage, double samples)
{
    struct federated_run *run = stage->state;
    run->rounds++;
    run->version++;
    stage_mark(stage, samples);
}

static void edge_model_came(void *state, uint32_t h, uint32_t unused)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    (void)unused;
    run->hubs[h].turn = 0;
    begin_round(stage, h);
}

static void begin_server_round(struct stage *stage)
{
    struct federated_run *run = stage->state;
    run->hubs_back = 0;
    run->round_samples = 0;
    for (uint32_t h = 0; h < run->hub_count; h++)
        if (run->hubs[h].rank == run->server)
            begin_round(stage, h);
        else
            stage_send(stage, run->server, run->hubs[h].rank, run->script->weight_bytes, "edge models",
                       run->rounds, (struct actors_then){edge_model_came, h, 0});
}

static void hub_back(void *state, uint32_t h, uint32_t unused)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    (void)h, (void)unused;
    if (++run->hubs_back < run->hub_count)
        return;
    end_round(stage, run->round_samples);
    if (run->rounds < run->own->rounds)
        begin_server_round(stage);
}

static void edge_update_came(void *state, uint32_t h, uint32_t unused)
{
    struct stage *stage = state;
    const struct federated_run *run = stage->state;
    (void)unused;
    stage_work(stage, run->server, &run->script->costs[run->server].add, 1, "aggregate", PASS_O, run->rounds,
               (struct actors_then){hub_back, h, 0});
}

static void round_closed(struct stage *stage, uint32_t h)
{
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[h];
    run->round_samples += hub->samples;
    if (hub->rank == run->server)
        hub_back(stage, h, 0);
    else if (++hub->turn < run->own->edge_rounds)
        begin_round(stage, h);
    else
        stage_send(stage, hub->rank, run->server, run->script->weight_bytes, "edge updates", run->rounds,
                   (struct actors_then){edge_update_came, h, 0});
}

/* Secure aggregation ends with the shares of those who came, by which the masks of the others are removed. */
static void revealed(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    uint32_t h = run->clients[c].hub;
    (void)unused;
    run->clients[c].busy = false;
    if (++run->hubs[h].revealed == run->hubs[h].came)
        round_closed(stage, h);
}

static void asked_for_shares(void *state, uint32_t c, uint32_t unused)
{
    struct stage *stage = state;
    const struct federated_run *run = stage->state;
    (void)unused;
    send(stage, c, true, run->hubs[run->clients[c].hub].drawn * FEDERATED_SHARE, "shares",
         (struct actors_then){revealed, c, 0});
}

static void close_round(struct stage *stage, uint32_t h)
{
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[h];
    if (!run->own->secure) {
        round_closed(stage, h);
        return;
    }
    uint32_t asked = 0;
    for (uint32_t i = 0; i < hub->client_count && asked < hub->came; i++) {
        struct client *client = &run->clients[hub->clients[i]];
        if (client->came != hub->round)
            continue;
        client->busy = true;
        asked++;
        send(stage, hub->clients[i], false, hub->drawn / 8.0, "keys",
             (struct actors_then){asked_for_shares, hub->clients[i], 0});
    }
}

/* An update has been added to the sum. */
static void update_added(void *state, uint32_t h, uint32_t c)
{
    struct stage *stage = state;
    struct federated_run *run = stage->state;
    struct hub *hub = &run->hubs[h];
    hub->added++;
    account_add(stage->account, "updates", 1);
    if (waits_for_all(run)) {
        if (hub->closed && hub->added == hub->came)
            close_round(stage, h);
        return;
    }
    run->clients[c].busy = false;
    if (run->rounds == run->own->rounds)
        return;
    run->buffered_samples += run->clients[c].samples * (double)run->own->epochs;
    account_count(stage->account, "staleness", run->version - run->clients[c].version);
    if (++run->buffered == run->own->buffer) {
        end_round(stage, run->buffered_samples);
        run->buffered = 0;
        run->buffered_samples = 0;
    }
    replace(stage, h);
}

static void add_update(struct stage *stage, uint32_t h, uint32_t c)
{
    const struct federated_run *run = stage->state;
    const struct hub *hub = &run->hubs[h];
    stage_work(stage, hub->rank, &run->script->costs[hub->rank].add, 1, "aggregate", PASS_O, hub->round,
               (struct actors_then){update_added, h, c});
}

static double draw(struct stage *stage, const struct distribution *distribution, const char *purpose,
                   uint32_t c, double least)
{
    return distribution_draw_from(distribution, least, random_stream(stage->arena, stage->seed, purpose, c));
}

static void make_clients(struct stage *stage)
{
    struct federated_run *run = stage->state;
    const struct federated *own = run->own;
    run->client_count = run->script->learners.count;
    run->clients = ARENA_ARRAY(stage->arena, struct client, run->client_count);
    run->draw = ARENA_ARRAY(stage->arena, uint32_t, run->client_count);
    for (uint32_t c = 0; c < run->client_count; c++) {
        struct client *client = &run->clients[c];
        uint32_t rank = run->script->learners.at[c];
        uint32_t device = run->script->devices.at[rank];
        *client = (struct client){.rank = rank, .samples = run->script->batch, .speed = 1};
        if (own->samples.kind)
            client->samples = fmax(1, round(draw(stage, &own->samples, "federated samples", device, 1)));
        if (own->speed.kind)
            client->speed = draw(stage, &own->speed, "federated speed", device, 1e-3);
        if (own->down.kind)
            client->down = draw(stage, &own->down, "federated downlink", device, 1);
        if (own->up.kind)
            client->up = draw(stage, &own->up, "federated uplink", device, 1);
        client->luck = random_stream(stage->arena, stage->seed, "federated clients", device);
    }
}

/* Clients are dealt out to the hubs in equal runs, in their order. */
static void make_hubs(struct stage *stage)
{
    struct federated_run *run = stage->state;
    const struct script *script = run->script;
    bool flat = script->servers.count == 1;
    run->server = script->servers.at[0];
    run->hub_count = flat ? 1 : script->servers.count - 1;
    run->hubs = ARENA_ARRAY(stage->arena, struct hub, run->hub_count);
    for (uint32_t h = 0; h < run->hub_count; h++) {
        struct hub *hub = &run->hubs[h];
        uint64_t n = run->client_count;
        uint32_t first = (uint32_t)(n * h / run->hub_count), end = (uint32_t)(n * (h + 1) / run->hub_count);
        hub->rank = script->servers.at[flat ? 0 : h + 1];
        hub->clients = ARENA_ARRAY(stage->arena, uint32_t, end - first + 1);
        hub->luck = random_stream(stage->arena, stage->seed, "federated selection", h);
        for (uint32_t c = first; c < end; c++) {
            hub->clients[hub->client_count++] = c;
            run->clients[c].hub = h;
        }
    }
}

static void federated_start(struct stage *stage)
{
    struct federated_run *run = ARENA_NEW(stage->arena, struct federated_run);
    run->own = stage->script->settings;
    run->script = stage->script;
    stage->state = run;
    make_clients(stage);
    make_hubs(stage);
    begin_server_round(stage);
}

static const char *federated_unfinished(struct stage *stage)
{
    const struct federated_run *run = stage->state;
    if (run->rounds >= run->own->rounds)
        return NULL;
    const char *text = arena_format(stage->arena, "only %u of %lld rounds have ended", run->rounds,
                                    (long long)run->own->rounds);
    for (uint32_t h = 0; h < run->hub_count; h++) {
        const struct hub *hub = &run->hubs[h];
        if (hub->expired)
            text =
                arena_format(stage->arena, "%s; no client of %s met the deadline of %g s: all %u dropped out",
                             text, stage_name(stage, hub->rank), run->own->deadline, hub->drawn);
        else if (waits_for_all(run) && !hub->closed)
            text = arena_format(stage->arena,
                                "%s; %s waits for %u updates, of which %u have come: %u of the %u clients "
                                "dropped out, and there is no deadline",
                                text, stage_name(stage, hub->rank), hub->expected, hub->came,
                                hub->drawn - hub->alive, hub->drawn);
    }
    return text;
}

const struct discipline federated_discipline = {
    .name = "federated",
    .about = "rounds with clients drawn at random that train on their own data; or whatever comes, buffered "
             "or not",
    .draws = true,
    .recurs = "round",
    .fields = federated_read_fields,
    .field_count = FEDERATED_FIELDS,
    .size = sizeof(struct federated),
    .prepare = federated_read_prepare,
    .cast = federated_read_cast,
    .start = federated_start,
    .unfinished = federated_unfinished,
};
