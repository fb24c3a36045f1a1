"""Further networks in the forms that exporters write, with what they have added up while they are made: decoders with a
cache and grouped queries, windows of attention, detectors, vocoders, networks in the order of TensorFlow."""
import math

import numpy
from onnx import TensorProto

from composed import INT64, Counted


def scalar(m, number):
    return m.constant(number, numpy.float32)


def rms_norm(m, x, h):
    root = m.node("Sqrt", m.node("Add", m.node("ReduceMean", m.node("Pow", x, scalar(m, 2.0)), axes=[-1]), scalar(m, 1e-6)))
    return m.node("Mul", m.weight([h]), m.node("Mul", x, m.node("Div", scalar(m, 1.0), root)))


def dims_of(m, x, *axes):
    """Single dimensions of a value as lists of one number, as exporters gather them."""
    shape = m.node("Shape", x)
    return [m.node("Unsqueeze", m.node("Gather", shape, m.constant(a), axis=0), m.constant([0])) for a in axes]


def llama():
    """Rotary positions, keys and values of groups repeated for their heads, a triangle as mask, a gated MLP."""
    m = Counted("llama", 14)
    h, heads, groups, inner, layers, v, s = 256, 8, 2, 688, 2, 3000, 64
    d = h // heads
    tokens, mask = (m.input(n, ["batch_size", "sequence_length"], INT64) for n in ("input_ids", "attention_mask"))
    x = m.node("Gather", m.weight([v, h]), tokens)
    batch, length = dims_of(m, tokens, 0, 1)
    square = m.node("Expand", scalar(m, -1e9), m.node("Concat", length, length, axis=0))
    causal = m.node("Unsqueeze", m.node("Trilu", square, m.constant(1), upper=1), m.constant([0, 1]))
    padding = m.node("Mul", m.node("Sub", scalar(m, 1.0), m.node("Cast", m.node("Unsqueeze", mask, m.constant([1, 2])), to=1)),
                     scalar(m, -1e9))
    causal = m.node("Add", causal, padding)
    places = m.node("Range", m.constant(0), m.node("Squeeze", length, m.constant([0])), m.constant(1))
    angles = m.node("Mul", m.node("Unsqueeze", m.node("Cast", places, to=1), m.constant([1])), m.constant(
        [[10000.0 ** (-i / d) for i in range(0, d, 2)]], numpy.float32))
    m.parameters += d // 2  # the frequencies are an initialiser
    both = m.node("Concat", angles, angles, axis=-1)
    cos, sin = m.node("Cos", both), m.node("Sin", both)

    def rotated(y):
        first = m.node("Slice", y, m.constant([0]), m.constant([d // 2]), m.constant([3]))
        second = m.node("Slice", y, m.constant([d // 2]), m.constant([2 ** 62]), m.constant([3]))
        turned = m.node("Concat", m.node("Neg", second), first, axis=3)
        return m.node("Add", m.node("Mul", y, cos), m.node("Mul", turned, sin))

    def heads_of(y, n):
        y = m.node("Reshape", y, m.node("Concat", batch, length, m.constant([n]), m.constant([d]), axis=0))
        return m.node("Transpose", y, perm=[0, 2, 1, 3])

    def repeated(y):
        wide = m.node("Concat", batch, m.constant([groups]), m.constant([heads // groups]), length, m.constant([d]), axis=0)
        y = m.node("Expand", m.node("Unsqueeze", y, m.constant([2])), wide)
        return m.node("Reshape", y, m.node("Concat", batch, m.constant([heads]), length, m.constant([d]), axis=0))

    for _ in range(layers):
        y = rms_norm(m, x, h)
        q, k, u = (heads_of(m.product(y, s, h, n * d, bias=False), n) for n in (heads, groups, groups))
        q, k, u = rotated(q), repeated(rotated(k)), repeated(u)
        scores = m.node("Div", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2])), scalar(m, math.sqrt(d)))
        y = m.node("MatMul", m.node("Softmax", m.node("Add", scores, causal), axis=-1), u)
        m.macs += 2 * s * s * h
        y = m.node("Reshape", m.node("Transpose", y, perm=[0, 2, 1, 3]), m.node("Concat", batch, length, m.constant([h]), axis=0))
        x = m.node("Add", x, m.product(y, s, h, h, bias=False))
        y = rms_norm(m, x, h)
        gate = m.product(y, s, h, inner, bias=False)
        gate = m.node("Mul", gate, m.node("Sigmoid", gate))
        x = m.node("Add", x, m.product(m.node("Mul", gate, m.product(y, s, h, inner, bias=False)), s, inner, h, bias=False))
    return m.model(m.product(rms_norm(m, x, h), s, h, v, bias=False)), m.parameters, m.macs


def gpt2():
    """Rows of a matrix for each product, one product for queries, keys and values, a cache, tanh of a polynomial."""
    m = Counted("gpt2", 13)
    h, heads, layers, v, s, past = 192, 6, 2, 1000, 4, 12
    d = h // heads
    tokens = m.input("input_ids", ["batch_size", "sequence_length"], INT64)
    table = m.weight([v, h])
    batch, length = dims_of(m, tokens, 0, 1)
    kept = [m.input("past_%d" % i, [2, "batch_size", heads, "past_sequence_length", d]) for i in range(layers)]
    first = m.node("Gather", kept[0], m.constant(0), axis=0)
    before, = dims_of(m, first, 2)
    start = m.node("Squeeze", before, m.constant([0]))
    places = m.node("Range", start, m.node("Add", start, m.node("Squeeze", length, m.constant([0]))), m.constant(1))
    x = m.node("Add", m.node("Gather", table, tokens), m.node("Gather", m.weight([1024, h]), places))

    def rows(y, i, o):
        m.macs += s * i * o
        y = m.node("Reshape", y, m.constant([-1, i]))
        y = m.node("Gemm", y, m.weight([i, o]), m.weight([o]))
        return m.node("Reshape", y, m.node("Concat", batch, length, m.constant([o]), axis=0))

    presents = []
    for i in range(layers):
        y = m.layer_norm(x, h)
        m.parameters += 0
        parts = m.node("Split", rows(y, h, 3 * h), m.constant([h, h, h]), axis=2, outputs=3)
        cut = m.node("Concat", batch, length, m.constant([heads]), m.constant([d]), axis=0)
        q, k, u = (m.node("Transpose", m.node("Reshape", p, cut), perm=[0, 2, 1, 3]) for p in parts)
        k = m.node("Concat", m.node("Gather", kept[i], m.constant(0), axis=0), k, axis=-2)
        u = m.node("Concat", m.node("Gather", kept[i], m.constant(1), axis=0), u, axis=-2)
        presents.append(m.node("Concat", m.node("Unsqueeze", k, m.constant([0])), m.node("Unsqueeze", u, m.constant([0])), axis=0))
        scores = m.node("Div", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2])), scalar(m, math.sqrt(d)))
        scores = m.node("Where", m.node("Cast", m.constant([[[[1]]]], numpy.uint8), to=TensorProto.BOOL), scores, scalar(m, -1e4))
        y = m.node("MatMul", m.node("Softmax", scores, axis=3), u)
        m.macs += 2 * s * (past + s) * h
        y = m.node("Transpose", y, perm=[0, 2, 1, 3])
        y = m.node("Reshape", y, m.node("Concat", batch, length, m.constant([h]), axis=0))
        x = m.node("Add", rows(y, h, h), x)
        y = rows(m.layer_norm(x, h), h, 4 * h)
        cube = m.node("Mul", m.node("Pow", y, scalar(m, 3.0)), scalar(m, 0.044715))
        tanh = m.node("Tanh", m.node("Mul", m.node("Add", y, cube), scalar(m, 0.7978845608)))
        y = m.node("Mul", m.node("Mul", y, scalar(m, 0.5)), m.node("Add", tanh, scalar(m, 1.0)))
        x = m.node("Add", x, rows(y, 4 * h, h))
    m.macs += s * h * v
    logits = m.node("MatMul", m.layer_norm(x, h), m.node("Transpose", table, perm=[1, 0]))
    return m.model(logits, *presents), m.parameters, m.macs


def cross_attention():
    """Heads joined with the batch (torch.bmm), attention to what an encoder gave."""
    m = Counted("cross_attention", 13)
    h, heads, s, t = 128, 4, 16, 50
    d = h // heads
    x, memory = m.input("x", ["batch", s, h]), m.input("memory", ["batch", t, h])

    def joined(y, n):
        y = m.node("Transpose", m.node("Reshape", y, m.constant([-1, n, heads, d])), perm=[0, 2, 1, 3])
        return m.node("Reshape", y, m.constant([-1, n, d]))

    for source, n in ((x, s), (memory, t)):
        q = m.node("Mul", m.product(x, s, h, h), scalar(m, d ** -0.5))
        q, k, u = joined(q, s), joined(m.product(source, n, h, h), n), joined(m.product(source, n, h, h), n)
        m.macs += 2 * s * n * h
        y = m.node("MatMul", m.node("Softmax", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 2, 1])), axis=-1), u)
        y = m.node("Transpose", m.node("Reshape", y, m.constant([-1, heads, s, d])), perm=[0, 2, 1, 3])
        y = m.product(m.node("Reshape", y, m.constant([-1, s, h])), s, h, h)
        x = m.layer_norm(m.node("Add", x, y), h)
    return m.model(x), m.parameters, m.macs


