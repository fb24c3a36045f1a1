/* From transfers to activities. The bytes of all transfers are summed per link; the largest sum is the
 * busiest link, by which the others are divided. Sums are in a fixed order (by link, then by transfer), so
 * the bits do not depend on how a library sorts. */
#include "collective/collective.h"

#include "platform/protocol.h"
#include "platform/route.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct algorithm *const collective_algorithms[] = {&ring_algorithm,
                                                         &bidirectional_algorithm,
                                                         &halving_algorithm,
                                                         &doubling_algorithm,
                                                         &bruck_algorithm,
                                                         &binomial_algorithm,
                                                         &double_tree_algorithm,
                                                         &direct_algorithm,
                                                         &via_root_algorithm,
                                                         &torus_algorithm,
                                                         &hierarchical_algorithm,
                                                         &in_network_algorithm,
                                                         NULL};

const struct algorithm collective_automatic = {
    .name = "auto",
    .about = "the fastest of the others by predicted time, decided for each group, kind and size",
    .kinds = (1u << COLLECTIVE_KIND_COUNT) - 1,
};

struct load {
    double bytes; /* per byte of payload */
    uint32_t link;
    uint32_t order; /* of entry, so that equal links keep it */
};

struct load_list {
    struct load *at;
    uint32_t count, room;
};

const struct algorithm *collective_find(const char *name)
{
    for (const struct algorithm *const *algorithm = collective_algorithms; *algorithm; algorithm++)
        if (!strcmp((*algorithm)->name, name))
            return *algorithm;
    return strcmp(collective_automatic.name, name) ? NULL : &collective_automatic;
}

const struct algorithm *collective_usual(int kind)
{
    for (const struct algorithm *const *algorithm = collective_algorithms; *algorithm; algorithm++)
        if ((*algorithm)->kinds >> kind & 1)
            return *algorithm;
    return NULL;
}

double collective_factor(int kind, uint32_t members)
{
    double n = members;
    if (members < 2 || kind == BARRIER)
        return 0;
    if (kind == BROADCAST || kind == REDUCE)
        return 1;
    if (kind == HALO_EXCHANGE)
        return members == 2 ? 0.5 : 1;
    return (kind == ALL_REDUCE ? 2 : 1) * (n - 1) / n;
}

double collective_bound(const struct algorithm *algorithm, int kind, uint32_t members, double bytes,
                        double latency, double bandwidth)
{
    if (algorithm->bound)
        return algorithm->bound(kind, members, bytes, latency, bandwidth);
    return members < 2 ? 0 : latency + collective_factor(kind, members) * bytes / bandwidth;
}

void collective_steps(const struct algorithm *algorithm, int kind, const struct shape *shape, bool pattern,
                      struct transfer_list *out)
{
    if (shape->members < 2)
        return;
    (pattern && algorithm->pattern ? algorithm->pattern : algorithm->steps)(kind, shape, out);
}

bool collective_shape(const struct collective_request *asked, struct shape *shape, struct arena *arena,
                      const char **problem)
{
    const struct algorithm *algorithm = asked->algorithm;
    *shape = transfer_flat(asked->count);
    shape->algorithm = algorithm;
    *problem = NULL;
    return asked->count < 2 || !algorithm->form ||
           algorithm->form(algorithm, asked->platform, asked->devices, shape, arena, problem);
}

