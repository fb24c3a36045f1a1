#include "engine/run_activity.h"

#include "platform/protocol.h"

#include <math.h>

/* What an activity has in lists of its own goes into the result's arena, without room to spare: there may be
 * one for each of many pairs. A message's usage is not kept twice. */
static uint32_t add_activity(struct run *run, struct activity activity)
{
    struct activity kept = activity;
    uint32_t count = activity.usage.count;
    kept.usage.at = arena_copy(run->kept, activity.usage.at, count * sizeof *activity.usage.at);
    kept.path.at = arena_copy(run->kept, activity.path.at, activity.path.count * sizeof *activity.path.at);
    kept.sent.at = arena_copy(run->kept, activity.sent.at, activity.sent.count * sizeof *activity.sent.at);
    struct network_usage *usage = NULL;
    if (activity.algorithm) {
        usage = ARENA_ARRAY(&run->arena, struct network_usage, count + 1);
        for (uint32_t i = 0; i < count; i++)
            usage[i] = (struct network_usage){activity.usage.at[i].link, activity.usage.at[i].coefficient};
    }
    VECTOR_PUSH(&run->activities,
                ((struct run_activity){usage, count, activity.bytes_factor, activity.start + activity.latency,
                                       activity.cap, kept.path.at, activity.path.count, 0, PROGRAM_NONE}));
    VECTOR_PUSH(&run->activity_list, kept);
    collective_activity_fini(&activity);
    return run->activities.count - 1;
}

const struct network_usage *run_activity_usage(struct run *run, uint32_t activity)
{
    if (run->activities.at[activity].usage)
        return run->activities.at[activity].usage;
    const struct activity *form = &run->activity_list.at[activity];
    run->usage.count = 0;
    for (uint32_t i = 0; i < form->usage.count; i++)
        VECTOR_PUSH(&run->usage,
                    ((struct network_usage){form->usage.at[i].link, form->usage.at[i].coefficient}));
    return run->usage.at;
}

/* Computes one activity of a group and puts it before the others of its kind. False when the algorithm does
 * not apply; with run->error if that is a mistake. */
static bool compute_activity(struct run *run, uint32_t g, uint32_t kind, uint32_t shares,
                             const struct algorithm *algorithm, uint32_t protocol)
{
    const struct group *group = &run->job->groups[g];
    uint32_t pair[2];
    bool message = kind == COLLECTIVE_KIND_COUNT;
    uint32_t *devices = message ? pair : ARENA_ARRAY(&run->arena, uint32_t, group->member_count + 1);
    for (uint32_t i = 0; i < group->member_count; i++)
        devices[i] = run->job->ranks[run->job->members[group->first_member + i]].device;
    const struct collective_request asked = {.algorithm = algorithm,
                                             .kind = (int)kind,
                                             .platform = run->platform,
                                             .devices = devices,
                                             .count = group->member_count,
                                             .shares = shares ? run->job->shares + shares - 1 : NULL,
                                             .protocol = protocol};
    struct activity activity;
    const char *problem = NULL;
    bool reached = message ? collective_message(run->platform, devices[0], devices[1], protocol, &activity)
                           : collective_activity(&asked, &activity, run->kept, &problem);
    if (!reached) {
        const char *name = names_text(run->job->names, group->name);
        if (message && protocol == PROTOCOL_NONE)
            run->error =
                arena_format(&run->arena, "group '%s': there is no route from %s to %s", name,
                             names_text(run->platform->names, run->platform->devices.at[devices[0]].name),
                             names_text(run->platform->names, run->platform->devices.at[devices[1]].name));
        else if (problem)
            run->error = arena_format(&run->arena, "group '%s', %s by '%s': %s", name,
                                      communication_names[kind], algorithm->name, problem);
        collective_activity_fini(&activity);
        return false;
    }
    uint32_t *head = &run->activity_of[(size_t)g * (COLLECTIVE_KIND_COUNT + 1) + kind];
    uint32_t added = add_activity(run, activity);
    run->activities.at[added].shares = shares;
    run->activities.at[added].next = *head;
    *head = added;
    return true;
}

/* One activity for each protocol by which an algorithm (NULL: a message) can go; the links' first one at the
 * head. Where no link has protocols, or those of the links have no name in common, the bare wire. */
