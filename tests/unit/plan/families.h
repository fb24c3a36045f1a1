/* Families of small models and random plans for them. */
#ifndef PARTITA_TESTS_FAMILIES_H
#define PARTITA_TESTS_FAMILIES_H

#include "plan_case.h"

#include "collective/collective.h"
#include "plan/shard.h"
#include "plan/split.h"
#include "plan/workload.h"

struct family {
    const char *name, *model;
    uint32_t batch;
    const char *const *axes; /* what an axis may split; NULL-terminated */
    bool inference;          /* forward only */
};

static const struct family families[] = {
    {"fully connected chain",
     "name: m\nlayers:\n  - {input: x, dims: {h: 6}}\n  - {fc: a, out: 7}\n  - {fc: b, out: 5, act: relu}\n"
     "  - {fc: c, out: 7}\n  - {add: d, from: [c, a]}\n  - {act: e, function: gelu}\n"
     "  - {add: f, from: [e, a]}\n  - {fc: g, out: 4, bias: no}\n",
     4, (const char *const[]){"b", "o", "i", "c", "h", "o,i", NULL}, false},
    {"convolutions by rows",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 11, x: 9}}\n  - {conv: a, out: 3, kernel: 3, pad: 1, "
     "act: relu}\n"
     "  - {conv: b, out: 2, kernel: 3, stride: 2}\n  - {pool: p, kernel: 2, stride: 1}\n"
     "  - {conv: c, out: 3, kernel: 3, pad: 2, dilation: 2}\n  - {pool: q, op: avg, global: yes}\n"
     "  - {fc: d, out: 3}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", "y,o", NULL}, false},
    {"convolutions with big windows",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 9, x: 6}}\n  - {conv: a, out: 2, kernel: 5, pad: 2}\n"
     "  - {pool: p, op: avg, kernel: 3, stride: 2, pad: 1}\n  - {act: t, function: relu}\n"
     "  - {conv: b, from: p, out: 2, kernel: 1, stride: 2, bias: no}\n"
     "  - {flatten: f}\n  - {fc: d, out: 3}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "ky", NULL}, false},
    {"residual convolutions",
     "name: m\nlayers:\n  - {input: x, dims: {c: 4, y: 8, x: 5}}\n  - {conv: a, out: 4, kernel: 3, pad: 1}\n"
     "  - {norm: n, type: batch}\n  - {conv: b, out: 4, kernel: 3, pad: 1, bias: no}\n"
     "  - {add: s, from: [b, a]}\n  - {conv: t, out: 4, kernel: 1, stride: 2}\n"
     "  - {conv: u, from: s, out: 4, kernel: 3, stride: 2, pad: 1}\n  - {add: v, from: [u, t]}\n",
     3, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"branches that join",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 6, x: 5}}\n  - {conv: r, out: 4, kernel: 1}\n"
     "  - {conv: a, from: r, out: 3, kernel: 3, pad: 1}\n  - {conv: b, from: r, out: 4, kernel: 1}\n"
     "  - {pool: p, from: r, kernel: 3, stride: 1, pad: 1}\n  - {concat: j, from: [a, b, p]}\n"
     "  - {conv: k, out: 2, kernel: 1}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"grouped and depthwise convolutions",
     "name: m\nlayers:\n  - {input: x, dims: {c: 6, y: 5, x: 4}}\n  - {conv: a, out: 6, kernel: 3, pad: 1, "
     "groups: 3}\n"
     "  - {conv: b, out: 6, kernel: 3, pad: 1, groups: 6, act: relu}\n  - {conv: c, out: 12, kernel: 1, "
     "groups: 2}\n"
     "  - {norm: n, type: group, groups: 3}\n",
     2, (const char *const[]){"y", "b", "o", "i", "c", "groups", NULL}, false},
    {"resampled maps",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 6, x: 4}}\n  - {conv: a, out: 3, kernel: 1}\n"
     "  - {upsample: u}\n  - {conv: b, out: 2, kernel: 3, pad: 1}\n  - {reorg: r}\n  - {conv: k, out: 2, "
     "kernel: 1}\n"
     "  - {norm: l, type: lrn, size: 3}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"transformer block",
     "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 6}}\n  - {fc: e, out: {h: 6}}\n"
     "  - name: block\n    repeat: 2\n    layers:\n"
     "      - {norm: n1}\n      - {fc: q, out: {g: 3, r: 2, d: 2}}\n      - {fc: k, from: n1, out: {g: 3, d: "
     "2}}\n"
     "      - {fc: v, from: n1, out: {g: 3, d: 2}}\n      - {attention: a, from: [q, k, v]}\n"
     "      - {fc: p, over: [g, r, d], out: {h: 6}}\n      - {add: r1, from: [p, input]}\n      - {norm: "
     "n2}\n"
     "      - {fc: u, out: {f: 8}, act: gelu}\n      - {fc: w, over: f, out: {h: 6}}\n      - {add: r2, "
     "from: [w, r1]}\n"
     "  - {norm: z, type: rms}\n",
     2, (const char *const[]){"g,r,f,v", "g,r,f,v,s", "b", "s", "h", "q", "k", "d", "o", NULL}, false},
    {"grouped queries with rotary positions",
     "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 4}}\n  - {fc: e, out: {h: 4}}\n"
     "  - {fc: q, out: {g: 2, r: 2, d: 4}}\n  - {fc: k, from: e, out: {g: 2, d: 4}}\n  - {fc: v, from: e, "
     "out: {g: 2, d: 4}}\n"
     "  - {rotary: rq, from: q}\n  - {rotary: rk, from: k}\n  - {attention: a, from: [rq, rk, v], flash: "
     "yes}\n"
     "  - {fc: p, over: [g, r, d], out: {h: 4}}\n  - {fc: g1, out: {f: 6}}\n  - {fc: g2, from: p, out: {f: "
     "6}}\n"
     "  - {glu: gl, from: [g1, g2]}\n  - {fc: w, over: f, out: {h: 4}}\n",
     2, (const char *const[]){"g,r,f", "g,r,f,s", "r", "b", "s", "d", NULL}, false},
    {"causal attention over shares of the sequence",
     "name: m\nattention: causal\nlayers:\n  - {input: x, dims: {s: 7, h: 4}}\n  - {fc: q, from: x, out: {g: "
     "2, r: 2, d: 2}}\n"
     "  - {fc: k, from: x, out: {g: 2, d: 2}}\n  - {fc: v, from: x, out: {g: 2, d: 2}}\n"
     "  - {attention: a, from: [q, k, v], mask: causal, dropout: yes}\n"
     "  - {fc: p, over: [g, r, d], out: {h: 4}}\n  - {norm: n}\n  - {fc: u, out: {f: 3}}\n",
     2, (const char *const[]){"s", "q", "k", "g,r,f", "g,r,f,s", "r", "b", "d", "h", NULL}, false},
    {"language model with tied logits",
     "name: m\nlayers:\n  - {input: t, dims: {s: 4}, discrete: yes}\n"
     "  - {embedding: e, vocabulary: 7, out: 4, positions: 6}\n  - {norm: n}\n  - {fc: u, out: {f: 6}, act: "
     "gelu}\n"
     "  - {fc: w, over: f, out: {h: 4}}\n  - {add: r, from: [w, e]}\n  - {fc: l, out: {v: 7}, bias: no, "
     "weight: e}\n"
     "  - {loss: loss, over: v}\n",
     2, (const char *const[]){"g,r,f,v", "g,r,f,v,s", "b", "s", "h", "v", "o", NULL}, false},
    {"vision transformer's sequence",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 4, x: 6}}\n  - {conv: a, out: 4, kernel: 2, stride: "
     "2}\n"
     "  - {sequence: s}\n  - {prepend: c}\n  - {position: p, count: 7}\n  - {norm: n}\n  - {fc: u, out: {h: "
     "4}}\n"
     "  - {act: t, function: relu}\n  - {select: first, from: u}\n  - {fc: d, out: 3}\n  - {softmax: y}\n",
     2, (const char *const[]){"y", "x", "b", "s", "h", "o", "i", "c", NULL}, false},
    {"whole maps in inference",
     "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 7, x: 6}}\n  - {conv: a, out: 3, kernel: 3, pad: 1, "
     "act: relu}\n"
     "  - {norm: n, type: batch}\n  - {dropout: z}\n  - {pool: p, global: yes}\n  - {fc: d, out: 5}\n  - "
     "{softmax: y}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, true},
    {"mixture of experts",
     "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 4}}\n  - {fc: p, out: {h: 4}}\n"
     "  - {moe: m, experts: 4, top-k: 2, inner: 3, skew: 0.5}\n  - {add: r, from: [m, p]}\n  - {norm: n}\n"
     "  - {fc: q, out: {h: 3}}\n",
     2, (const char *const[]){"b", "s", "e", "f", "h", "o", "i", "e,f", "g,r,f,v,s", NULL}, false},
    {"mixture of experts that drops tokens",
     "name: m\nlayers:\n  - {input: x, dims: {s: 5, h: 4}}\n  - {fc: p, out: {h: 4}}\n"
     "  - {moe: m, experts: 3, top-k: 2, inner: 4, capacity: 0.8, gated: no, act: gelu, correction: yes, "
     "shared: 3, shared-gate: yes}\n"
     "  - {add: r, from: [m, p]}\n  - {fc: q, out: {h: 3}}\n",
     2, (const char *const[]){"b", "s", "e", "f", "h", "o", "e,f", "e,f,s", NULL}, false},
    {"latent attention",
     "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 4}}\n  - {fc: e, out: {h: 4}}\n"
     "  - {fc: a, from: e, out: {l: 3}, bias: no}\n  - {norm: na, type: rms}\n"
     "  - {fc: q, from: na, out: {g: 3, d: 2}}\n  - {fc: qp, from: na, out: {g: 3, p: 2}}\n  - {rotary: qr, "
     "over: p}\n"
     "  - {fc: z, from: e, out: {l: 3}}\n  - {norm: nz, type: rms}\n  - {fc: k, from: nz, out: {g: 3, d: "
     "2}}\n"
     "  - {fc: v, from: nz, out: {g: 3, d: 4}}\n  - {fc: kp, from: e, out: {p: 2}}\n  - {rotary: kr, over: "
     "p}\n"
     "  - {attention: c, from: [q, k, v, qr, kr], cache: [nz, kr]}\n  - {fc: w, over: [g, d], out: {h: "
     "4}}\n",
     2, (const char *const[]){"g,r,f", "g,r,f,s", "b", "s", "q", "k", "l", "p", "d", NULL}, false},
    {"tables and pairs of features",
     "name: m\nlayers:\n  - {input: x, dims: {i: 3}}\n  - {fc: a, out: {table: 1, d: 2}, act: relu}\n"
     "  - {input: ids, dims: {table: 4, place: 2}, discrete: yes}\n"
     "  - {tables: t, rows: [5, 7, 2, 6], out: 2}\n  - {concat: z, from: [a, t], dim: table}\n  - {pairs: "
     "p}\n"
     "  - {fc: c, over: [table, other], out: 3, bias: no}\n  - {fc: d, from: a, out: 3}\n  - {add: s, from: "
     "[c, d]}\n"
     "  - {act: r, function: relu}\n  - {fc: y, out: 2}\n",
     4, (const char *const[]){"b", "table", "d", "v", "o", "other", "i", "table,b", "place", NULL}, false},
    {"partial sums that meet",
     "name: m\nlayers:\n  - {input: x, dims: {s: 3, h: 4}}\n  - {fc: e, out: {h: 4}}\n"
     "  - {fc: u, from: e, out: {f: 5}, act: gelu}\n  - {fc: w, over: f, out: {h: 4}}\n"
     "  - {fc: t, from: e, out: {f: 6}}\n  - {fc: z, over: f, out: {h: 4}, bias: no}\n  - {scale: sz}\n"
     "  - {dropout: dz}\n  - {add: r, from: [w, dz, e]}\n  - {norm: n}\n  - {fc: t2, out: {f: 5}}\n"
     "  - {fc: z2, over: f, out: {h: 4}}\n  - {multiply: y, from: [z2, r]}\n"
     "  - {fc: z3, from: t, over: f, out: {h: 2}}\n  - {concat: j, from: [y, z3, e]}\n  - {fc: l, out: 3}\n"
     "  - {add: q, from: [l, l]}\n",
     2, (const char *const[]){"g,r,f,v", "f", "g,r,f,v,s", "b", "s", "h", "o", "i", NULL}, false},
    {"recurrent layer",
     "name: m\nlayers:\n  - {input: x, dims: {s: 3, h: 4}}\n  - {lstm: l, hidden: 3}\n  - {fc: d, out: {h: "
     "4}}\n",
     5, (const char *const[]){"b", "g", "o", "h", "i", "k", "i,o", "k,o", NULL}, false},
    {"recurrent layers over each other",
     "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 3}}\n  - {lstm: l, hidden: 4}\n  - {gru: u, hidden: "
     "5}\n"
     "  - {rnn: r, hidden: 5}\n  - {add: a, from: [r, u]}\n",
     2, (const char *const[]){"b", "g", "o", "h", "i", "k", "i,o", "k,o", NULL}, false},
    {"recurrent layers in both directions",
     "name: m\nlayers:\n  - {input: x, dims: {t: 3, h: 4}}\n  - {lstm: l, hidden: 3, directions: 2}\n"
     "  - {gru: u, hidden: 2, directions: 2}\n  - {fc: d, out: 3}\n",
     3, (const char *const[]){"b", "g", "o", "direction", "i", "k,o", NULL}, false},
    {"a sliding window over shares of the sequence",
     "name: m\nattention: causal\nlayers:\n  - {input: x, dims: {s: 7, h: 4}}\n  - {fc: q, from: x, out: {g: "
     "2, r: 2, d: 2}}\n"
     "  - {fc: k, from: x, out: {g: 2, d: 2}}\n  - {fc: v, from: x, out: {g: 2, d: 2}}\n"
     "  - {attention: a, from: [q, k, v], mask: causal, window: 3}\n"
     "  - {fc: p, over: [g, r, d], out: {h: 4}}\n  - {norm: n}\n  - {fc: u, out: {f: 3}}\n",
     2, (const char *const[]){"s", "q", "k", "g,r,f", "g,r,f,s", "r", "b", "d", "h", NULL}, false},
    {"transposed convolutions side by side",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 4, x: 3}}\n  - {conv: a, out: 2, kernel: 3, pad: 1}\n"
     "  - {deconv: u, out: 3, kernel: 2, size: [8, 6], act: relu}\n  - {conv: b, out: 4, kernel: 3, pad: 1}\n"
     "  - {deconv: v, out: 4, kernel: [2, 1], size: [16, 6], groups: 2, bias: no}\n  - {conv: d, out: 1, "
     "kernel: 3, pad: 1}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"interpolated maps",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 5, x: 4}}\n  - {conv: a, out: 2, kernel: 3, pad: 1}\n"
     "  - {upsample: u, stride: [2, 3], reach: 1, flops: 7}\n  - {conv: b, out: 3, kernel: 3, pad: 1, "
     "stride: "
     "2}\n"
     "  - {upsample: v, stride: [3, 1], reach: 2, flops: 7}\n  - {conv: d, out: 1, kernel: 3, pad: 1}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"attention with learned values for pairs of positions",
     "name: m\nattention: causal\nlayers:\n  - {input: x, dims: {s: 5, h: 4}}\n  - {parameter: near, dims: "
     "{n: 2, "
     "m: 1, s: 5, t: 5}}\n"
     "  - {fc: q, from: x, out: {g: 2, r: 3, d: 2}}\n  - {fc: k, from: x, out: {g: 2, d: 2}}\n"
     "  - {fc: v, from: x, out: {g: 2, d: 2}}\n  - {attention: a, from: [q, k, v, near]}\n"
     "  - {fc: p, over: [g, r, d], out: {h: 4}}\n  - {fc: q2, from: p, out: {g: 2, d: 2}}\n"
     "  - {fc: k2, from: p, out: {g: 2, d: 2}}\n  - {fc: v2, from: x, out: {g: 2, d: 2}}\n"
     "  - {einsum: apart, from: [q2, k2], equation: \"b s g d, b t g d -> b s t\"}\n"
     "  - {reshape: pairs, dims: {b: batch, g: 1, s: 5, t: 5}}\n"
     "  - {attention: a2, from: [q2, k2, v2, pairs], mask: causal}\n"
     "  - {fc: p2, over: [g, d], out: {h: 4}}\n",
     2, (const char *const[]){"s", "q", "k", "g,r,f", "g,r,f,s", "r", "b", "d", "h", NULL}, false},
    {"enlarged maps read point by point",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 4, x: 3}}\n  - {conv: a, out: 2, kernel: 3, pad: 1}\n"
     "  - {deconv: u, out: 3, kernel: 2, size: [8, 6], act: relu}\n  - {conv: b, out: 4, kernel: 1}\n"
     "  - {deconv: v, out: 4, kernel: [2, 1], size: [16, 6], groups: 2, bias: no}\n  - {conv: d, out: 2, "
     "kernel: 1}\n  - {conv: e, from: v, out: 2, kernel: 1, stride: 2, bias: no}\n  - {upsample: w, from: "
     "d}\n"
     "  - {conv: f, out: 3, kernel: 1, bias: no}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"enlarged maps that join",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 5, x: 4}}\n  - {conv: r, out: 4, kernel: 1}\n"
     "  - {upsample: u}\n  - {conv: a, out: 3, kernel: 1}\n"
     "  - {deconv: v, from: r, out: 3, kernel: 2, size: [10, 8], bias: no}\n  - {conv: b, out: 3, kernel: 1, "
     "bias: no}\n  - {add: s, from: [a, b]}\n  - {concat: j, from: [s, u, v, u]}\n  - {conv: k, out: 2, "
     "kernel: 1}\n  - {pool: p, op: avg, kernel: 2}\n  - {conv: l, out: 4, kernel: 1}\n  - {add: t, from: "
     "[l, r]}\n  - {conv: e, out: 2, kernel: 1, stride: 2}\n  - {conv: f, from: t, out: 3, kernel: 1, act: "
     "relu}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"strides that skip what was enlarged",
     "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 7, x: 5}}\n  - {conv: r, out: 2, kernel: 3, stride: "
     "2, pad: 1}\n  - {upsample: u, stride: 3}\n  - {conv: a, out: 2, kernel: 1, stride: 3}\n"
     "  - {add: s, from: [a, r]}\n  - {deconv: v, out: 3, kernel: 2, size: [8, 6]}\n"
     "  - {pool: p, kernel: 2, stride: 3}\n  - {conv: l, out: 3, kernel: 1, act: relu}\n"
     "  - {conv: g, from: v, out: 2, kernel: 1, stride: 3}\n  - {concat: j, from: [l, g, l]}\n"
     "  - {conv: h, out: 2, kernel: 1, bias: no}\n",
     2, (const char *const[]){"y", "x", "b", "o", "i", "c", NULL}, false},
    {"recurrent layers that share weights",
     "name: m\nlayers:\n  - {input: x, dims: {s: 3, h: 4}}\n  - {lstm: l, hidden: 4}\n  - {lstm: u, hidden: "
     "4, "
     "weight: l}\n"
     "  - {gru: g, hidden: 4}\n  - {gru: w, hidden: 4, weight: g}\n  - {add: a, from: [l, w]}\n",
     2, (const char *const[]){"b", "g", "o", "h", "i", "k", "i,o", "k,o", NULL}, false},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

