/* Hierarchical: an all-reduce is a reduce-scatter inside each group of level 0, then of level 1 among those
 * who hold the same share, …, an all-reduce at the last level and the all-gathers back, so that each level
 * moves only its share of the payload. Reduce-scatter and all-gather are the one and the other half of that;
 * broadcast and reduce go from leader to leader; all-to-all changes one coordinate per level and so sends few
 * large messages between nodes. Each level has its own algorithm. Without levels given, members that are all
 * equally near to each other and farther from all others are a group: node, then rail or pod.
 *
 * As in NCCL's and BlueConnect's multi-level all-reduce (Cho, Finkler, Serrano, Kung, Hunter: BlueConnect,
 * MLSys 2019). */
#include "collective/hierarchical.h"

#include "platform/route.h"

#include <math.h>

/* One level's turn. */
struct phase {
    uint32_t level;
    int kind;
    bool leaders; /* only among members whose inner coordinates are 0 */
};
struct phases {
    struct phase at[2 * SHAPE_DEPTH];
    uint32_t count;
};

static void push(struct phases *phases, uint32_t level, int kind, bool leaders)
{
    phases->at[phases->count++] = (struct phase){level, kind, leaders};
}

static struct phases phases_of(int kind, const struct shape *shape)
{
    struct phases phases = {.count = 0};
    uint32_t depth = shape->depth;
    bool gathers = kind == ALL_GATHER || kind == BROADCAST, leaders = kind == BROADCAST || kind == REDUCE;
    for (uint32_t i = 0; i + 1 < depth && kind == ALL_REDUCE; i++)
        push(&phases, i, REDUCE_SCATTER, false);
    if (kind == ALL_REDUCE)
        push(&phases, depth - 1, ALL_REDUCE, false);
    for (uint32_t i = depth - 1; i > 0 && kind == ALL_REDUCE; i--)
        push(&phases, i - 1, ALL_GATHER, false);
    for (uint32_t i = 0; i < depth && kind != ALL_REDUCE; i++)
        push(&phases, gathers ? depth - 1 - i : i, kind, leaders);
    return phases;
}

/* The algorithm of a level: its own if it can do that kind (and its counterpart, so that both cut alike). */
static const struct algorithm *inner_of(const struct shape *shape, const struct phase *phase)
{
    const struct algorithm *own = shape->inner[phase->level];
    uint32_t both = 1u << REDUCE_SCATTER | 1u << ALL_GATHER;
    uint32_t wanted = both >> phase->kind & 1 ? both : 1u << phase->kind;
    if (own && (own->kinds & wanted) == wanted)
        return own;
    return phase->kind == BROADCAST || phase->kind == REDUCE ? &binomial_algorithm
                                                             : collective_usual(phase->kind);
}

static uint32_t common_multiple(uint32_t a, uint32_t b)
{
    uint32_t x = a, y = b;
    while (y) {
        uint32_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

static struct shape inner_shape(const struct shape *shape, uint32_t level)
{
    return transfer_flat(shape->sizes[level]);
}

/* Members between two that differ by one in this coordinate. */
static uint32_t weight_of(const struct shape *shape, uint32_t level)
{
    uint32_t weight = 1;
    for (uint32_t i = 0; i < level; i++)
        weight *= shape->sizes[i];
    return weight;
}

/* First chunk of the part of the buffer that a member's inner coordinates leave it. */
static uint32_t region_of(const struct shape *shape, uint32_t level, uint32_t member, uint32_t chunks)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < level; i++) {
        chunks /= shape->sizes[i];
        first += member % shape->sizes[i] * chunks;
        member /= shape->sizes[i];
    }
    return first;
}

