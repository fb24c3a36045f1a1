"""What quantisers make of a network: QDQ (activations and weights pass through few bits), QOperator (products of few bits), and
dynamic (scales are found when the model runs). The network stays what it was: its layers, parameters and products."""
import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

PRODUCTS = ("MatMul", "Gemm", "Conv")


class Rewriter:
    """Copies a graph's nodes; weights of products become whole numbers in a file that need not exist."""

    def __init__(self, model):
        self.model = onnx.ModelProto.FromString(model.SerializeToString())
        self.graph, self.nodes = self.model.graph, []
        self.weights = {w.name: w for w in self.graph.initializer if w.data_type == TensorProto.FLOAT and len(w.dims) > 1}
        self.known = {w.name for w in self.graph.initializer}
        for node in self.graph.node:  # a table that is turned is as real as the table
            self.known |= set(node.output) if self.known.issuperset(node.input) else set()
        self.whole = {}
        for name, value in (("q_scale", numpy.float32(0.02)), ("q_zero", numpy.uint8(128)), ("q_weight_zero", numpy.int8(0))):
            self.graph.initializer.append(numpy_helper.from_array(numpy.array(value), name))

    def put(self, kind, inputs, output, domain=""):
        self.nodes.append(helper.make_node(kind, inputs, output if isinstance(output, list) else [output], domain=domain))
        return output

    def weight(self, name):
        """The name of the weight in 8 bits."""
        if name not in self.whole:
            old = self.weights[name]
            self.whole[name] = name + "_quantised"
            new = self.graph.initializer.add(name=self.whole[name], data_type=TensorProto.INT8, dims=old.dims)
            new.data_location = TensorProto.EXTERNAL
            new.external_data.add(key="location", value="weights")
        return self.whole[name]

    def done(self):
        read = {i for n in self.nodes for i in n.input}
        kept = [w for w in self.graph.initializer if w.name in read]
        del self.graph.initializer[:], self.graph.node[:]
        self.graph.initializer.extend(kept)
        self.graph.node.extend(self.nodes)
        return self.model


def qdq(model):
    """Each product's inputs, and those of changes of order, in 8 bits."""
    r, made = Rewriter(model), 0
    for node in list(r.graph.node):
        if node.op_type not in (*PRODUCTS, "Transpose") or node.output[0] in r.known:
            r.nodes.append(node)
            continue
        for i, name in enumerate(node.input[:2]):
            made += 1
            if name in r.weights and node.op_type in PRODUCTS:
                node.input[i] = r.put("DequantizeLinear", [r.weight(name), "q_scale", "q_weight_zero"], f"{name}_{made}")
            elif name not in r.known:
                few = r.put("QuantizeLinear", [name, "q_scale", "q_zero"], f"{name}_few{made}")
                node.input[i] = r.put("DequantizeLinear", [few, "q_scale", "q_zero"], f"{name}_again{made}")
        r.nodes.append(node)
    return r.done()


def operators(model):
    """Products as operators on whole numbers."""
    r, made = Rewriter(model), 0
    scale = ["q_scale", "q_zero"]
    for node in list(r.graph.node):
        if node.op_type != "MatMul" or node.input[1] in r.known - set(r.weights):
            r.nodes.append(node)
            continue
        inputs = []
        for name in node.input:
            made += 1
            few = r.weight(name) if name in r.weights else r.put("QuantizeLinear", [name, *scale], f"{name}_few{made}")
            inputs += [few, "q_scale", "q_weight_zero" if name in r.weights else "q_zero"]
        r.put("QLinearMatMul", [*inputs, *scale], node.output[0] + "_few")
        r.put("DequantizeLinear", [node.output[0] + "_few", *scale], node.output[0])
    return r.done()


def dynamic(model):
    """Products with weights: an activation's scale is found first, and multiplies the result with the weight's."""
    r, found = Rewriter(model), {}
    for node in list(r.graph.node):
        if node.op_type != "MatMul" or node.input[1] not in r.weights:
            r.nodes.append(node)
            continue
        x, w, out = *node.input, node.output[0]
        if x not in found:
            found[x] = r.put("DynamicQuantizeLinear", [x], [x + "_few", x + "_scale", x + "_zero"])
        few, scale, zero = found[x]
        r.put("MatMulInteger", [few, r.weight(w), zero, "q_weight_zero"], out + "_whole")
        r.nodes.append(helper.make_node("Cast", [out + "_whole"], [out + "_real"], to=TensorProto.FLOAT))
        r.put("Mul", [scale, "q_scale"], out + "_scale")
        r.put("Mul", [out + "_real", out + "_scale"], out)
    return r.done()


quantisers = {"qdq": qdq, "operators": operators, "dynamic": dynamic}
