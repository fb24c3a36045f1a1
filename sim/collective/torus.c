/* Torus: a ring in one dimension after the other, on the share that the dimensions before left. The
 * dimensions are found from the routes: the members are numbered row by row, and neighbours are one link
 * apart.
 *
 * As on Blue Gene and TPU pods; Jain, Sabharwal: Optimal bucket algorithms for large MPI collectives on torus
 * interconnects, ICS 2010 (without its simultaneous use of all dimensions). */
#include "collective/hierarchical.h"

#include "platform/route.h"

static bool neighbours(struct platform *platform, uint32_t a, uint32_t b)
{
    uint32_t count;
    route_links(platform, a, b, &count);
    return count == 1;
}

/* Length of a row of members 0, stride, 2·stride …: where the next row begins beside the first one. */
static uint32_t row_length(struct platform *platform, const uint32_t *devices, uint32_t members,
                           uint32_t stride)
{
    uint32_t count = members / stride;
    for (uint32_t x = 2; x < count; x++)
        if (count % x == 0 && neighbours(platform, devices[0], devices[x * stride]) &&
            !neighbours(platform, devices[(x - 1) * stride], devices[x * stride]))
            return x;
    return count;
}

static bool torus_form(const struct algorithm *self, struct platform *platform, const uint32_t *devices,
                       struct shape *shape, struct arena *arena, const char **problem)
{
    bool given;
    if (!hierarchical_given(self, shape, &given, arena, problem) || given)
        return *problem == NULL;
    if (!neighbours(platform, devices[0], devices[1]))
        return false;
    shape->depth = 0;
    for (uint32_t stride = 1; stride < shape->members; stride *= shape->sizes[shape->depth++])
        shape->sizes[shape->depth] = shape->depth == SHAPE_DEPTH - 1
                                         ? shape->members / stride
                                         : row_length(platform, devices, shape->members, stride);
    return shape->depth > 1;
}

const struct algorithm torus_algorithm = {
    .name = "torus",
    .about = "a ring in each dimension of a mesh or torus, one dimension after the other",
    .kinds = 1u << ALL_REDUCE | 1u << REDUCE_SCATTER | 1u << ALL_GATHER | 1u << ALL_TO_ALL,
    .form = torus_form,
    .steps = hierarchical_steps,
    .pattern = hierarchical_pattern,
    .seconds = hierarchical_seconds,
};
