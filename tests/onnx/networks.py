"""Networks in the form in which common exporters write them, made with python3-onnx, and their parameters and
multiply-accumulates counted from the file alone: weights by their sizes, products by the shapes that
onnx.shape_inference finds."""
import math

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


class Maker:
    """Appends nodes; every call gives the name of its output."""

    def __init__(self, name, opset=13):
        self.name, self.opset = name, opset
        self.nodes, self.weights, self.inputs, self.count = [], [], [], 0

    def input(self, name, dims, kind=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, dims))
        return name

    def weight(self, dims, name=None):
        name = name or "w%d" % len(self.weights)
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
        tensor.data_location = TensorProto.EXTERNAL  # in a file that need not exist
        tensor.external_data.add(key="location", value="weights")
        self.weights.append(tensor)
        return name

    def constant(self, values, kind=numpy.int64):
        name = "c%d" % len(self.weights)
        self.weights.append(numpy_helper.from_array(numpy.array(values, kind), name))
        return name

    def node(self, kind, *inputs, outputs=1, **attributes):
        names = ["%s_%d" % (kind.lower(), self.count + i) for i in range(outputs)]
        self.count += outputs
        self.nodes.append(helper.make_node(kind, list(inputs), names, name="/net/%s_%d" % (kind, self.count),
                                           **attributes))
        return names[0] if outputs == 1 else names

    def model(self, *outputs):
        infos = [helper.make_empty_tensor_value_info(o) for o in outputs]
        for info in infos:
            info.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, self.name, self.inputs, infos, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])

    # What exporters write for a framework's layers.
    def conv(self, x, i, o, k, stride=1, groups=1, bias=True, pads=None):
        w = [self.weight([o, i // groups, k, k])] + ([self.weight([o])] if bias else [])
        return self.node("Conv", x, *w, kernel_shape=[k, k], strides=[stride] * 2, group=groups,
                         pads=pads or [k // 2] * 4)

    def batch_norm(self, x, c):
        return self.node("BatchNormalization", x, *[self.weight([c]) for _ in range(4)])

    def linear(self, x, i, o):
        return self.node("Add", self.node("MatMul", x, self.weight([i, o])), self.weight([o]))

    def layer_norm(self, x, h):
        """As decomposed before opset 17."""
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        square = self.node("Pow", centred, self.constant(2.0, numpy.float32))
        variance = self.node("ReduceMean", square, axes=[-1])
        root = self.node("Sqrt", self.node("Add", variance, self.constant(1e-5, numpy.float32)))
        scaled = self.node("Mul", self.node("Div", centred, root), self.weight([h]))
        return self.node("Add", scaled, self.weight([h]))


def resnet50():
    m = Maker("resnet50")
    x = m.input("data", ["N", 3, 224, 224])

    def unit(x, i, o, k, stride=1, relu=True):
        y = m.batch_norm(m.conv(x, i, o, k, stride, bias=False), o)
        return m.node("Relu", y) if relu else y

    x = unit(x, 3, 64, 7, 2)
    x = m.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for mid, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(count):
            s = stride if i == 0 else 1
            y = unit(unit(unit(x, channels, mid, 1), mid, mid, 3, s), mid, 4 * mid, 1, relu=False)
            short = unit(x, channels, 4 * mid, 1, s, relu=False) if i == 0 else x
            x = m.node("Relu", m.node("Add", y, short))
            channels = 4 * mid
    x = m.node("Flatten", m.node("GlobalAveragePool", x))
    return m.model(m.node("Gemm", x, m.weight([1000, 2048]), m.weight([1000]), transB=1))


def mobilenet_v2():
    """With Clip for ReLU6 and the shape computation of a view before the classifier."""
    m = Maker("mobilenet_v2", 11)
    x = m.input("input", ["batch_size", 3, 224, 224])
    low, high = m.constant(0.0, numpy.float32), m.constant(6.0, numpy.float32)

    def unit(x, i, o, k, stride=1, groups=1, clip=True):
        y = m.conv(x, i, o, k, stride, groups)
        return m.node("Clip", y, low, high) if clip else y

    x, channels = unit(x, 3, 32, 3, 2), 32
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                       (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            y = unit(x, channels, channels * t, 1) if t > 1 else x
            y = unit(y, channels * t, channels * t, 3, s if i == 0 else 1, channels * t)
            y = unit(y, channels * t, c, 1, clip=False)
            x = m.node("Add", x, y) if channels == c and (s == 1 or i > 0) else y
            channels = c
    x = m.node("GlobalAveragePool", unit(x, channels, 1280, 1))
    first = m.node("Gather", m.node("Shape", x), m.constant(0), axis=0)
    shape = m.node("Concat", m.node("Unsqueeze", first, axes=[0]), m.constant([-1]), axis=0)
    x = m.node("Reshape", x, shape)
    return m.model(m.node("Gemm", x, m.weight([1000, 1280]), m.weight([1000]), transB=1))


def transformer(m, x, layers, h, heads, inner, mask=None, fixed=None):
    """`fixed`: the shapes of reshapes are constants, as of an export without dynamic axes."""
    d = h // heads
    for _ in range(layers):
        def split(y, order):
            if fixed:
                y = m.node("Reshape", y, m.constant([*fixed, heads, d]))
            else:
                size = m.node("Shape", y)
                batch = m.node("Unsqueeze", m.node("Gather", size, m.constant(0)), m.constant([0]))
                time = m.node("Unsqueeze", m.node("Gather", size, m.constant(1)), m.constant([0]))
                y = m.node("Reshape", y, m.node("Concat", batch, time, m.constant([heads]), m.constant([d]), axis=0))
            return m.node("Transpose", y, perm=order)
        q = split(m.linear(x, h, h), [0, 2, 1, 3])
        k = split(m.linear(x, h, h), [0, 2, 3, 1])
        v = split(m.linear(x, h, h), [0, 2, 1, 3])
        scores = m.node("Div", m.node("MatMul", q, k), m.constant(math.sqrt(d), numpy.float32))
        if mask:
            scores = m.node("Add", scores, mask)
        y = m.node("MatMul", m.node("Softmax", scores, axis=-1), v)
        y = m.node("Transpose", y, perm=[0, 2, 1, 3])
        y = m.node("Reshape", y, m.constant([*fixed, h] if fixed else [0, 0, h]))
        x = m.layer_norm(m.node("Add", m.linear(y, h, h), x), h)
        y = m.linear(x, h, inner)
        erf = m.node("Erf", m.node("Div", y, m.constant(math.sqrt(2), numpy.float32)))
        y = m.node("Mul", m.node("Mul", y, m.node("Add", erf, m.constant(1.0, numpy.float32))),
                   m.constant(0.5, numpy.float32))
        x = m.layer_norm(m.node("Add", m.linear(y, inner, h), x), h)
    return x


def bert_base():
    m = Maker("bert_base")
    h = 768
    tokens = m.input("input_ids", ["batch", "sequence"], TensorProto.INT64)
    mask = m.input("attention_mask", ["batch", "sequence"], TensorProto.INT64)
    types = m.input("token_type_ids", ["batch", "sequence"], TensorProto.INT64)
    wide = m.node("Unsqueeze", mask, m.constant([1, 2]))
    wide = m.node("Sub", m.constant(1.0, numpy.float32), m.node("Cast", wide, to=TensorProto.FLOAT))
    wide = m.node("Mul", wide, m.constant(-10000.0, numpy.float32))
    time = m.node("Unsqueeze", m.node("Gather", m.node("Shape", tokens), m.constant(1)), m.constant([0]))
    places = m.node("Slice", m.constant([list(range(512))]), m.constant([0]), time, m.constant([1]))
    x = m.node("Add", m.node("Gather", m.weight([30522, h]), tokens), m.node("Gather", m.weight([2, h]), types))
    x = m.layer_norm(m.node("Add", x, m.node("Gather", m.weight([512, h]), places)), h)
    x = transformer(m, x, 12, h, 12, 3072, wide)
    first = m.node("Gather", x, m.constant(0), axis=1)
    pooled = m.node("Tanh", m.node("Gemm", first, m.weight([h, h]), m.weight([h]), transB=1))
    return m.model(x, pooled)


def vit_tiny():
    """With a batch that is fixed at 1, as an export without dynamic axes writes it."""
    m = Maker("vit_tiny")
    h = 192
    x = m.conv(m.input("pixels", [1, 3, 224, 224]), 3, h, 16, 16, pads=[0] * 4)
    x = m.node("Transpose", m.node("Reshape", x, m.constant([1, h, 196])), perm=[0, 2, 1])
    x = m.node("Concat", m.weight([1, 1, h]), x, axis=1)
    x = m.node("Add", x, m.weight([1, 197, h]))
    x = transformer(m, x, 12, h, 3, 768, fixed=[1, 197])
    x = m.node("Gather", m.layer_norm(x, h), m.constant(0), axis=1)
    return m.model(m.node("Gemm", x, m.weight([1000, h]), m.weight([1000]), transB=1))


def unet():
    """Transposed convolutions, resizing, joined maps, instance norm."""
    m = Maker("unet")
    x = m.input("image", ["n", 3, 256, 256])

    def block(x, i, o):
        y = m.conv(x, i, o, 3)
        y = m.node("InstanceNormalization", y, m.weight([o]), m.weight([o]))
        return m.node("LeakyRelu", y)

    kept, channels = [], 3
    for o in (32, 64, 128):
        x = block(x, channels, o)
        kept.append((x, o))
        x, channels = m.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), o
    x, channels = block(x, channels, 256), 256
    for index, (skip, o) in enumerate(reversed(kept)):
        if index == 1:
            x = m.node("Resize", x, "", m.constant([1, 1, 2, 2], numpy.float32), mode="nearest")
            x = m.conv(x, channels, o, 1)
        else:
            x = m.node("ConvTranspose", x, m.weight([channels, o, 2, 2]), m.weight([o]), kernel_shape=[2, 2],
                       strides=[2, 2])
        x, channels = block(m.node("Concat", x, skip, axis=1), 2 * o, o), o
    return m.model(m.node("Sigmoid", m.conv(x, channels, 1, 1)))


def tagger():
    """Embedding, two directions of LSTM over time-first steps, a tied projection."""
    m = Maker("tagger")
    table = m.weight([5000, 128], "table")
    tokens = m.input("tokens", ["time", "batch"], TensorProto.INT64)
    x = m.node("Gather", table, tokens)
    y = m.node("LSTM", x, m.weight([2, 1024, 128]), m.weight([2, 1024, 256]), m.weight([2, 2048]), outputs=3,
               hidden_size=256, direction="bidirectional")[0]
    y = m.node("Reshape", m.node("Transpose", y, perm=[0, 2, 1, 3]), m.constant([0, 0, 512]))
    y = m.linear(y, 512, 128)
    return m.model(m.node("MatMul", y, m.node("Transpose", table, perm=[1, 0])))


def quantised():
    """Integer forms: QLinearConv, dynamic quantisation before MatMulInteger, DequantizeLinear of a weight."""
    m = Maker("quantised")

    def whole(dims, kind=TensorProto.INT8):
        name = "q%d" % len(m.weights)
        size = 4 if kind == TensorProto.INT32 else 1
        m.weights.append(TensorProto(name=name, data_type=kind, dims=dims, raw_data=b"\0" * (size * math.prod(dims))))
        return name

    scale, zero, other = m.constant(0.1, numpy.float32), m.constant(0, numpy.uint8), m.constant(0, numpy.int8)
    x = m.node("QuantizeLinear", m.input("image", ["batch", 3, 32, 32]), scale, zero)
    x = m.node("QLinearConv", x, scale, zero, whole([16, 3, 3, 3]), scale, other, scale, zero,
               whole([16], TensorProto.INT32), kernel_shape=[3, 3], pads=[1] * 4)
    x = m.node("DequantizeLinear", x, scale, zero)
    x = m.node("Conv", x, m.node("DequantizeLinear", whole([32, 16, 3, 3]), scale, other), kernel_shape=[3, 3],
               strides=[2, 2], pads=[1] * 4)
    x = m.node("Flatten", m.node("GlobalAveragePool", x))
    integer, s, z = m.node("DynamicQuantizeLinear", x, outputs=3)
    x = m.node("MatMulInteger", integer, whole([32, 10]), z, other)
    x = m.node("Mul", m.node("Cast", x, to=TensorProto.FLOAT), s)
    return m.model(x)


networks = {  # sizes of the symbolic dimensions besides the batch
    "resnet50": (resnet50, {}), "mobilenet_v2": (mobilenet_v2, {}), "bert_base": (bert_base, {"sequence": 128}),
    "vit_tiny": (vit_tiny, {}), "unet": (unet, {}), "tagger": (tagger, {"time": 20}), "quantised": (quantised, {}),
}


def folded(model, shapes):
    """The model with shape computations carried out as far as shapes are known; None when nothing is new."""
    known = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer
             if w.data_type in (TensorProto.INT64, TensorProto.INT32) and math.prod(w.dims) < 10000}
    rest, new = [], 0
    for node in model.graph.node:
        inputs, value = [known.get(i) for i in node.input], None
        axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), None)
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if node.op_type == "Shape" and 0 not in shapes.get(node.input[0], [0]):
            value = numpy.array(shapes[node.input[0]], numpy.int64)
        elif any(i is None for i in inputs):
            pass
        elif node.op_type == "Gather":
            value = numpy.take(inputs[0], inputs[1], axis)
        elif node.op_type == "Unsqueeze":
            value = numpy.expand_dims(inputs[0], tuple(axes or inputs[1]))
        elif node.op_type == "Concat":
            value = numpy.concatenate(inputs, axis)
        elif node.op_type == "Slice":
            given = {a.name: list(a.ints) for a in node.attribute}  # before version 10
            starts, ends, at = (given.get(k, inputs[i] if i < len(inputs) else [0])
                                for i, k in enumerate(("starts", "ends", "axes"), 1))
            value = inputs[0][tuple(slice(int(starts[0]), int(ends[0])) if i == at[0] else slice(None)
                                    for i in range(inputs[0].ndim))]
        elif node.op_type in ("Cast", "Squeeze", "Reshape"):
            value = inputs[0] if node.op_type == "Cast" else inputs[0].reshape(-1 if inputs[0].size > 1 else ())
        if value is None:
            rest.append(node)
        else:
            new += 1
            known[node.output[0]] = value
            model.graph.initializer.append(numpy_helper.from_array(numpy.array(value, numpy.int64), node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(rest)
    return model if new else None


def shapes_of(model, dims):
    """Sizes of all values after the symbolic dimensions are given; those not named are 1."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = dims.get(dim.dim_param, 1)
    while model:
        inferred = onnx.shape_inference.infer_shapes(model)
        shapes = {w.name: list(w.dims) for w in model.graph.initializer}
        for value in [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]:
            if value.type.tensor_type.HasField("shape"):
                shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
        model = folded(model, shapes)
    return shapes


def parameters(model):
    """All weights that are no shape, no number and no running statistics."""
    trained = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8}
    skipped = set()
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            skipped |= set(node.input[3:5])
        if node.op_type == "Resize":
            skipped |= set(node.input[1:])
    biases = {n.input[8] for n in model.graph.node if n.op_type == "QLinearConv"}
    return sum(math.prod(w.dims) for w in model.graph.initializer if w.dims and w.name not in skipped and
               (w.data_type in trained or w.name in biases))


def macs(model, shapes):
    total = 0
    for node in model.graph.node:
        kind, out = node.op_type, node.output[0]
        if kind in ("Conv", "ConvInteger", "QLinearConv"):
            weight = shapes[node.input[3 if kind == "QLinearConv" else 1]]
            total += math.prod(shapes[out]) * math.prod(weight[1:])
        elif kind == "ConvTranspose":
            total += math.prod(shapes[node.input[0]]) * math.prod(shapes[node.input[1]][1:])
        elif kind in ("MatMul", "MatMulInteger", "QLinearMatMul"):
            total += math.prod(shapes[out]) * shapes[node.input[0]][-1]
        elif kind == "Gemm":
            turned = any(a.name == "transA" and a.i for a in node.attribute)
            total += math.prod(shapes[out]) * shapes[node.input[0]][0 if turned else -1]
        elif kind == "Einsum":
            words = next(a.s.decode() for a in node.attribute if a.name == "equation").replace(" ", "").split("->")[0]
            sizes = {c: n for word, name in zip(words.split(","), node.input) for c, n in zip(word, shapes[name])}
            if 0 in sizes.values():
                raise ValueError("sizes that shape inference does not find")
            total += math.prod(sizes.values())
        elif kind in ("LSTM", "GRU", "RNN"):
            steps, batch, inner = shapes[node.input[0]]
            total += steps * batch * (math.prod(shapes[node.input[1]]) + math.prod(shapes[node.input[2]]))
    return total