static int compare_loads(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    if (x->link != y->link)
        return x->link < y->link ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void add_load(struct load_list *list, uint32_t link, double bytes)
{
    VECTOR_PUSH(list, ((struct load){bytes, link, list->count}));
}

/* One entry per link, by ascending link. */
static void merge(struct load_list *list)
{
    if (!list->count)
        return;
    qsort(list->at, list->count, sizeof *list->at, compare_loads);
    uint32_t last = 0;
    for (uint32_t i = 1; i < list->count; i++) {
        if (list->at[i].link == list->at[last].link)
            list->at[last].bytes += list->at[i].bytes;
        else
            list->at[++last] = list->at[i];
    }
    list->count = last + 1;
    for (uint32_t i = 0; i < list->count; i++)
        list->at[i].order = i;
}

/* How an activity uses a link: its protocol there, NULL for the bare wire. */
static const struct protocol *used_protocol(const struct platform *platform, const struct activity *activity,
                                            uint32_t link)
{
    const struct link *at = &platform->links.at[link];
    if (activity->algorithm && activity->algorithm->loads)
        return protocol_in_switch(platform, at);
    return activity->protocol == PROTOCOL_NONE ? NULL : protocol_find(platform, at, activity->protocol);
}

/* Adds a link's load in bytes on the wire, and what its protocol costs once. False when the link has other
 * protocols only. */
static bool add_use(const struct platform *platform, struct activity *activity, uint32_t link, double bytes,
                    struct load_list *list)
{
    const struct link *at = &platform->links.at[link];
    const struct protocol *protocol = used_protocol(platform, activity, link);
    if (protocol) {
        bytes /= protocol->efficiency;
        activity->start = fmax(activity->start, protocol->start);
        activity->launch = fmax(activity->launch, at->launch);
        activity->protocols = true;
    }
    add_load(list, link, bytes);
    return protocol || !at->protocol_count || activity->protocol == PROTOCOL_NONE;
}

enum { NO_ROUTE = -1, NO_PROTOCOL = -2 };

/* Adds the links of one transfer; returns its latency, or one of the above. Software handles a message once,
 * whatever its way: of the links' overheads the largest counts. */
static double add_route(struct platform *platform, uint32_t from, uint32_t to, double bytes,
                        struct activity *activity, struct load_list *list)
{
    struct route route;
    double overhead = 0;
    if (!route_find(platform, from, to, &route))
        return NO_ROUTE;
    for (uint32_t i = 0; i < route.count; i++) {
        uint32_t link = route.links[i].link;
        const struct protocol *protocol = used_protocol(platform, activity, link);
        if (!add_use(platform, activity, link, bytes * route.links[i].share, list))
            return NO_PROTOCOL;
        if (protocol) {
            overhead = fmax(overhead, protocol->overhead);
            route.latency -= route.links[i].share * platform->links.at[link].overhead;
        }
    }
    return route.latency + overhead;
}

/* Seconds that these loads take on idle links, for a payload of one byte. */
static double longest(const struct platform *platform, const struct activity *activity,
                      const struct load_list *list)
{
    double seconds = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct protocol *protocol = used_protocol(platform, activity, list->at[i].link);
        double bytes = list->at[i].bytes;
        seconds = fmax(seconds, bytes / platform->links.at[list->at[i].link].bandwidth);
        if (protocol)
            seconds = fmax(seconds, bytes * protocol->efficiency / protocol->limit);
    }
    return seconds;
}

/* What each member sends: one number when they are alike. */
static void sum_sent(const struct transfer_list *list, uint32_t count, struct activity *out)
{
    for (uint32_t m = 0; m < count; m++)
        VECTOR_PUSH(&out->sent, 0.0);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct transfer_step *step = &list->at[i];
        double times = list->times.count ? list->times.at[step->round] : 1;
        if (step->from < count)
            out->sent.at[step->from] += times * step->fraction;
    }
    bool alike = count > 0;
    for (uint32_t m = 1; m < count; m++)
        alike = alike && fabs(out->sent.at[m] - out->sent.at[0]) <= 1e-12 * out->sent.at[0];
    if (!alike)
        return;
    double each = out->sent.at[0];
    VECTOR_FREE(&out->sent); /* groups can be many and large */
    VECTOR_PUSH(&out->sent, each);
}

struct gathering {
    struct load_list round, total; /* of the present round; of all, merged now and then */
    uint32_t merged;               /* entries of `total` after its last merge */
};

