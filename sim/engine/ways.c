#include "engine/ways.h"

#include "platform/protocol.h"

#include <math.h>

void ways_init(struct ways *ways, struct platform *platform, const struct engine_options *options)
{
    *ways = (struct ways){.platform = platform, .options = options};
    arena_init(&ways->arena);
}

void ways_fini(struct ways *ways)
{
    for (uint32_t i = 0; i < ways->activities.count; i++)
        collective_activity_fini(&ways->activities.at[i]);
    VECTOR_FREE(&ways->activities);
    VECTOR_FREE(&ways->entries);
    arena_fini(&ways->arena);
}

/* Puts one way at the head of a chain; without an algorithm, of a message from the first to the second
 * device. False when it does not apply; with *problem when that is a mistake. */
static bool add_way(struct ways *ways, const struct collective_request *wish, uint32_t *head,
                    const char **problem)
{
    struct activity activity = {0};
    bool reached = wish->algorithm ? collective_activity(wish, &activity, &ways->arena, problem)
                                   : collective_message(ways->platform, wish->devices[0], wish->devices[1],
                                                        wish->protocol, &activity);
    if (!reached) {
        collective_activity_fini(&activity);
        return false;
    }
    struct network_usage *usage = ARENA_ARRAY(&ways->arena, struct network_usage, activity.usage.count + 1);
    for (uint32_t i = 0; i < activity.usage.count; i++)
        usage[i] = (struct network_usage){activity.usage.at[i].link, activity.usage.at[i].coefficient};
    VECTOR_PUSH(&ways->activities, activity);
    VECTOR_PUSH(&ways->entries, ((struct ways_entry){usage, *head}));
    *head = ways->entries.count - 1;
    return true;
}

/* By every protocol of the links, as the engine does for programs; the bare wire where there is none. */
static bool add_protocols(struct ways *ways, struct collective_request wish, uint32_t *head,
                          const char **problem)
{
    const struct index_list *names = &ways->platform->protocol_names;
    bool by_steps = ways->options->network && ways->options->network->by_steps;
    bool any = false, own = by_steps || (wish.algorithm && wish.algorithm->loads);
    for (uint32_t i = names->count; i-- > 0 && !own;) {
        wish.protocol = names->at[i];
        if (!add_way(ways, &wish, head, problem))
            continue;
        any = true;
        if (ways->activities.at[ways->activities.count - 1].protocol == PROTOCOL_NONE)
            break;
    }
    wish.protocol = PROTOCOL_NONE;
    return any || add_way(ways, &wish, head, problem);
}

uint32_t ways_message(struct ways *ways, uint32_t from, uint32_t to)
{
    const struct collective_request wish = {.devices = (const uint32_t[]){from, to}, .count = 2};
    const char *problem = NULL;
    uint32_t head = PROGRAM_NONE;
    add_protocols(ways, wish, &head, &problem);
    return head;
}

static const struct algorithm *wanted(const struct engine_options *options, uint32_t name, int kind)
{
    const struct algorithm *algorithm = options->algorithm;
    for (uint32_t i = 0; i < options->choice_count; i++) {
        const struct engine_choice *choice = &options->choices[i];
        if ((choice->group == UINT32_MAX || choice->group == name) &&
            (choice->kind == COLLECTIVE_KIND_COUNT || choice->kind == kind)) {
            algorithm = choice->algorithm;
            break;
        }
    }
    return algorithm->kinds >> kind & 1 ? algorithm : collective_usual(kind);
}

uint32_t ways_collective(struct ways *ways, uint32_t name, int kind, const uint32_t *devices, uint32_t count,
                         const char **problem)
{
    struct collective_request wish = {.algorithm = wanted(ways->options, name, kind),
                                      .kind = kind,
                                      .platform = ways->platform,
                                      .devices = devices,
                                      .count = count};
    uint32_t head = PROGRAM_NONE;
    *problem = NULL;
    if (wish.algorithm != &collective_automatic) {
        if (!add_protocols(ways, wish, &head, problem) && !*problem) {
            wish.algorithm = collective_usual(kind);
            add_protocols(ways, wish, &head, problem);
        }
        return head;
    }
    for (uint32_t i = 0; collective_algorithms[i]; i++) {
        wish.algorithm = collective_algorithms[i];
        if (wish.algorithm->kinds >> kind & 1 && (!wish.algorithm->most || count <= wish.algorithm->most))
            add_protocols(ways, wish, &head, problem);
    }
    return head;
}

uint32_t ways_best(const struct ways *ways, uint32_t chain, double bytes, double *latency, double *cap)
{
    double shortest = INFINITY;
    uint32_t best = chain;
    for (uint32_t a = chain; a != PROGRAM_NONE; a = ways->entries.at[a].next) {
        const struct activity *activity = &ways->activities.at[a];
        double pieces = activity->algorithm
                            ? collective_piece_count(bytes, ways->options->chunk, ways->options->pieces)
                            : 1;
        double start, limit, seconds = collective_pieces(activity, bytes, pieces, &start, &limit);
        if (seconds < shortest * (1 - 1e-12) || a == chain) {
            shortest = seconds;
            best = a;
            *latency = start;
            *cap = limit;
        }
    }
    return best;
}

void ways_hand_over(struct ways *ways, struct engine_result *result)
{
    for (uint32_t i = 0; i < ways->activities.count; i++) {
        struct activity *activity = &ways->activities.at[i], kept = *activity;
        kept.usage.at = arena_copy(&result->arena, kept.usage.at, kept.usage.count * sizeof *kept.usage.at);
        kept.path.at = arena_copy(&result->arena, kept.path.at, kept.path.count * sizeof *kept.path.at);
        kept.sent.at = arena_copy(&result->arena, kept.sent.at, kept.sent.count * sizeof *kept.sent.at);
        collective_activity_fini(activity);
        *activity = kept;
    }
    result->activities = ways->activities.at;
    result->activity_count = ways->activities.count;
    ways->activities.at = NULL;
    ways->activities.count = 0;
}