static bool compute_protocols(struct run *run, uint32_t g, uint32_t kind, uint32_t shares,
                              const struct algorithm *algorithm)
{
    const struct index_list *names = &run->platform->protocol_names;
    bool any = false, own = run->model->by_steps || (algorithm && algorithm->loads); /* packets are bare */
    for (uint32_t i = names->count; i-- > 0 && !own && !run->error;) {
        if (!compute_activity(run, g, kind, shares, algorithm, names->at[i]))
            continue;
        any = true;
        if (run->activity_list.at[run->activity_list.count - 1].protocol == PROTOCOL_NONE)
            break;
    }
    return any || (!run->error && compute_activity(run, g, kind, shares, algorithm, PROTOCOL_NONE));
}

/* The algorithm that the options name for a group and kind. */
static const struct algorithm *wanted_algorithm(const struct run *run, uint32_t g, uint32_t kind)
{
    const struct engine_options *options = run->options;
    const struct algorithm *wanted = options->algorithm;
    for (uint32_t i = 0; i < options->choice_count; i++) {
        const struct engine_choice *choice = &options->choices[i];
        bool group = choice->group == UINT32_MAX || choice->group == run->job->groups[g].name;
        if (group && (choice->kind == COLLECTIVE_KIND_COUNT || choice->kind == (int)kind)) {
            wanted = choice->algorithm;
            break;
        }
    }
    return wanted->kinds >> kind & 1 ? wanted : collective_usual((int)kind);
}

/* Every algorithm that applies, the table's first at the head. What fails on its own account is left out; a
 * route that is missing fails for all. */
static void compute_candidates(struct run *run, uint32_t g, uint32_t kind, uint32_t shares)
{
    uint32_t count = 0, members = run->job->groups[g].member_count;
    const char *error = NULL;
    while (collective_algorithms[count])
        count++;
    while (count-- > 0) {
        const struct algorithm *algorithm = collective_algorithms[count];
        bool many = algorithm->most && members > algorithm->most && kind != ALL_TO_ALL;
        if (!(algorithm->kinds >> kind & 1) || (many && algorithm != collective_usual((int)kind)))
            continue;
        if (!compute_protocols(run, g, kind, shares, algorithm))
            error = run->error ? run->error : error;
        run->error = NULL;
    }
    uint32_t head = run->activity_of[(size_t)g * (COLLECTIVE_KIND_COUNT + 1) + kind];
    if (head == PROGRAM_NONE || run->activities.at[head].shares != shares)
        run->error = error;
}

static void compute_activities(struct run *run, uint32_t g, uint32_t kind, uint32_t shares)
{
    const struct algorithm *wanted = kind < COLLECTIVE_KIND_COUNT ? wanted_algorithm(run, g, kind) : NULL;
    uint64_t members = run->job->groups[g].member_count;
    if (shares && shares - 1 + (kind == ALL_TO_ALL ? members * members : members) > run->job->share_count)
        run->error =
            arena_format(&run->arena, "group '%s': %s of shares that the job does not have",
                         names_text(run->job->names, run->job->groups[g].name), communication_names[kind]);
    else if (wanted == &collective_automatic && members > 1)
        compute_candidates(run, g, kind, shares);
    else if (wanted == &collective_automatic)
        compute_protocols(run, g, kind, shares, collective_usual((int)kind));
    else if (!compute_protocols(run, g, kind, shares, wanted) && !run->error)
        compute_protocols(run, g, kind, shares, collective_usual((int)kind));
}

/* The first activity from `a` on that has these shares. */
static uint32_t with_shares(const struct run *run, uint32_t a, uint32_t shares)
{
    while (a != PROGRAM_NONE && run->activities.at[a].shares != shares)
        a = run->activities.at[a].next;
    return a;
}

uint32_t run_activity(struct run *run, uint32_t g, uint32_t kind, uint32_t shares, double bytes)
{
    const uint32_t *head = &run->activity_of[(size_t)g * (COLLECTIVE_KIND_COUNT + 1) + kind];
    uint32_t best = with_shares(run, *head, shares);
    if (best == PROGRAM_NONE) {
        compute_activities(run, g, kind, shares);
        best = with_shares(run, *head, shares);
    }
    uint32_t other = best == PROGRAM_NONE ? best : with_shares(run, run->activities.at[best].next, shares);
    if (other == PROGRAM_NONE)
        return best;
    double pieces = kind == COLLECTIVE_KIND_COUNT
                        ? 1
                        : collective_piece_count(bytes, run->options->chunk, run->options->pieces);
    double shortest = INFINITY, unused;
    for (uint32_t a = best; a != PROGRAM_NONE; a = with_shares(run, run->activities.at[a].next, shares)) {
        double seconds = collective_pieces(&run->activity_list.at[a], bytes, pieces, &unused, &unused);
        if (seconds < shortest * (1 - 1e-12)) {
            best = a;
            shortest = seconds;
        }
    }
    return best;
}
