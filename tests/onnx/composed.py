"""Networks with subgraphs, functions, sequences and operators of an optimiser, as exporters and optimisers write them,
beside the counts that their builder knows: a list of (parameters, multiply-accumulates) added up layer by layer while
the network is made, never read back from the file."""
import math

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from networks import Maker

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MS = "com.microsoft"


class Counted(Maker):
    """A Maker that adds up what its layers have."""

    def __init__(self, name, opset=17):
        super().__init__(name, opset)
        self.parameters = self.macs = 0
        self.functions = []
        self.domains = {MS: 1}

    def weight(self, dims, name=None, kind=FLOAT, counts=True):
        name = name or "w%d" % len(self.weights)
        tensor = TensorProto(name=name, data_type=kind, dims=dims)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights")
        self.weights.append(tensor)
        self.parameters += math.prod(dims) if counts else 0
        return name

    def fused(self, kind, *inputs, outputs=1, **attributes):
        """A node of an optimiser's domain."""
        result = self.node(kind, *inputs, outputs=outputs, **attributes)
        self.nodes[-1].domain = MS
        return result

    def product(self, x, points, i, o, bias=True):
        """x · W (+ b) at so many points."""
        self.macs += points * i * o
        y = self.node("MatMul", x, self.weight([i, o]))
        return self.node("Add", y, self.weight([o])) if bias else y

    def convolution(self, x, points, i, o, *k, groups=1, bias=True, **attributes):
        self.macs += points * o * (i // groups) * math.prod(k)
        w = [self.weight([o, i // groups, *k])] + ([self.weight([o])] if bias else [])
        return self.node("Conv", x, *w, kernel_shape=list(k), group=groups, **attributes)

    def graph(self, name, outputs, inputs=()):
        """What was made so far since `nodes` was emptied, as a subgraph."""
        infos = [helper.make_empty_tensor_value_info(o) for o in outputs]
        return helper.make_graph(self.nodes, name, list(inputs), infos)

    def model(self, *outputs):
        model = super().model(*outputs)
        model.functions.extend(self.functions)
        for domain, version in self.domains.items():
            model.opset_import.append(helper.make_opsetid(domain, version))
        return model


def inside(m, make):
    """The nodes that `make` adds, taken out of the network; and what it returns."""
    kept, m.nodes = m.nodes, []
    result = make()
    nodes, m.nodes = m.nodes, kept
    return nodes, result


def info(name, kind=FLOAT, dims=None):
    return helper.make_tensor_value_info(name, kind, dims)


def value(name):
    return helper.make_empty_tensor_value_info(name)


def voice_activity():
    """An If over the sampling rate, an STFT as a convolution, an LSTM: only one branch counts."""
    m = Counted("voice_activity", 16)
    audio, rate = m.input("input", ["batch", 512]), m.input("sr", [], INT64)
    first, second = m.input("h", [1, "batch", 64]), m.input("c", [1, "batch", 64])
    is_wide = m.node("Equal", rate, m.constant(16000))

    def branch(window):
        hop, bins = window // 2, window // 2 + 1
        steps = (512 - window) // hop + 1
        x = m.node("Unsqueeze", audio, m.constant([1]))
        x = m.convolution(x, steps, 1, 2 * bins, window, strides=[hop], bias=False)
        real, imaginary = m.node("Split", x, axis=1, outputs=2)
        two = m.constant(2.0, numpy.float32)
        x = m.node("Sqrt", m.node("Add", m.node("Pow", real, two), m.node("Pow", imaginary, two)))
        x = m.node("Relu", m.convolution(x, steps, bins, 64, 3, pads=[1, 1]))
        x = m.node("Transpose", x, perm=[2, 0, 1])
        m.macs += steps * 4 * 64 * (64 + 64)
        w = [m.weight([1, 256, 64]), m.weight([1, 256, 64]), m.weight([1, 512])]
        y, h, c = m.node("LSTM", x, *w, "", first, second, outputs=3, hidden_size=64)
        x = m.node("Transpose", m.node("Squeeze", y, m.constant([1])), perm=[1, 2, 0])
        x = m.node("Sigmoid", m.convolution(x, steps, 64, 1, 1))
        return [m.node("ReduceMean", x, axes=[2]), h, c]

    weights = len(m.weights)
    nodes, wide = inside(m, lambda: branch(256))
    counted = m.parameters, m.macs
    then = helper.make_graph(nodes, "then", [], [value(o) for o in wide], m.weights[weights:])
    del m.weights[weights:]
    nodes, narrow = inside(m, lambda: branch(128))
    other = helper.make_graph(nodes, "else", [], [value(o) for o in narrow])
    m.parameters, m.macs = counted  # the wide one has more work
    outputs = m.node("If", is_wide, outputs=3, then_branch=then, else_branch=other)
    return m.model(*outputs), m.parameters, m.macs


def looped():
    """A Loop with a known number of trips that carries a state and collects, beside a Scan."""
    m = Counted("looped", 13)
    x, h = m.input("x", ["batch", 10, 32]), 48
    state = m.node("Expand", m.constant([[0.0] * h], numpy.float32), m.node(
        "Concat", m.node("Slice", m.node("Shape", x), m.constant([0]), m.constant([1])), m.constant([h]), axis=0))
    w, u, table = m.weight([32, h], "w_in"), m.weight([h, h], "w_state"), m.weight([h, 16], "w_out")
    m.macs += 10 * h * (32 + h) + 10 * h * 16 + 10 * 16 * 16

    def body():
        now = m.node("Gather", x, "step", axis=1)
        new = m.node("Tanh", m.node("Add", m.node("MatMul", now, w), m.node("MatMul", "old", u)))
        return [m.node("Identity", "go"), new, m.node("MatMul", new, table)]

    nodes, outs = inside(m, body)
    graph = helper.make_graph(nodes, "body", [info("step", INT64, []), info("go", TensorProto.BOOL, []), info("old")],
                              [value(o) for o in outs])
    _, collected = m.node("Loop", m.constant(10), m.constant(True, numpy.bool_), state, outputs=2, body=graph)

    def scanned():
        return [m.node("Identity", "sum_in"), m.node("MatMul", "row", "w_scan")]

    m.weight([16, 16], "w_scan")
    nodes, outs = inside(m, scanned)
    graph = helper.make_graph(nodes, "scan", [info("sum_in"), info("row")], [value(o) for o in outs])
    zero = m.constant([0.0], numpy.float32)
    m.parameters += h  # the first state is an initialiser too; nobody reads the sum
    _, y = m.node("Scan", zero, collected, outputs=2, body=graph, num_scan_inputs=1)
    return m.model(y), m.parameters, m.macs


def functions():
    """Functions inside functions, with attributes that refer to the caller's."""
    m = Counted("functions", 17)
    m.domains["local"] = 1
    soft = helper.make_function("local", "Soft", ["X"], ["Y"], [
        helper.make_node("Softmax", ["X"], ["Y"])], [helper.make_opsetid("", 17)], ["where"])
    attribute = soft.node[0].attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = "axis", "where", onnx.AttributeProto.INT
    dense = helper.make_function("local", "Dense", ["X", "W", "B"], ["Y"], [
        helper.make_node("MatMul", ["X", "W"], ["product"]), helper.make_node("Add", ["product", "B"], ["sum"]),
        helper.make_node("Soft", ["sum"], ["Y"], domain="local", where=-1)],
        [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    m.functions = [soft, dense]
    x, wide = m.input("x", ["N", 64]), 64
    for out in (128, 32, 10):
        x = m.node("Dense", x, m.weight([wide, out]), m.weight([out]))
        m.nodes[-1].domain = "local"
        m.macs, wide = m.macs + wide * out, out
    return m.model(x), m.parameters, m.macs


def sequences():
    """torch.split and torch.stack as some exports write them."""
    m = Counted("sequences", 13)
    x = m.input("x", ["batch", 96])
    parts = m.node("SplitToSequence", x, m.constant(32), axis=1)
    rows = [m.product(m.node("SequenceAt", parts, m.constant(i)), 1, 32, 8) for i in range(3)]
    joined = m.node("ConcatFromSequence", m.node("SequenceConstruct", *rows), axis=1, new_axis=1)
    return m.model(m.node("ReduceMax", joined, axes=[1])), m.parameters, m.macs


def constants():
    """Weights that stand in Constant nodes."""
    m = Counted("constants", 11)

    def held(dims):
        m.parameters += math.prod(dims)
        name = "held%d" % len(m.nodes)
        tensor = TensorProto(name=name, data_type=FLOAT, dims=dims, raw_data=bytes(4 * math.prod(dims)))
        m.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    x = m.input("x", [-1, 3, 32, 100])
    m.macs += 16 * 50 * 32 * 3 * 9 + 8 * 25 * 32 * 9 * 1 + 8 * 25 * 32 * 24
    x = m.node("Conv", x, held([32, 3, 3, 3]), held([32]), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = m.node("HardSwish", x) if m.opset > 13 else m.node("Mul", x, m.node("HardSigmoid", x))
    x = m.node("Conv", x, held([32, 1, 3, 3]), held([32]), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, group=32)
    x = m.node("Conv", x, held([24, 32, 1, 1]), held([24]), kernel_shape=[1, 1])
    x = m.node("MaxPool", x, kernel_shape=[8, 1], strides=[8, 1])
    x = m.node("Transpose", m.node("Squeeze", x, axes=[2]), perm=[2, 0, 1])
    m.macs += 25 * 2 * 4 * 20 * (24 + 20) + 25 * 40 * 11
    x = m.node("LSTM", x, held([2, 80, 24]), held([2, 80, 20]), held([2, 160]), outputs=3, hidden_size=20,
               direction="bidirectional")[0]
    x = m.node("Reshape", m.node("Transpose", x, perm=[2, 0, 1, 3]), m.constant([0, -1, 40]))
    x = m.node("Softmax", m.node("Add", m.node("MatMul", x, held([40, 11])), held([11])), axis=2)
    return m.model(x), m.parameters, m.macs


def optimised_bert(quantised=False):
    """As the optimiser of ONNX Runtime leaves it: embeddings, attention and norms with their sums in one node each."""
    m = Counted("optimised_bert", 14)
    h, heads, inner, layers, s = 384, 12, 1536, 6, 32
    tokens, types, mask = (m.input(n, ["batch", "sequence"], TensorProto.INT32) for n in ("ids", "types", "mask"))
    tables = [m.weight([d, h]) for d in (1000, 512, 2)]
    x, _ = m.fused("EmbedLayerNormalization", tokens, types, *tables, m.weight([h]), m.weight([h]), mask, outputs=2)
    lengths = m.node("ReduceSum", mask, m.constant([1]), keepdims=0)

    def dense(y, i, o):
        m.macs += s * i * o
        if not quantised:
            return m.node("MatMul", y, m.weight([i, o]))
        return m.fused("DynamicQuantizeMatMul", y, m.weight([i, o], kind=TensorProto.INT8),
                       m.weight([1], counts=False), "")

    for _ in range(layers):
        m.macs += s * h * 3 * h + 2 * s * s * h
        if quantised:
            number = m.constant(1.0, numpy.float32)
            y = m.fused("QAttention", x, m.weight([h, 3 * h], kind=TensorProto.INT8), m.weight([3 * h]), number,
                        number, lengths, num_heads=heads)
        else:
            y = m.fused("Attention", x, m.weight([h, 3 * h]), m.weight([3 * h]), lengths, num_heads=heads)
        x = m.fused("SkipLayerNormalization", dense(y, h, h), x, m.weight([h]), m.weight([h]), m.weight([h]))
        y = m.fused("BiasGelu", dense(x, h, inner), m.weight([inner]))
        x = m.fused("SkipLayerNormalization", dense(y, inner, h), x, m.weight([h]), m.weight([h]), m.weight([h]))
    return m.model(x), m.parameters, m.macs


def quantised_bert():
    return optimised_bert(True)


def decoder_4bit():
    """Grouped queries, 4-bit weights, rotary positions and a cache, as builders of generative models write them."""
    m = Counted("decoder_4bit", 14)
    h, heads, groups, size, inner, layers, v = 256, 8, 2, 32, 704, 3, 2000
    s, past = 1, 15
    tokens = m.input("input_ids", ["batch_size", "sequence_length"], INT64)
    m.input("attention_mask", ["batch_size", "total_sequence_length"], INT64)
    x = m.node("Gather", m.weight([v, h]), tokens)
    total = m.node("Cast", m.node("Gather", m.node("Shape", "attention_mask"), m.constant(1)), to=TensorProto.INT32)
    counts = m.node("Cast", m.node("ReduceSum", "attention_mask", m.constant([1]), keepdims=0), to=TensorProto.INT32)
    cos, sin = (m.weight([4096, size // 2], counts=False) for _ in "cs")

    def dense(y, i, o):
        m.macs += s * i * o
        m.parameters += i * o
        packed = m.weight([o, i // 32, 16], kind=TensorProto.UINT8, counts=False)
        return m.fused("MatMulNBits", y, packed, m.weight([o * i // 32], counts=False), K=i, N=o, bits=4, block_size=32)

    outputs, skip, scale = [], None, m.weight([h])
    for i in range(layers):
        kept = [m.input("past.%d.%s" % (i, n), ["batch_size", groups, "past_sequence_length", size]) for n in "kv"]
        if skip is None:
            y, skip = m.node("SimplifiedLayerNormalization", x, scale, axis=-1), x
        else:
            y, _, _, skip = m.fused("SkipSimplifiedLayerNormalization", skip, x, m.weight([h]), outputs=4)
        q, k, value_ = dense(y, h, heads * size), dense(y, h, groups * size), dense(y, h, groups * size)
        y, *present = m.fused("GroupQueryAttention", q, k, value_, *kept, counts, total, cos, sin, outputs=3,
                              num_heads=heads, kv_num_heads=groups, do_rotary=1)
        outputs += present
        m.macs += 2 * heads * s * (past + s) * size
        y, _, _, skip = m.fused("SkipSimplifiedLayerNormalization", skip, dense(y, heads * size, h), m.weight([h]),
                                outputs=4)
        gate = dense(y, h, inner)
        y = m.node("Mul", m.node("Mul", gate, m.node("Sigmoid", gate)), dense(y, h, inner))
        x = dense(y, inner, h)
    y, _, _, _ = m.fused("SkipSimplifiedLayerNormalization", skip, x, m.weight([h]), outputs=4)
    return m.model(dense(y, h, v), *outputs), m.parameters, m.macs


def quantised_cnn():
    """Integer forms of the quantiser around a residual block, and a layer that optimising has fused."""
    m = Counted("quantised_cnn", 13)
    scale, zero = m.constant(0.1, numpy.float32), m.constant(0, numpy.uint8)
    q = (scale, zero)
    x = m.input("image", ["batch", 3, 32, 32])
    m.macs += 32 * 32 * 16 * 27
    x = m.fused("FusedConv", x, m.weight([16, 3, 3, 3]), m.weight([16]), kernel_shape=[3, 3], pads=[1] * 4,
                activation="Relu")
    x = m.node("QuantizeLinear", x, *q)
    for _ in range(2):
        m.macs += 32 * 32 * 16 * 16 * 9
        y = m.node("QLinearConv", x, *q, m.weight([16, 16, 3, 3], kind=TensorProto.INT8), *q, *q,
                   m.weight([16], kind=TensorProto.INT32), kernel_shape=[3, 3], pads=[1] * 4)
        x = m.fused("QLinearAdd", m.fused("QLinearLeakyRelu", y, *q, *q, alpha=0.1), *q, x, *q, *q)
    x = m.fused("QLinearConcat", *q, x, *q, m.fused("QLinearMul", x, *q, m.fused("QLinearSigmoid", x, *q, *q), *q, *q), *q,
                axis=1)
    x = m.node("Flatten", m.fused("QLinearGlobalAveragePool", x, *q, *q))
    m.macs += 32 * 10
    x = m.fused("QGemm", x, *q, m.weight([10, 32], kind=TensorProto.INT8), *q, m.weight([10], kind=TensorProto.INT32),
                transB=1)
    return m.model(x), m.parameters, m.macs


composed = {"voice_activity": (voice_activity, {}), "looped": (looped, {}), "functions": (functions, {}),
            "sequences": (sequences, {}), "constants": (constants, {}), "optimised_bert": (optimised_bert, {"sequence": 32}),
            "quantised_bert": (quantised_bert, {"sequence": 32}), "quantised_cnn": (quantised_cnn, {}),
            "decoder_4bit": (decoder_4bit, {"sequence_length": 1, "past_sequence_length": 15})}