static inline uint32_t family_axes(const struct family *family)
{
    uint32_t count = 0;
    while (family->axes[count])
        count++;
    return count;
}

/* Up to three different axes of 2 or 3 members, at most 12 members. */
static inline void random_axes(const struct family *family, uint64_t *random, char *text, size_t size)
{
    uint32_t axes = case_between(random, 0, 3), members = 1, used = 0, choices = family_axes(family);
    text[0] = 0;
    for (uint32_t a = 0; a < axes; a++) {
        uint32_t pick = case_between(random, 0, choices - 1), ways = case_between(random, 2, 3);
        if (case_between(random, 0, 9) == 0)
            ways = 5;
        if (strncmp(family->axes[pick], "g,r", 3) == 0 && case_between(random, 0, 1))
            ways = case_between(random, 0, 1) ? 4 : 6; /* more than there are groups */
        if (used >> pick & 1 || members * ways > 12)
            continue;
        used |= 1u << pick;
        members *= ways;
        size_t length = strlen(text);
        bool weighted = case_between(random, 0, 3) == 0;
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s:", length ? " " : "", family->axes[pick]);
        if (!weighted)
            snprintf(text + length, size - length, "%u", ways);
        uint32_t one = case_between(random, 0, ways - 1); /* at least one member has a share */
        for (uint32_t i = 0; weighted && i < ways; i++)
            length += (size_t)snprintf(text + length, size - length, "%s%u", i ? "/" : "",
                                       case_between(random, 0, 3) + (i == one));
    }
}

