"""Transformers as several exporters write them, which a plan over heads and inner features divides with two sums per block: fused
products that are cut by Split or by slices, sums of products in Einstein's notation, rows of a matrix, caches of an encoder and a
decoder, tied tables. Beside them, what a plan of two devices sends for one sample, by the closed form."""
import math

import numpy
from onnx import TensorProto

from composed import INT64, Counted
from exported import dims_of, rms_norm, scalar

HALF = 2  # bytes of a number in half precision


def summed(*elements):
    """Bytes that two members send for all-reduces of as many elements: 2 (p − 1) / p of them each (Thakur et al. 2005)."""
    return sum(elements) * 2 * HALF


def gelu(m, x):
    erf = m.node("Erf", m.node("Div", x, scalar(m, math.sqrt(2))))
    return m.node("Mul", m.node("Mul", x, m.node("Add", erf, scalar(m, 1.0))), scalar(m, 0.5))


def fused(cut):
    """One product for queries, keys and values and one for gate and up; a mask that compares positions; tables of angles."""
    def make():
        m = Counted("fused_" + cut, 14)
        h, heads, groups, inner, blocks, v, s = 256, 8, 2, 512, 2, 1000, 512
        d = h // heads
        tokens, at = (m.input(n, ["batch_size", "sequence_length"], INT64) for n in ("input_ids", "position_ids"))
        x = m.node("Gather", m.weight([v, h]), tokens)
        batch, length = dims_of(m, tokens, 0, 1)
        places = m.node("Range", m.constant(0), m.node("Squeeze", length, m.constant([0])), m.constant(1))
        later = m.node("Greater", m.node("Unsqueeze", places, m.constant([0])), m.node("Unsqueeze", places, m.constant([1])))
        cos, sin = (m.node("Unsqueeze", m.node("Gather", m.weight([4096, d]), at), m.constant([1])) for _ in "cs")

        def pieces(y, *sizes, axis=2):
            if cut == "split" and axis == 2:
                return m.node("Split", y, m.constant(sizes), axis=-1, outputs=len(sizes))
            ends = numpy.cumsum(sizes)
            return [m.node("Slice", y, m.constant([e - n]), m.constant([e]), m.constant([axis])) for n, e in zip(sizes, ends)]

        def heads_of(y, n):
            y = m.node("Reshape", y, m.node("Concat", batch, length, m.constant([n]), m.constant([d]), axis=0))
            return m.node("Transpose", y, perm=[0, 2, 1, 3])

        def rotated(y):
            first, second = pieces(y, d // 2, d // 2, axis=3)
            turned = m.node("Concat", m.node("Neg", second), first, axis=3)
            return m.node("Add", m.node("Mul", y, cos), m.node("Mul", turned, sin))

        def repeated(y):
            wide = m.node("Concat", batch, m.constant([groups]), m.constant([heads // groups]), length, m.constant([d]), axis=0)
            y = m.node("Expand", m.node("Unsqueeze", y, m.constant([2])), wide)
            return m.node("Reshape", y, m.node("Concat", batch, m.constant([heads]), length, m.constant([d]), axis=0))

        for _ in range(blocks):
            y = m.product(rms_norm(m, x, h), s, h, h + 2 * groups * d, bias=False)
            q, k, u = pieces(y, h, groups * d, groups * d)
            q, k, u = rotated(heads_of(q, heads)), repeated(rotated(heads_of(k, groups))), repeated(heads_of(u, groups))
            scores = m.node("Mul", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2])), scalar(m, d ** -0.5))
            y = m.node("MatMul", m.node("Softmax", m.node("Where", later, scalar(m, -3e38), scores), axis=-1), u)
            m.macs += 2 * s * s * h
            y = m.node("Transpose", y, perm=[0, 2, 1, 3])
            y = m.node("Reshape", y, m.node("Concat", batch, length, m.constant([h]), axis=0))
            x = m.node("Add", x, m.product(y, s, h, h, bias=False))
            gate, up = pieces(m.product(rms_norm(m, x, h), s, h, 2 * inner, bias=False), inner, inner)
            y = m.node("Mul", up, m.node("Mul", gate, m.node("Sigmoid", gate)))
            x = m.node("Add", x, m.product(y, s, inner, h, bias=False))
        logits = m.product(rms_norm(m, x, h), s, h, v, bias=False)
        # Each table is divided by its rows; the logits stay divided.
        return m.model(logits), m.parameters, m.macs, summed(*[s * h] * (2 * blocks + 1), *[s * d] * 2)
    return make


def decoder_with_caches():
    """T5's: distances from positions, keys and values of the text so far and of the encoder, the table of tokens again for logits."""
    m = Counted("decoder_with_caches", 13)
    h, heads, v, past, t, blocks = 128, 4, 500, 15, 24, 2
    d = h // heads
    tokens = m.input("input_ids", ["batch_size", "decoder_sequence_length"], INT64)
    mask = m.input("encoder_attention_mask", ["batch_size", "encoder_sequence_length"], INT64)
    lengths = {"decoder": "past_decoder_sequence_length", "encoder": "encoder_sequence_length"}
    kept = [[m.input(f"past_key_values.{i}.{side}.{kind}", ["batch_size", heads, lengths[side], d])
             for side in lengths for kind in ("key", "value")] for i in range(blocks)]
    table = m.weight([v, h])
    x = m.node("Gather", table, tokens)
    batch, length = dims_of(m, tokens, 0, 1)
    total = m.node("Add", dims_of(m, kept[0][0], 2)[0], length)
    places = m.node("Range", m.constant(0), m.node("Squeeze", total, m.constant([0])), m.constant(1))
    apart = m.node("Sub", m.node("Unsqueeze", places, m.constant([0])), m.node("Unsqueeze", places, m.constant([1])))
    bucket = m.node("Min", m.node("Neg", m.node("Min", apart, m.constant(0))), m.constant(31))
    near = m.node("Transpose", m.node("Gather", m.weight([32, heads]), bucket), perm=[2, 0, 1])
    near = m.node("Slice", m.node("Unsqueeze", near, m.constant([0])), m.node("Neg", length), m.constant([2 ** 62]), m.constant([2]))
    wide = m.node("Cast", m.node("Unsqueeze", mask, m.constant([1, 2])), to=TensorProto.FLOAT)
    padding = m.node("Mul", m.node("Sub", scalar(m, 1.0), wide), scalar(m, -3e38))

    def heads_of(y):
        y = m.node("Reshape", y, m.node("Concat", batch, m.constant([-1]), m.constant([heads]), m.constant([d]), axis=0))
        return m.node("Transpose", y, perm=[0, 2, 1, 3])

    def attended(q, k, u, added, n):
        scores = m.node("Add", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 1, 3, 2])), added)
        y = m.node("Transpose", m.node("MatMul", m.node("Softmax", scores, axis=-1), u), perm=[0, 2, 1, 3])
        m.macs += 2 * n * h
        y = m.node("Reshape", y, m.node("Concat", batch, m.constant([-1]), m.constant([h]), axis=0))
        return m.product(y, 1, h, h, bias=False)

    presents = []
    for keys, values, memory_keys, memory_values in kept:
        q, k, u = (heads_of(m.product(y, 1, h, h, bias=False)) for y in [rms_norm(m, x, h)] * 3)
        presents += [m.node("Concat", keys, k, axis=2), m.node("Concat", values, u, axis=2)]
        x = m.node("Add", x, attended(q, *presents[-2:], near, past + 1))
        q = heads_of(m.product(rms_norm(m, x, h), 1, h, h, bias=False))
        x = m.node("Add", x, attended(q, memory_keys, memory_values, padding, t))
        y = m.node("Relu", m.product(rms_norm(m, x, h), 1, h, 4 * h, bias=False))
        x = m.node("Add", x, m.product(y, 1, 4 * h, h, bias=False))
    m.macs += h * v
    x = m.node("Mul", rms_norm(m, x, h), scalar(m, h ** -0.5))
    logits = m.node("MatMul", x, m.node("Transpose", table, perm=[1, 0]))
    return m.model(logits, *presents), m.parameters, m.macs, summed(*[h] * (3 * blocks + 1))