/* One transfer of a level's algorithm among the group that `member` is the first of. */
static void add_step(const struct phase *phase, const struct shape *shape, uint32_t member, uint32_t first,
                     const struct transfer_step *inner, struct transfer_list *out)
{
    uint32_t weight = weight_of(shape, phase->level), parts = phase->leaders ? 1 : weight;
    uint32_t size = shape->sizes[phase->level];
    struct transfer_step step = *inner;
    step.round += first;
    step.from = member + inner->from * weight;
    step.to = member + inner->to * weight;
    if (phase->kind == ALL_TO_ALL) {
        uint32_t unit = out->chunks / (weight * size);
        for (uint32_t i = 0; i < inner->repeats; i++)
            transfer_add_runs(out, step.round, step.from, step.to, (inner->chunk + i * inner->stride) * unit,
                              inner->run * unit, size * unit, weight);
        return;
    }
    uint32_t unit = phase->kind == BARRIER ? 1 : out->chunks / parts / inner->modulus;
    step.chunk *= unit;
    step.run *= unit;
    step.stride *= unit;
    step.modulus *= unit;
    if (!phase->leaders && phase->kind != BARRIER)
        step.base = region_of(shape, phase->level, member, out->chunks);
    step.fraction /= phase->kind == BARRIER ? 1 : parts;
    VECTOR_PUSH(out, step);
}

static void add_round(const struct phase *phase, const struct shape *shape, uint32_t first,
                      const struct transfer_list *inner, uint32_t begin, uint32_t end,
                      struct transfer_list *out)
{
    uint32_t weight = weight_of(shape, phase->level), size = shape->sizes[phase->level];
    for (uint32_t member = 0; member < shape->members; member++) {
        if (member / weight % size || (phase->leaders && member % weight))
            continue;
        for (uint32_t i = begin; i < end; i++)
            add_step(phase, shape, member, first, &inner->at[i], out);
    }
}

static void add_phase(const struct phase *phase, const struct shape *shape, bool pattern,
                      struct transfer_list *out)
{
    struct transfer_list inner = {0};
    struct shape flat = inner_shape(shape, phase->level);
    uint32_t first = transfer_rounds(out);
    if (flat.members > 1)
        collective_steps(inner_of(shape, phase), phase->kind, &flat, pattern, &inner);
    for (uint32_t begin = 0, end; begin < inner.count; begin = end) {
        for (end = begin; end < inner.count && inner.at[end].round == inner.at[begin].round; end++)
            ;
        add_round(phase, shape, first, &inner, begin, end, out);
        if (pattern)
            VECTOR_PUSH(&out->times, inner.times.count ? inner.times.at[inner.at[begin].round] : 1);
    }
    transfer_fini(&inner);
}

/* Chunks into which every level's cut fits. */
static uint32_t chunks_of(int kind, const struct shape *shape, const struct phases *phases)
{
    uint32_t chunks[SHAPE_DEPTH], product = 1;
    for (uint32_t i = 0; i < shape->depth; i++)
        chunks[i] = 1;
    if (kind == ALL_TO_ALL || kind == BARRIER)
        return kind == BARRIER ? 1 : shape->members;
    for (uint32_t p = 0; p < phases->count; p++) {
        const struct phase *phase = &phases->at[p];
        struct transfer_list inner = {0};
        struct shape flat = inner_shape(shape, phase->level);
        if (flat.members > 1) {
            collective_steps(inner_of(shape, phase), phase->kind, &flat, true, &inner);
            chunks[phase->level] = common_multiple(chunks[phase->level], inner.chunks);
        }
        transfer_fini(&inner);
    }
    for (uint32_t i = 0; i < shape->depth; i++)
        product *= chunks[i];
    return product;
}

static void compose(int kind, const struct shape *shape, bool pattern, struct transfer_list *out)
{
    struct phases phases = phases_of(kind, shape);
    transfer_begin(out, kind, shape->members, chunks_of(kind, shape, &phases));
    for (uint32_t p = 0; p < phases.count; p++)
        add_phase(&phases.at[p], shape, pattern, out);
}

void hierarchical_steps(int kind, const struct shape *shape, struct transfer_list *out)
{
    compose(kind, shape, false, out);
}

void hierarchical_pattern(int kind, const struct shape *shape, struct transfer_list *out)
{
    compose(kind, shape, true, out);
}