static void finish_round(const struct platform *platform, struct gathering *gathering, double times,
                         struct activity *out)
{
    enum { MERGE_AT = 1 << 16 };
    merge(&gathering->round);
    double seconds = longest(platform, out, &gathering->round);
    out->rounds_seconds += times * seconds;
    out->round_seconds = fmax(out->round_seconds, seconds);
    for (uint32_t i = 0; i < gathering->round.count; i++)
        add_load(&gathering->total, gathering->round.at[i].link, times * gathering->round.at[i].bytes);
    gathering->round.count = 0;
    if (gathering->total.count > 2 * gathering->merged + MERGE_AT) {
        merge(&gathering->total);
        gathering->merged = gathering->total.count;
    }
}

/* Divides by the busiest link, and caps the rate when no link explains the seconds of all rounds. */
static void normalise(const struct platform *platform, struct load_list *total, struct activity *out)
{
    merge(total);
    for (uint32_t i = 0; i < total->count; i++)
        out->bytes_factor = fmax(out->bytes_factor, total->at[i].bytes);
    for (uint32_t i = 0; i < total->count; i++)
        if (total->at[i].bytes > 0)
            VECTOR_PUSH(&out->usage,
                        ((struct usage){total->at[i].link, total->at[i].bytes / out->bytes_factor}));
    double wire = 0, needed;
    for (uint32_t i = 0; i < total->count; i++)
        wire = fmax(wire, total->at[i].bytes / platform->links.at[total->at[i].link].bandwidth);
    out->link_seconds = longest(platform, out, total);
    out->limited = out->link_seconds > wire * (1 + 1e-12);
    needed = fmax(out->link_seconds, out->rounds_seconds);
    if (needed > wire * (1 + 1e-12) && needed < INFINITY)
        out->cap = out->bytes_factor / needed;
    if (!out->protocols)
        out->protocol = PROTOCOL_NONE;
    if (out->kind != HALO_EXCHANGE) /* messages between neighbours: no collective is launched */
        out->start += out->launch;
}

static const char *device_name(const struct platform *platform, uint32_t device)
{
    return names_text(platform->names, platform->devices.at[device].name);
}

static bool gather(const struct collective_request *asked, const struct transfer_list *list,
                   struct gathering *gathering, struct activity *out, struct arena *arena,
                   const char **problem)
{
    struct platform *platform = asked->platform;
    for (uint32_t i = 0; i < list->count;) {
        uint32_t round = list->at[i].round;
        double repeats = list->times.count ? list->times.at[round] : 1, latency = 0;
        for (; i < list->count && list->at[i].round == round; i++) {
            uint32_t from = asked->devices[list->at[i].from], to = asked->devices[list->at[i].to];
            double seconds = add_route(platform, from, to, list->at[i].fraction, out, &gathering->round);
            if (seconds == NO_PROTOCOL)
                return false;
            if (seconds < 0) {
                *problem = arena_format(arena, "there is no route from %s to %s", device_name(platform, from),
                                        device_name(platform, to));
                return false;
            }
            latency = fmax(latency, seconds);
        }
        finish_round(platform, gathering, repeats, out);
        if (out->rounds == 0)
            out->first_latency = latency;
        out->latency += repeats * latency;
        out->round_latency = fmax(out->round_latency, latency);
        out->rounds += repeats;
    }
    return true;
}

/* Takes the loads that an algorithm wrote itself into the same form. */
static bool load(const struct collective_request *asked, struct gathering *gathering, struct activity *out,
                 struct arena *arena, const char **problem)
{
    struct platform *platform = asked->platform;
    if (!asked->algorithm->loads(asked, out, arena, problem))
        return false;
    double overhead = 0;
    out->protocol = PROTOCOL_NONE;
    for (uint32_t i = 0; i < out->usage.count; i++) {
        const struct protocol *protocol = used_protocol(platform, out, out->usage.at[i].link);
        add_use(platform, out, out->usage.at[i].link, out->usage.at[i].coefficient, &gathering->total);
        if (protocol && (out->protocol == PROTOCOL_NONE || protocol->overhead > overhead)) {
            overhead = protocol->overhead;
            out->protocol = protocol->name;
        }
    }
    out->usage.count = 0;
    out->latency = out->round_latency = out->first_latency = out->latency + overhead;
    return true;
}