def windows():
    """Shifted windows of attention with learned distances (Swin), patches joined between stages."""
    m = Counted("windows", 13)
    size, h, heads, w = 16, 64, 2, 8
    d = h // heads
    x = m.convolution(m.input("pixels", ["batch", 3, 64, 64]), size * size, 3, h, 4, 4, strides=[4, 4])
    x = m.node("Transpose", m.node("Reshape", x, m.constant([0, h, size * size])), perm=[0, 2, 1])
    for shift in (0, 4):
        y = m.node("Reshape", m.layer_norm(x, h), m.constant([-1, size, size, h]))
        for axis in (1, 2) if shift else ():
            a = m.node("Slice", y, m.constant([shift]), m.constant([2 ** 62]), m.constant([axis]))
            b = m.node("Slice", y, m.constant([0]), m.constant([shift]), m.constant([axis]))
            y = m.node("Concat", a, b, axis=axis)
        y = m.node("Reshape", y, m.constant([-1, size // w, w, size // w, w, h]))
        y = m.node("Reshape", m.node("Transpose", y, perm=[0, 1, 3, 2, 4, 5]), m.constant([-1, w * w, h]))
        n = size * size
        y = m.node("Reshape", m.product(y, n, h, 3 * h), m.constant([-1, w * w, 3, heads, d]))
        y = m.node("Transpose", y, perm=[2, 0, 3, 1, 4])
        q, k, u = (m.node("Gather", y, m.constant(i), axis=0) for i in range(3))
        q = m.node("Mul", q, scalar(m, d ** -0.5))
        scores = m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2]))
        places = m.constant(list(range(w ** 4)))
        bias = m.node("Reshape", m.node("Gather", m.weight([w ** 4, heads]), places, axis=0), m.constant([w * w, w * w, heads]))
        scores = m.node("Add", scores, m.node("Unsqueeze", m.node("Transpose", bias, perm=[2, 0, 1]), m.constant([0])))
        m.macs += 2 * n * w * w * h
        y = m.node("Transpose", m.node("MatMul", m.node("Softmax", scores, axis=-1), u), perm=[0, 2, 1, 3])
        y = m.product(m.node("Reshape", y, m.constant([-1, w * w, h])), n, h, h)
        y = m.node("Transpose", m.node("Reshape", y, m.constant([-1, size // w, size // w, w, w, h])), perm=[0, 1, 3, 2, 4, 5])
        x = m.node("Add", x, m.node("Reshape", y, m.constant([-1, n, h])))
        y = m.product(m.layer_norm(x, h), n, h, 4 * h)
        erf = m.node("Add", m.node("Erf", m.node("Div", y, scalar(m, math.sqrt(2)))), scalar(m, 1.0))
        y = m.node("Mul", m.node("Mul", y, erf), scalar(m, 0.5))
        x = m.node("Add", x, m.product(y, n, 4 * h, h))
    x = m.node("ReduceMean", m.layer_norm(x, h), axes=[1], keepdims=0)
    m.macs += h * 100
    return m.model(m.node("Gemm", x, m.weight([100, h]), m.weight([100]), transB=1)), m.parameters, m.macs


def detector():
    """A YOLO with a neck that resizes and joins, a distribution over distances, and suppression of boxes."""
    m = Counted("detector", 12)
    x = m.input("images", ["batch", 3, 128, 128])

    def unit(x, at, i, o, k=1, stride=1):
        y = m.convolution(x, at * at, i, o, k, k, strides=[stride] * 2, pads=[k // 2] * 4)
        return m.node("Mul", y, m.node("Sigmoid", y))

    def block(x, at, c):
        a, b = m.node("Split", unit(x, at, c, c), axis=1, split=[c // 2, c // 2], outputs=2)
        y = m.node("Add", b, unit(unit(b, at, c // 2, c // 2, 3), at, c // 2, c // 2, 3))
        return unit(m.node("Concat", a, b, y, axis=1), at, 3 * c // 2, c)

    x = block(unit(unit(x, 64, 3, 16, 3, 2), 32, 16, 32, 3, 2), 32, 32)
    fine = block(unit(x, 16, 32, 64, 3, 2), 16, 64)
    x = unit(block(unit(fine, 8, 64, 64, 3, 2), 8, 64), 8, 64, 32)
    pools = [x]
    for _ in range(3):
        pools.append(m.node("MaxPool", pools[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
    coarse = unit(m.node("Concat", *pools, axis=1), 8, 128, 64)
    up = m.node("Resize", coarse, "", m.constant([1.0, 1.0, 2.0, 2.0], numpy.float32), mode="nearest",
                coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    fine = unit(m.node("Concat", up, fine, axis=1), 16, 128, 64)
    levels = []
    for y, at in ((fine, 16), (coarse, 8)):
        box = m.convolution(unit(y, at, 64, 64, 3), at * at, 64, 64, 1, 1)
        kind = m.convolution(unit(y, at, 64, 80, 3), at * at, 80, 80, 1, 1)
        levels.append(m.node("Reshape", m.node("Concat", box, kind, axis=1), m.constant([0, 144, -1])))
    n = 16 * 16 + 8 * 8
    box, kind = m.node("Split", m.node("Concat", *levels, axis=2), axis=1, split=[64, 80], outputs=2)
    box = m.node("Transpose", m.node("Reshape", box, m.constant([0, 4, 16, n])), perm=[0, 2, 1, 3])
    box = m.convolution(m.node("Softmax", box, axis=1), 4 * n, 16, 1, 1, 1, bias=False)
    box = m.node("Transpose", m.node("Reshape", box, m.constant([0, 4, n])), perm=[0, 2, 1])
    kind = m.node("Sigmoid", kind)
    kept = m.node("NonMaxSuppression", box, kind, m.constant([100]), m.constant([0.5], numpy.float32),
                  m.constant([0.25], numpy.float32))
    which = m.node("Slice", kept, m.constant([2]), m.constant([3]), m.constant([1]))
    chosen = m.node("Gather", m.node("Gather", box, m.constant(0), axis=0), m.node("Squeeze", which, axes=[1]), axis=0)
    return m.model(chosen, kept), m.parameters, m.macs


def vocoder():
    """Transposed and dilated convolutions over time, gates of tanh and sigmoid, a length that nobody says."""
    m = Counted("vocoder", 15)
    x, t, c = m.input("mel", ["batch", 80, "frames"]), 128, 64
    x = m.convolution(x, t, 80, c, 7, pads=[3, 3])
    for stride in (8, 4):
        x = m.node("LeakyRelu", x, alpha=0.1)
        m.macs += t * c * (c // 2) * 2 * stride
        x = m.node("ConvTranspose", x, m.weight([c, c // 2, 2 * stride]), m.weight([c // 2]), kernel_shape=[2 * stride],
                   strides=[stride], pads=[stride // 2] * 2)
        t, c = t * stride, c // 2
        for dilation in (1, 3):
            y = m.convolution(x, t, c, 2 * c, 3, dilations=[dilation], pads=[dilation] * 2)
            a, b = m.node("Split", y, m.constant([c, c]), axis=1, outputs=2)
            y = m.node("Mul", m.node("Tanh", a), m.node("Sigmoid", b))
            x = m.node("Add", x, m.convolution(y, t, c, c, 1))
    x = m.node("Tanh", m.convolution(x, t, c, 1, 7, pads=[3, 3]))
    return m.model(x), m.parameters, m.macs


def channels_last():
    """As tf2onnx writes it: the input turned, padding in a node, squeeze and excitation, sizes for Resize from Shape."""
    m = Counted("channels_last", 11)
    x = m.node("Transpose", m.input("input_1:0", ["unk__12", 96, 96, 3]), perm=[0, 3, 1, 2])
    x = m.node("Pad", x, m.constant([0, 0, 0, 0, 0, 0, 1, 1]), scalar(m, 0.0))
    x = m.node("Clip", m.convolution(x, 48 * 48, 3, 24, 3, 3, strides=[2, 2]), scalar(m, 0.0), scalar(m, 6.0))
    y = m.convolution(x, 48 * 48, 24, 24, 3, 3, groups=24, bias=False, auto_pad="SAME_UPPER")
    y = m.batch_norm(y, 24)
    m.parameters -= 48  # running statistics are no parameters
    gate = m.node("ReduceMean", y, axes=[2, 3], keepdims=1)
    gate = m.convolution(m.node("Relu", m.convolution(gate, 1, 24, 6, 1, 1)), 1, 6, 24, 1, 1)
    y = m.node("Mul", y, m.node("HardSigmoid", gate, alpha=1 / 6))
    size = m.node("Slice", m.node("Shape", x), m.constant([2]), m.constant([4]))
    small = m.node("AveragePool", m.node("Add", x, y), kernel_shape=[4, 4], strides=[4, 4])
    twice = m.node("Concat", m.node("Slice", m.node("Shape", x), m.constant([0]), m.constant([2])), size, axis=0)
    large = m.node("Resize", m.convolution(small, 144, 24, 24, 1, 1), "", "", twice, mode="linear")
    x = m.node("Transpose", m.node("Add", large, y), perm=[0, 2, 3, 1])
    x = m.node("Reshape", x, m.constant([-1, 48 * 48 * 24]))
    m.macs += 48 * 48 * 24 * 5
    return m.model(m.node("Softmax", m.node("Add", m.node("MatMul", x, m.weight([48 * 48 * 24, 5])), m.weight([5])))), \
        m.parameters, m.macs


def super_resolution():
    """Pixel shuffle in its parts, half precision with casts, a residual with a learned scale."""
    m = Counted("super_resolution", 11)
    x = m.node("Cast", m.input("lr", [1, 3, 48, 48]), to=TensorProto.FLOAT16)

    def conv(x, i, o):
        m.macs += 48 * 48 * i * o * 9
        w = [m.weight([o, i, 3, 3], kind=TensorProto.FLOAT16), m.weight([o], kind=TensorProto.FLOAT16)]
        return m.node("Conv", x, *w, kernel_shape=[3, 3], pads=[1] * 4)

    x = conv(x, 3, 32)
    for _ in range(2):
        y = m.node("PRelu", conv(x, 32, 32), m.weight([32, 1, 1], kind=TensorProto.FLOAT16))
        x = m.node("Add", x, m.node("Mul", conv(y, 32, 32), m.weight([1, 32, 1, 1], kind=TensorProto.FLOAT16)))
    x = m.node("Reshape", conv(x, 32, 12), m.constant([-1, 3, 2, 2, 48, 48]))
    x = m.node("Reshape", m.node("Transpose", x, perm=[0, 1, 4, 2, 5, 3]), m.constant([-1, 3, 96, 96]))
    return m.model(m.node("Cast", x, to=TensorProto.FLOAT)), m.parameters, m.macs


def relative():
    """Distances in buckets, computed from positions, whose values are learned (T5); no scale, no bias."""
    m = Counted("relative", 13)
    h, heads, s = 96, 4, 24
    d = h // heads
    tokens = m.input("input_ids", ["batch", "encoder_sequence_length"], INT64)
    x = m.node("Gather", m.weight([500, h]), tokens)
    batch, length = dims_of(m, tokens, 0, 1)
    places = m.node("Range", m.constant(0), m.node("Squeeze", length, m.constant([0])), m.constant(1))
    apart = m.node("Sub", m.node("Unsqueeze", places, m.constant([0])), m.node("Unsqueeze", places, m.constant([1])))
    after = m.node("Mul", m.node("Cast", m.node("Greater", apart, m.constant(0)), to=INT64), m.constant(16))
    apart = m.node("Abs", apart)
    far = m.node("Log", m.node("Div", m.node("Cast", apart, to=1), scalar(m, 8.0)))
    far = m.node("Add", m.node("Cast", m.node("Mul", m.node("Div", far, scalar(m, math.log(16))), scalar(m, 8.0)), to=INT64), m.constant(8))
    far = m.node("Min", far, m.constant(15))
    bucket = m.node("Add", after, m.node("Where", m.node("Less", apart, m.constant(8)), apart, far))
    bias = m.node("Gather", m.weight([32, heads]), bucket)
    bias = m.node("Unsqueeze", m.node("Transpose", bias, perm=[2, 0, 1]), m.constant([0]))
    for _ in range(2):
        y = rms_norm(m, x, h)
        cut = m.node("Concat", batch, m.constant([-1]), m.constant([heads]), m.constant([d]), axis=0)
        q, k, u = (m.node("Transpose", m.node("Reshape", m.product(y, s, h, h, bias=False), cut), perm=[0, 2, 1, 3]) for _ in "qku")
        scores = m.node("Add", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2])), bias)
        m.macs += 2 * s * s * h
        y = m.node("Transpose", m.node("MatMul", m.node("Softmax", scores, axis=-1), u), perm=[0, 2, 1, 3])
        x = m.node("Add", x, m.product(m.node("Reshape", y, m.constant([0, 0, h])), s, h, h, bias=False))
    return m.model(rms_norm(m, x, h)), m.parameters, m.macs


exported = {"llama": (llama, {"sequence_length": 64}),
            "gpt2": (gpt2, {"sequence_length": 4, "past_sequence_length": 12}), "cross_attention": (cross_attention, {}),
            "windows": (windows, {}), "detector": (detector, {}), "vocoder": (vocoder, {"frames": 128}),
            "channels_last": (channels_last, {}), "super_resolution": (super_resolution, {}),
            "relative": (relative, {"encoder_sequence_length": 24})}
