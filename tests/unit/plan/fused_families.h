/* Small models and random fused blocks in them. */
#ifndef PARTITA_TESTS_FUSED_FAMILIES_H
#define PARTITA_TESTS_FUSED_FAMILIES_H

#include "families.h"

static const struct family fused_families[] = {
    {"fused chain",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 13, x: 9}}\n  - {conv: a, out: 3, kernel: 3, pad: 1, "
     "act: relu}\n  - {pool: p, kernel: 2}\n  - {conv: b, out: 2, kernel: [3, 2]}\n"
     "  - {conv: c, out: 3, kernel: 3, pad: 2, dilation: 2}\n  - {act: t, function: relu}\n",
     2, (const char *const[]){"y", "x", "b", NULL}, false},
    {"fused residual",
     "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 8, x: 7}}\n  - {conv: z, out: 3, kernel: 1}\n"
     "  - name: block\n    repeat: 2\n    layers:\n      - {conv: a, out: 3, kernel: 3, pad: 1, act: relu}\n"
     "      - {conv: b, out: 3, kernel: 3, pad: 1, bias: no}\n      - {add: s, from: [b, input]}\n"
     "  - {conv: d, out: 2, kernel: 1, stride: 2}\n  - {flatten: f}\n  - {fc: e, out: 3}\n",
     2, (const char *const[]){"y", "x", "b", NULL}, false},
    {"fused branches",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 6, x: 6}}\n  - {conv: r, out: 4, kernel: 1}\n"
     "  - name: inception\n    layers:\n      - {conv: a, from: input, out: 3, kernel: 3, pad: 1, groups: "
     "1}\n"
     "      - {conv: b, from: input, out: 4, kernel: 3, pad: 1, groups: 2}\n"
     "      - {pool: p, from: input, kernel: 3, stride: 1, pad: 1}\n      - {concat: j, from: [a, b, p]}\n"
     "  - {upsample: u}\n  - {conv: k, out: 2, kernel: 3, pad: 1, stride: 2}\n",
     2, (const char *const[]){"y", "x", NULL}, false},
    {"fused with normalisation, in inference",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 8, x: 6}}\n  - {conv: a, out: 3, kernel: 3, pad: 1}\n"
     "  - {norm: n, type: batch, act: relu}\n  - {dropout: z}\n  - {conv: b, out: 3, kernel: 3, groups: 3}\n"
     "  - {norm: l, type: lrn, size: 3}\n",
     1, (const char *const[]){"y", "x", NULL}, true},
    {"fused with enlarging",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 4, x: 3}}\n  - {conv: a, out: 2, kernel: 3, pad: 1}\n"
     "  - {deconv: u, out: 3, kernel: 2, size: [8, 6]}\n  - {conv: b, out: 2, kernel: 3, pad: 1}\n",
     2, (const char *const[]){"y", "x", NULL}, false},
};
enum { FUSED_FAMILIES = sizeof fused_families / sizeof fused_families[0] };

/* One to three stages, each fused or not; tiles are members, or dealt to one to four of them. */
static inline void random_fused_case(struct plan_case *c, const struct family *family, uint64_t *random)
{
    char axes[128], members[32];
    case_init(c, family->model, family->batch);
    c->plan.training = !family->inference && case_between(random, 0, 3) > 0;
    if (!c->plan.training)
        c->plan.schedule = &inference_schedule;
    if (c->plan.training && case_between(random, 0, 3) == 0)
        c->plan.recompute = RECOMPUTE_FULL;
    uint32_t left = c->model.units.count, stages = case_between(random, 1, 3);
    for (uint32_t s = 0; left; s++) {
        uint32_t units = s + 1 == stages ? left : case_between(random, 1, left),
                 how = case_between(random, 0, 3);
        random_axes(family, random, axes, sizeof axes);
        uint32_t dealt = case_between(random, 1, 4);
        snprintf(members, sizeof members, "%.1s:%u", axes, dealt);
        bool deal = how >= 2 && axes[0];
        case_stage(c, units, !deal ? axes : dealt == 1 ? "" : members);
        if (how)
            case_fuse(c, deal ? axes : NULL);
        left -= units;
    }
    if (case_between(random, 0, 3) == 0)
        c->plan.input_device = case_device(c);
    random_coordinators(c, family, random);
}

#endif