double hierarchical_seconds(int kind, const struct shape *shape, double bytes, double latency,
                            double bandwidth)
{
    struct phases phases = phases_of(kind, shape);
    double seconds = 0;
    for (uint32_t p = 0; p < phases.count; p++) {
        const struct phase *phase = &phases.at[p];
        struct shape flat = inner_shape(shape, phase->level);
        bool whole = phase->leaders || kind == ALL_TO_ALL || kind == BARRIER;
        double share = whole ? bytes : bytes / weight_of(shape, phase->level);
        if (flat.members > 1)
            seconds += inner_of(shape, phase)->seconds(phase->kind, &flat, share, latency, bandwidth);
    }
    return seconds;
}

bool hierarchical_given(const struct algorithm *self, struct shape *shape, bool *given, struct arena *arena,
                        const char **problem)
{
    const struct hierarchical_levels *levels = self->data;
    uint64_t product = 1;
    *given = levels;
    if (!levels)
        return true;
    shape->depth = levels->depth;
    for (uint32_t i = 0; i < levels->depth; i++) {
        shape->sizes[i] = levels->sizes[i];
        shape->inner[i] = levels->inner[i];
        product *= levels->sizes[i];
    }
    if (product == shape->members)
        return true;
    *problem = arena_format(arena, "its levels hold %llu members, and the group has %u",
                            (unsigned long long)product, shape->members);
    return false;
}

/* Seconds of a message of a megabyte, which tells near from far; INFINITY: no route. */
static double distance(struct platform *platform, uint32_t from, uint32_t to)
{
    uint32_t count;
    double latency = 0, slowest = INFINITY;
    const uint32_t *links = route_links(platform, from, to, &count);
    if (count == UINT32_MAX)
        return INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        latency += platform->links.at[links[i]].latency;
        slowest = fmin(slowest, platform->links.at[links[i]].bandwidth);
    }
    return latency + 1e6 / slowest;
}

static bool alike(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(a);
}

/* Members 0, stride, 2·stride …: how many of them from the first on are equally near to it, if all such
 * groups are alike and their neighbours farther away; else 1. */
static uint32_t group_size(struct platform *platform, const uint32_t *devices, uint32_t members,
                           uint32_t stride)
{
    uint32_t count = members / stride, size = 1;
    double near = distance(platform, devices[0], devices[stride]);
    while (size < count && alike(near, distance(platform, devices[0], devices[size * stride])))
        size++;
    if (count % size)
        return 1;
    for (uint32_t i = size; i < count; i++) {
        double inside = distance(platform, devices[i / size * size * stride], devices[i * stride]);
        double before = distance(platform, devices[(i - 1) * stride], devices[i * stride]);
        if (i % size ? !alike(inside, near) : before <= near * (1 + 1e-9))
            return 1;
    }
    return size;
}

static bool hierarchical_form(const struct algorithm *self, struct platform *platform,
                              const uint32_t *devices, struct shape *shape, struct arena *arena,
                              const char **problem)
{
    bool given;
    if (!hierarchical_given(self, shape, &given, arena, problem) || given)
        return *problem == NULL;
    uint32_t stride = 1;
    shape->depth = 0;
    while (stride < shape->members) {
        bool last = shape->depth == SHAPE_DEPTH - 1;
        uint32_t size = last ? 1 : group_size(platform, devices, shape->members, stride);
        if (size == 1) /* what is left is one level */
            size = shape->members / stride;
        shape->sizes[shape->depth++] = size;
        stride *= size;
    }
    return shape->depth > 1;
}

const struct algorithm hierarchical_algorithm = {
    .name = "hierarchical",
    .about = "level by level (node, rail, pod), each with its own algorithm: little crosses the slow links",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << ALL_TO_ALL | 1u << BROADCAST |
             1u << REDUCE | 1u << BARRIER,
    .form = hierarchical_form,
    .steps = hierarchical_steps,
    .pattern = hierarchical_pattern,
    .seconds = hierarchical_seconds,
};