/* Now and then exchanges go through coordinators: along all axes, or those called like one of them. */
static inline void random_coordinators(struct plan_case *c, const struct family *family, uint64_t *random)
{
    struct workload_carrier *carrier = ARENA_NEW(&c->arena, struct workload_carrier);
    if (case_between(random, 0, 2))
        return;
    *carrier = (struct workload_carrier){.kind = HALO_EXCHANGE, .algorithm = &via_root_algorithm};
    if (case_between(random, 0, 2) == 0)
        carrier->group = family->axes[case_between(random, 0, family_axes(family) - 1)];
    c->plan.carriers = carrier;
    c->plan.carrier_count = 1;
}

/* Now and then shares are rounded up, weighted or not. */
static inline void random_rounding(struct plan_case *c, uint64_t *random)
{
    for (uint32_t s = 0; s < c->plan.stages.count; s++)
        for (uint32_t a = 0; a < c->plan.stages.at[s].axis_count; a++) {
            struct plan_axis *axis = &c->plan.stages.at[s].axes[a];
            if (case_between(random, 0, 7) || axis->joined || (a && axis[-1].joined))
                continue;
            axis->rounds_up = true;
            axis->weights = axis->weights ? axis->weights : case_equal(&c->arena, axis->size);
        }
}

/* A plan of one to three stages on meshes that have nothing to do with each other. */
static inline void random_case(struct plan_case *c, const struct family *family, uint64_t *random)
{
    char axes[128];
    case_init(c, family->model, family->batch);
    c->plan.training = !family->inference && case_between(random, 0, 4) > 0;
    if (!c->plan.training)
        c->plan.schedule = &inference_schedule;
    uint32_t left = c->model.units.count, stages = case_between(random, 1, 3);
    for (uint32_t s = 0; s < stages; s++) {
        bool last = s + 1 == stages || left <= stages - s;
        uint32_t units = last ? 0 : case_between(random, 1, left - (stages - s - 1));
        random_axes(family, random, axes, sizeof axes);
        case_stage(c, units, axes);
        struct plan_stage *stage = &c->plan.stages.at[s];
        for (uint32_t a = 0; a < stage->axis_count; a++)
            stage->axes[a].combiner = case_between(random, 0, 3) == 0;
        if (c->plan.stages.at[s].axis_count)
            split_heads(&c->plan, &c->plan.stages.at[s]);
        left -= units;
        if (last)
            break;
    }
    if (!c->plan.training && case_between(random, 0, 2) == 0) /* stages share their devices */
        for (uint32_t s = 0; s < c->plan.stages.count; s++)
            for (uint32_t m = 0; m < c->plan.stages.at[s].devices.count; m++)
                c->plan.stages.at[s].devices.at[m] = m;
    c->plan.save_produced = case_between(random, 0, 1);
    c->plan.zero = c->plan.training ? case_between(random, 0, 3) : 0;
    for (uint32_t s = 0; s < c->plan.stages.count; s++) /* any axis can share out what is kept */
        for (uint32_t a = 0; a < c->plan.stages.at[s].axis_count; a++) {
            c->plan.stages.at[s].axes[a].shards = case_between(random, 0, 1);
            bool batch = a && c->plan.stages.at[s].axes[a - 1].labels[0] == names_add(&c->names, "b");
            c->plan.stages.at[s].axes[a].nests = batch && case_between(random, 0, 3) == 0;
        }
    if (case_between(random, 0, 3) == 0) /* or those that a plan marks */
        shard_mark(&c->plan);
    for (uint32_t s = 0; s < c->plan.stages.count; s++)
        c->plan.stages.at[s].lazy = case_between(random, 0, 1);
    c->plan.recompute = (enum plan_recompute)case_between(random, 0, RECOMPUTE_COUNT - 1);
    if (c->plan.recompute == RECOMPUTE_FULL) {
        c->plan.recompute_every = case_between(random, 0, 2);
        c->plan.recompute_chunk = c->plan.recompute_every < 2 ? case_between(random, 0, 3) : 0;
    }
    if (case_between(random, 0, 3) == 0)
        c->plan.input_device = case_between(random, 0, 1) && !c->plan.training ? 0 : case_device(c);
    c->plan.attention = case_between(random, 0, 1) ? ATTENTION_RING : ATTENTION_GATHER;
    if (case_between(random, 0, 1)) {
        uint32_t ways = case_between(random, 2, 4);
        for (uint32_t s = 0; s < c->plan.stages.count; s++)
            c->plan.stages.at[s].balanced = ways;
    }
    if (case_between(random, 0, 3)) { /* what is cheap decides how tensors are converted */
        case_connect(c, 1, 0);
        for (uint32_t l = 0; l < c->platform.links.count; l++) {
            c->platform.links.at[l].bandwidth = case_between(random, 1, 10);
            c->platform.links.at[l].latency = case_between(random, 0, 1) * case_between(random, 0, 100);
        }
    }
    random_coordinators(c, family, random);
    random_rounding(c, random);
}

static inline void random_derive(struct plan_case *c, const struct family *family)
{
    if (!case_derive(c)) {
        report_print(&c->input.report, stderr);
        fail_msg("%s%s cannot be derived", family->name, case_describe(c));
    }
}

#endif
