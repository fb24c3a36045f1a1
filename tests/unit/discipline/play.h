/* Play: a discipline from texts, with prices given by hand, on a small topology. */
#ifndef PARTITA_TEST_PLAY_H
#define PARTITA_TEST_PLAY_H

#include "discipline/discipline.h"
#include "platform/topology.h"

#include <stdlib.h>
#include <string.h>

struct play {
    struct input input;
    struct names names;
    struct platform platform;
    struct script script;
    struct engine_options options;
    struct job job;
    struct engine_result result;
    struct account account;
    struct stage stage;
    const char *error;
};

/* Devices around a switch, each with a full-duplex cable of 1 GB/s and no latency but what is said. */
static inline const char *play_star(struct play *play, int devices, const char *latency)
{
    return arena_format(&play->input.arena,
                        "devices: {device: {type: a100-sxm4-80gb, count: %d}}\nswitches: {hub: }\n"
                        "links: {cable: {bandwidth: 1 GB/s, latency: %s, from: \"device[i]\", to: hub}}\n",
                        devices, latency);
}

static inline struct value *play_parse(struct play *play, const char *text)
{
    struct value *value = document_parse(&play->input, "text", text, strlen(text), false);
    report_print(&play->input.report, stderr);
    return value;
}

static inline struct play *play_new(void)
{
    struct play *play = calloc(1, sizeof *play);
    input_init(&play->input, PARTITA_SOURCE);
    names_init(&play->names);
    platform_init(&play->platform, &play->names);
    arena_init(&play->job.arena);
    play->job.names = &play->names;
    return play;
}

/* False when the discipline is wrong. */
static inline bool play_read(struct play *play, const char *topology, const char *discipline)
{
    if (!topology_read(&play->input, play_parse(play, topology), NULL, &play->platform)) {
        report_print(&play->input.report, stderr);
        abort();
    }
    return discipline_read(&play->input, play_parse(play, discipline), &play->platform, &play->names,
                           &play->script);
}

/* The same prices for every rank. */
static inline void play_price(struct play *play, double forward, double backward, double optimizer,
                              double bytes)
{
    struct script *script = &play->script;
    uint32_t count = script->devices.count;
    script->costs = ARENA_ARRAY(&play->input.arena, struct script_cost, count);
    script->clients = ARENA_ARRAY(&play->input.arena, struct script_half, count);
    script->tails = ARENA_ARRAY(&play->input.arena, struct script_half, count);
    script->bodies = ARENA_ARRAY(&play->input.arena, struct script_half, count);
    for (uint32_t r = 0; r < count; r++)
        script->costs[r] = (struct script_cost){.forward = {.seconds = forward},
                                                .backward = {.seconds = backward},
                                                .optimizer = {.seconds = optimizer}};
    script->weight_bytes = script->gradient_bytes = bytes;
    script->parameters = bytes / 4;
    script->batch = 1;
}

static inline bool play_run(struct play *play, uint64_t seed)
{
    return discipline_run(&play->script, &play->options, seed, &play->job, &play->result, &play->account,
                          &play->stage, &play->error);
}

/* Forgets the run, to make another. */
static inline void play_again(struct play *play)
{
    engine_result_fini(&play->result);
    account_fini(&play->account);
    VECTOR_FREE(&play->stage.marks);
    arena_fini(&play->job.arena);
    play->job = (struct job){.names = &play->names};
    arena_init(&play->job.arena);
}

static inline void play_free(struct play *play)
{
    play_again(play);
    discipline_fini(&play->script);
    arena_fini(&play->job.arena);
    platform_fini(&play->platform);
    names_fini(&play->names);
    input_fini(&play->input);
    free(play);
}

static inline struct play *play_discipline(int devices, const char *latency, const char *discipline)
{
    struct play *play = play_new();
    if (!play_read(play, play_star(play, devices, latency), discipline)) {
        report_print(&play->input.report, stderr);
        abort();
    }
    return play;
}

/* Bytes that messages of one purpose carried, in all. */
static inline double play_bytes(const struct play *play, const char *purpose)
{
    double bytes = 0;
    uint32_t name = names_find(&play->names, purpose);
    for (uint32_t i = 0; i < play->result.transfer_count; i++)
        if (play->job.groups[play->result.transfers[i].group].name == name)
            bytes += play->result.transfers[i].bytes;
    return bytes;
}

#endif
