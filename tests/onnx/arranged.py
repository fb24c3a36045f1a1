"""Networks whose weights are arranged in the graph before a layer reads them, as exporters that keep a framework's
order of gates write them, and networks whose inputs have dimensions that nobody named; beside the counts that their
builder knows."""
import math

import numpy
from onnx import TensorProto, numpy_helper

from composed import Counted

FLOAT = TensorProto.FLOAT


def constant_weight(m, dims):
    """A weight in a node rather than beside the nodes."""
    m.parameters += math.prod(dims)
    value = numpy_helper.from_array(numpy.zeros(dims, numpy.float32))
    return m.node("Constant", value=value)


def piece(m, x, start, end, axis=0):
    return m.node("Slice", x, m.constant([start]), m.constant([end]), m.constant([axis]), m.constant([1]))


def gates(m, weight, hidden, order):
    """The rows of a framework's gates in the order of the format."""
    return m.node("Concat", *[piece(m, weight, g * hidden, (g + 1) * hidden) for g in order], axis=0)


def leading(m, x):
    return m.node("Unsqueeze", x, m.constant([0]))


def arranged_gates():
    """Two directions of LSTM with a state of which a part begins each, then a GRU whose gates a Split gives."""
    m = Counted("arranged_gates")
    t, i, h, g = 20, 24, 32, 4
    x = m.node("Transpose", m.input("x", ["batch", t, i]), perm=[1, 0, 2])
    state = m.input("state", [4, None, h])
    made = {"w": [], "r": [], "b": []}
    for make in (m.weight, lambda dims: constant_weight(m, dims)):  # one direction of each
        made["w"].append(leading(m, gates(m, make([4 * h, i]), h, (0, 3, 1, 2))))
        made["r"].append(leading(m, gates(m, m.node("Transpose", make([h, 4 * h]), perm=[1, 0]), h, (0, 3, 1, 2))))
        parts = [gates(m, make([4 * h]), h, (0, 3, 1, 2)) for _ in "ih"]
        made["b"].append(leading(m, m.node("Concat", *parts, axis=0)))
    w, r, b = (m.node("Concat", *made[k], axis=0) for k in "wrb")
    first, cell = m.node("Split", state, m.constant([2, 2]), axis=0, outputs=2)
    y = m.node("LSTM", x, w, r, b, "", first, cell, outputs=3, hidden_size=h, direction="bidirectional")[0]
    m.macs += 2 * t * 4 * h * (i + h)
    y = m.node("Reshape", m.node("Transpose", y, perm=[0, 2, 1, 3]), m.constant([0, 0, 2 * h]))

    def turned(dims):
        cut = m.node("Split", m.node("Cast", m.weight(dims), to=FLOAT), m.constant([g] * 3), axis=0, outputs=3)
        return leading(m, m.node("Concat", cut[1], cut[0], cut[2], axis=0))

    b = leading(m, m.node("Concat", m.weight([3 * g]), m.weight([3 * g]), axis=0))
    y = m.node("GRU", y, turned([3 * g, 2 * h]), turned([3 * g, g]), b, outputs=2, hidden_size=g)[0]
    m.macs += t * 3 * g * (2 * h + g)
    y = m.node("Transpose", m.node("Squeeze", y, m.constant([1])), perm=[1, 0, 2])
    return m.model(m.product(y, t, g, 10)), m.parameters, m.macs


def arranged_products():
    """A convolution with joined weights; products and a norm with pieces of weights that together are whole."""
    m = Counted("arranged_products")
    x = m.input("image", ["batch", 3, 16, 16])
    w = m.node("Concat", m.weight([12, 3, 3, 3]), constant_weight(m, [4, 3, 3, 3]), axis=0)
    x = m.node("Conv", x, w, m.node("Concat", m.weight([12]), m.weight([4]), axis=0), kernel_shape=[3, 3], pads=[1] * 4)
    m.macs += 256 * 16 * 27
    x = m.node("Transpose", m.node("Reshape", x, m.constant([0, 16, 256])), perm=[0, 2, 1])
    norms = m.weight([4, 16])
    scale, shift = (m.node("Gather", norms, m.constant(k), axis=0) for k in (1, 3))
    m.parameters -= 2 * 16  # the rows that nobody reads
    x = m.node("LayerNormalization", x, scale, shift, axis=-1)
    both = m.weight([32, 40])
    x = m.node("MatMul", x, piece(m, both, 0, 16))
    x = m.node("MatMul", m.node("Relu", x), m.node("Transpose", piece(m, both, 16, 32), perm=[1, 0]))
    m.macs += 256 * 16 * 40 * 2
    x = m.node("ReduceMean", x, axes=[1], keepdims=0)
    x = m.node("Gemm", x, m.node("Concat", m.weight([6, 16]), m.weight([4, 16]), axis=0), m.weight([10]), transB=1)
    m.macs += 10 * 16
    return m.model(x), m.parameters, m.macs


def unnamed_images():
    """Colour before the map under names that say nothing, and behind it without any names: 224 by 224 each."""
    m = Counted("unnamed_images")
    a = m.input("colour", ["DynamicDimension.0", 3, "DynamicDimension.1", "DynamicDimension.2"])
    b = m.node("Transpose", m.input("grey", [None, None, None, 1]), perm=[0, 3, 1, 2])
    maps = [m.convolution(x, 112 * 112, c, 8, 3, 3, pads=[1] * 4, strides=[2, 2]) for x, c in ((a, 3), (b, 1))]
    x = m.node("Flatten", m.node("Concat", *[m.node("GlobalAveragePool", x) for x in maps], axis=1))
    return m.model(m.product(x, 1, 16, 10)), m.parameters, m.macs


def shared_gates(mixed=False):
    """Two layers with the same weights, arranged, and a bias of zeros that the graph makes. `mixed`: only some are the same."""
    m = Counted("shared_gates")
    h, t = 32, 20
    x = m.input("x", [t, "batch", h])
    w, r, other = (leading(m, gates(m, m.weight([4 * h, h]), h, (0, 3, 1, 2))) for _ in "wro")
    m.parameters -= 0 if mixed else 4 * h * h
    zeros = m.node("ConstantOfShape", m.constant([1, 8 * h]))
    for i in range(2):
        y = m.node("LSTM", x, w, other if mixed and i else r, zeros, outputs=3, hidden_size=h)[0]
        x = m.node("Squeeze", y, m.constant([1]))
        m.macs += t * 4 * h * 2 * h
    return m.model(x), m.parameters, m.macs


def read_twice():
    """Rows of a weight of which a product and a layer that computes read some each: it stays one weight."""
    m = Counted("read_twice")
    table = m.weight([32, 16])
    x = m.node("MatMul", m.input("x", ["batch", 9, 16]), piece(m, table, 0, 16))
    m.macs += 9 * 16 * 16
    return m.model(m.node("Add", x, piece(m, table, 16, 25))), m.parameters, m.macs


arranged = {"arranged_gates": (arranged_gates, {}), "arranged_products": (arranged_products, {}),
            "unnamed_images": (unnamed_images, {}), "read_twice": (read_twice, {}), "shared_gates": (shared_gates, {})}