bool collective_activity(const struct collective_request *asked, struct activity *out, struct arena *arena,
                         const char **problem)
{
    assert(asked->algorithm->kinds >> asked->kind & 1);
    *out = (struct activity){
        .cap = INFINITY, .algorithm = asked->algorithm, .kind = asked->kind, .protocol = asked->protocol};
    *problem = NULL;
    struct gathering gathering = {0};
    struct shape *shape = ARENA_NEW(arena, struct shape);
    out->shape = shape;
    bool good = collective_shape(asked, shape, arena, problem);
    if (good && asked->count > 1 && asked->algorithm->loads) {
        good = load(asked, &gathering, out, arena, problem);
    } else if (good) {
        struct transfer_list list = {0};
        collective_steps(asked->algorithm, asked->kind, shape, !asked->shares, &list);
        if (asked->shares && list.count)
            transfer_weigh(&list, shape, asked->shares);
        good = gather(asked, &list, &gathering, out, arena, problem);
        sum_sent(&list, asked->count, out);
        transfer_fini(&list);
    }
    if (good)
        normalise(asked->platform, &gathering.total, out);
    VECTOR_FREE(&gathering.round);
    VECTOR_FREE(&gathering.total);
    return good;
}

double collective_piece_count(double bytes, double chunk, double least)
{
    enum { MOST = 1 << 16 };
    double pieces = chunk > 0 ? ceil(bytes / chunk) : 1;
    return fmin(fmax(fmax(pieces, least), 1), MOST);
}

/* Pieces pass the rounds like jobs a line of machines: the first one takes all rounds, each further one comes
 * out a longest round later (flow shop with equal jobs). No pace beats the busiest link. */
double collective_pieces(const struct activity *activity, double bytes, double pieces, double *latency,
                         double *cap)
{
    double link = bytes * activity->link_seconds, all = bytes * activity->rounds_seconds;
    double once = activity->start + activity->latency;
    *latency = once;
    *cap = activity->cap;
    if (pieces <= 1 ||
        (activity->algorithm && activity->algorithm->loads)) /* switches pass on as they receive */
        return once + fmax(link, all);
    double waits = once + (pieces - 1) * activity->round_latency;
    double chain = (all + (pieces - 1) * bytes * activity->round_seconds) / pieces;
    double seconds = fmax(waits + chain, activity->start + activity->first_latency + link);
    *cap = activity->limited ? activity->bytes_factor / activity->link_seconds : INFINITY;
    *latency = seconds - link;
    if (chain > link * (1 + 1e-12)) {
        *cap = bytes * activity->bytes_factor / chain;
        *latency = waits;
    }
    return seconds;
}

bool collective_message(struct platform *platform, uint32_t from, uint32_t to, uint32_t protocol,
                        struct activity *out)
{
    *out = (struct activity){.bytes_factor = 1, .rounds = 1, .cap = INFINITY, .protocol = protocol};
    struct load_list list = {0};
    out->latency = add_route(platform, from, to, 1, out, &list);
    bool reached = out->latency >= 0;
    for (uint32_t i = 0; i < list.count; i++)
        VECTOR_PUSH(&out->path, list.at[i].link);
    merge(&list);
    out->link_seconds = out->rounds_seconds = longest(platform, out, &list);
    for (uint32_t i = 0; reached && i < list.count; i++) {
        const struct protocol *used = used_protocol(platform, out, list.at[i].link);
        if (used) /* by its coefficient, not by the bytes of the busiest link: those are the payload's */
            out->cap = fmin(out->cap, used->limit);
        VECTOR_PUSH(&out->usage, ((struct usage){list.at[i].link, list.at[i].bytes}));
    }
    if (!out->protocols)
        out->protocol = PROTOCOL_NONE;
    VECTOR_FREE(&list);
    return reached;
}

void collective_activity_fini(struct activity *activity)
{
    VECTOR_FREE(&activity->usage);
    VECTOR_FREE(&activity->path);
    VECTOR_FREE(&activity->sent);
    *activity = (struct activity){0};
}
