/* Models with attention that several tests split. */
#ifndef PARTITA_TESTS_ATTENTION_MODELS_H
#define PARTITA_TESTS_ATTENTION_MODELS_H

/* Three blocks of 16 features with four heads over so many `positions` (text), an embedding that is tied, and
 * the loss. */
#define ATTENTION_TRANSFORMER(positions)                                                                     \
    "name: m\nlayers:\n  - {input: t, dims: {s: " positions "}, discrete: yes}\n"                            \
    "  - {embedding: e, vocabulary: 32, out: 16, positions: " positions "}\n"                                \
    "  - name: block\n    repeat: 3\n    layers:\n"                                                          \
    "      - {norm: n1}\n      - {fc: q, out: {g: 4, d: 4}}\n      - {fc: k, from: n1, out: {g: 4, d: 4}}\n" \
    "      - {fc: v, from: n1, out: {g: 4, d: 4}}\n      - {attention: a, from: [q, k, v], mask: causal, "   \
    "dropout: yes}\n"                                                                                        \
    "      - {fc: p, over: [g, d], out: {h: 16}}\n      - {dropout: d1}\n      - {add: r1, from: [d1, "      \
    "input]}\n"                                                                                              \
    "      - {norm: n2}\n      - {fc: u, out: {f: 64}, act: gelu}\n      - {fc: w, over: f, out: {h: 16}}\n" \
    "      - {dropout: d2}\n      - {add: r2, from: [d2, r1]}\n"                                             \
    "  - {norm: z}\n  - {fc: l, out: {v: 32}, bias: no, weight: e}\n  - {loss: loss, over: v}\n"

/* One causal attention of four groups of two heads, each of three numbers, over 16 positions. */
#define ATTENTION_GROUPED                                                                                    \
    "name: m\nattention: causal\nlayers:\n  - {input: x, dims: {s: 16, h: 12}}\n  - {fc: e, out: {h: 12}}\n" \
    "  - {fc: q, from: e, out: {g: 4, r: 2, d: 3}}\n  - {fc: k, from: e, out: {g: 4, d: 3}}\n"               \
    "  - {fc: v, from: e, out: {g: 4, d: 3}}\n"                                                              \
    "  - {attention: a, from: [q, k, v], mask: causal, flash: yes}\n"                                        \
    "  - {fc: p, over: [g, r, d], out: {h: 12}}\n"

#endif
