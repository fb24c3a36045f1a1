"""Causal masks as exporters write them: a buffer that stands in the file and is cut to size, a mask that was folded to numbers, and
a triangle that the graph makes; learned values for pairs of positions beside them."""
import math

import numpy

from composed import INT64, Counted
from exported import dims_of, scalar

H, HEADS, S, V = 96, 4, 32, 300
D = H // HEADS


def buffer(m, tokens, scores):
    """GPT-2's: a square of ones below the diagonal, of which a corner is cut out, chooses."""
    square = m.constant(numpy.tril(numpy.ones((1, 1, 128, 128))), numpy.bool_)
    length, = dims_of(m, tokens, 1)
    for axis in (2, 3):
        square = m.node("Slice", square, m.constant([0]), length, m.constant([axis]))
    return m.node("Where", square, scores, scalar(m, -1e9))


def folded(m, _, scores):
    """A graph with fixed sizes: numbers that are added, in single precision."""
    mask = numpy.triu(numpy.full((1, 1, S, S), -3.4e38), 1)
    return m.node("Add", scores, m.constant(mask, numpy.float32))


def padded(m, _, scores):
    """Numbers that are no triangle: a window on both sides."""
    near = numpy.abs(numpy.subtract.outer(numpy.arange(S), numpy.arange(S))) < 5
    return m.node("Where", m.constant(near, numpy.bool_), scores, scalar(m, -1e9))


def biased(m, tokens, scores):
    """A learned value for each head and pair of positions, then a buffer."""
    return buffer(m, tokens, m.node("Add", scores, m.weight([1, HEADS, S, S])))


def tempered(m, _, scores):
    """A learned factor for each head, which remains among the attention's parts."""
    return m.node("Mul", scores, m.weight([HEADS, 1, 1]))


def network(name, mask):
    def make():
        m = Counted(name, 13)
        tokens = m.input("input_ids", ["batch", S], INT64)
        x = m.node("Gather", m.weight([V, H]), tokens)
        q, k, u = (m.node("Transpose", m.node("Reshape", m.product(x, S, H, H), m.constant([0, 0, HEADS, D])), perm=[0, 2, 1, 3])
                   for _ in "qku")
        scores = m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2]))
        scores = mask(m, tokens, m.node("Div", scores, scalar(m, math.sqrt(D))))
        y = m.node("MatMul", m.node("Softmax", scores, axis=-1), u)
        m.macs += 2 * S * S * H
        y = m.node("Reshape", m.node("Transpose", y, perm=[0, 2, 1, 3]), m.constant([0, 0, H]))
        x = m.node("Add", x, m.product(y, S, H, H))
        return m.model(m.product(x, S, H, V)), m.parameters, m.macs
    return make


# Attention that is one layer, and how much of it is causal.
wanted = {"buffer": (1, 1), "folded": (1, 1), "padded": (1, 0), "biased": (1, 1), "tempered": (0, 0)}
masked = {name: (network(name, globals()[name]), {}) for name in wanted}