def einstein():
    """Keras's attention: each product an Einsum, biases with heads."""
    m = Counted("einstein", 13)
    h, heads, s = 96, 4, 20
    d = h // heads
    x = m.input("x", ["batch", s, h])

    def product(y, equation, weight, bias):
        m.macs += s * h * h
        return m.node("Add", m.node("Einsum", y, m.weight(weight), equation=equation), m.weight(bias))

    q, k, u = (product(x, "abc,cde->abde", [h, heads, d], [heads, d]) for _ in "qku")
    q = m.node("Mul", q, scalar(m, d ** -0.5))
    scores = m.node("Einsum", k, q, equation="aecd,abcd->acbe")
    y = m.node("Einsum", m.node("Softmax", scores, axis=-1), u, equation="acbe,aecd->abcd")
    m.macs += 2 * s * s * h
    y = product(y, "abcd,cde->abe", [heads, d, h], [h])
    return m.model(m.node("Add", x, y)), m.parameters, m.macs, summed(s * h)


def rows():
    """TensorFlow's BERT: rows of a matrix for each product, the bias after they are a tensor again."""
    m = Counted("rows", 13)
    h, heads, s, blocks = 96, 4, 16, 2
    d = h // heads
    tokens, mask = (m.input(n, ["unk__10", s], INT64) for n in ("input_ids:0", "attention_mask:0"))
    x = m.node("Gather", m.weight([300, h]), tokens)
    wide = m.node("Cast", m.node("Reshape", mask, m.constant([-1, 1, 1, s])), to=TensorProto.FLOAT)
    wide = m.node("Mul", m.node("Sub", scalar(m, 1.0), wide), scalar(m, -10000.0))

    def dense(y, i, o):
        m.macs += s * i * o
        y = m.node("MatMul", m.node("Reshape", y, m.constant([-1, i])), m.weight([i, o]))
        return m.node("Add", m.node("Reshape", y, m.constant([-1, s, o])), m.weight([o]))

    for _ in range(blocks):
        q, k, u = (m.node("Transpose", m.node("Reshape", dense(x, h, h), m.constant([-1, s, heads, d])), perm=order)
                   for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
        scores = m.node("Add", m.node("Mul", m.node("MatMul", q, k), scalar(m, d ** -0.5)), wide)
        y = m.node("Transpose", m.node("MatMul", m.node("Softmax", scores, axis=-1), u), perm=[0, 2, 1, 3])
        m.macs += 2 * s * s * h
        x = m.layer_norm(m.node("Add", dense(m.node("Reshape", y, m.constant([-1, s, h])), h, h), x), h)
        x = m.layer_norm(m.node("Add", dense(gelu(m, dense(x, h, 4 * h)), 4 * h, h), x), h)
    # The table is divided by its rows.
    return m.model(x), m.parameters, m.macs, summed(*[s * h] * (2 * blocks + 1))


def speech_encoder():
    """Whisper's: strided convolutions over time, learned positions, heads joined with the batch."""
    m = Counted("speech_encoder", 14)
    h, heads, t, blocks = 128, 4, 1500, 2
    d = h // heads
    x = m.input("input_features", ["batch_size", 80, 2 * t])
    x = gelu(m, m.convolution(x, 2 * t, 80, h, 3, pads=[1, 1]))
    x = gelu(m, m.convolution(x, t, h, h, 3, pads=[1, 1], strides=[2]))
    x = m.node("Add", m.node("Transpose", x, perm=[0, 2, 1]), m.weight([t, h]))
    batch, = dims_of(m, x, 0)
    joined = m.node("Concat", m.node("Mul", batch, m.constant([heads])), m.constant([-1]), m.constant([d]), axis=0)

    def heads_of(y):
        y = m.node("Reshape", y, m.node("Concat", batch, m.constant([-1]), m.constant([heads]), m.constant([d]), axis=0))
        return m.node("Reshape", m.node("Transpose", y, perm=[0, 2, 1, 3]), joined)

    for _ in range(blocks):
        y = m.layer_norm(x, h)
        q = heads_of(m.node("Mul", m.product(y, t, h, h), scalar(m, d ** -0.5)))
        k, u = heads_of(m.product(y, t, h, h, bias=False)), heads_of(m.product(y, t, h, h))
        y = m.node("MatMul", m.node("Softmax", m.node("MatMul", q, m.node("Transpose", k, perm=[0, 2, 1])), axis=-1), u)
        m.macs += 2 * t * t * h
        y = m.node("Reshape", y, m.node("Concat", batch, m.constant([heads]), m.constant([t]), m.constant([d]), axis=0))
        y = m.node("Transpose", y, perm=[0, 2, 1, 3])
        y = m.node("Reshape", y, m.node("Concat", batch, m.constant([t]), m.constant([h]), axis=0))
        x = m.node("Add", x, m.product(y, t, h, h))
        x = m.node("Add", x, m.product(gelu(m, m.product(m.layer_norm(x, h), t, h, 4 * h)), t, 4 * h, h))
    return m.model(m.layer_norm(x, h)), m.parameters, m.macs, summed(*[t * h] * 2 * blocks)


divided = {"fused_split": (fused("split"), {"sequence_length": 512}), "fused_slices": (fused("slices"), {"sequence_length": 512}),
           "decoder_with_caches": (decoder_with_caches, {"decoder_sequence_length": 1, "past_decoder_sequence_length": 15,
                                                         "encoder_sequence_length": 24}),
           "einstein": (einstein, {}), "rows": (rows, {}), "speech_encoder": (speech_encoder, {})}
