"""What the classes of transformers are made of: every module with its weights, by architecture.

Written from the library's modeling files and their configuration classes, knowing nothing of the program. A model is
a list of modules; each has the elements of its weights and the multiplications of one sequence, attention counted
over all pairs of positions (or over a window for each query)."""


class Model:
    """Sums over modules. `s` positions of a sequence."""

    def __init__(self, s):
        self.s, self.parameters, self.macs = s, 0, 0

    def linear(self, inputs, outputs, bias, positions=None, share=1.0, tied=False):
        self.parameters += (0 if tied else inputs * outputs) + (outputs if bias else 0)
        self.macs += (self.s if positions is None else positions) * inputs * outputs * share

    def layer_norm(self, width, affine=True):
        self.parameters += 2 * width if affine else 0

    def rms_norm(self, width):
        self.parameters += width

    def table(self, rows, width):
        self.parameters += rows * width

    def attention(self, heads, key, value, window=None, queries=None, keys=None):
        queries, keys = queries or self.s, keys or self.s
        seen = keys if not window else min(window, keys)
        self.macs += queries * seen * heads * (key + value)


def get(c, names, default):
    """The first of the names that is there, null included."""
    for name in names.split("|"):
        if name in c:
            return c[name]
    return default


def labels(c):
    return len(c["id2label"]) if c.get("id2label") is not None else c.get("num_labels", 2)


def class_of(c, default):
    return (c.get("architectures") or [default])[0]


def decoder_head(m, c, width, vocabulary, tied, default="ForCausalLM"):
    name = class_of(c, default)
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        m.linear(width, vocabulary, False, tied=tied)
    elif name.endswith("ForSequenceClassification"):
        m.linear(width, labels(c), False)
    elif name.endswith("ForTokenClassification"):
        m.linear(width, labels(c), True)
    elif name.endswith("ForQuestionAnswering"):
        m.linear(width, 2, True)
    else:
        assert name.endswith("Model"), name


# ---- descendants of Llama ----

KV_HEADS = {"llama": None, "mistral": 8, "mixtral": 8, "qwen2": 32, "qwen3": 32, "qwen2_moe": 16, "qwen3_moe": 4,
            "gemma": 16, "gemma2": 4, "phi3": None}
HEAD_DIM = {"qwen3": 128, "gemma": 256, "gemma2": 256}
TIED = {"gemma", "gemma2"}


def windows(c):
    """Of each block the positions that a query sees; None: all before it."""
    kind, blocks = c["model_type"], c["num_hidden_layers"]
    if kind in ("mistral", "gemma2"):
        size = get(c, "sliding_window", 4096)
    elif kind in ("mixtral", "phi3"):
        size = c.get("sliding_window")
    elif kind.startswith("qwen"):
        size = get(c, "sliding_window", 4096) if c.get("use_sliding_window") else None
    else:
        size = None
    types = c.get("layer_types")
    limit = c.get("max_window_layers", 28)
    if types is None:
        slides = {"gemma2": lambda i: i % 2 == 0,
                  "qwen2": lambda i: i >= limit, "qwen3": lambda i: i >= limit,
                  "qwen2_moe": lambda i: i % 2 == 0 and i < limit}.get(kind, lambda i: True)
        types = ["sliding_attention" if slides(i) else "full_attention" for i in range(blocks)]
    return [size if t == "sliding_attention" else None for t in types]


def llama_mlp(m, width, inner, bias, share=1.0):
    for inputs, outputs in ((width, inner), (width, inner), (inner, width)):
        m.linear(inputs, outputs, bias, share=share)


def experts(m, count, chosen, width, inner):
    """A token passes through `chosen` of `count`."""
    for _ in range(count):
        llama_mlp(m, width, inner, False, chosen / count)


def is_sparse(c, i):
    """Whether block i of a Qwen mixture has experts."""
    return (i not in (c.get("mlp_only_layers") or []) and c["num_experts"] > 0 and
            (i + 1) % c.get("decoder_sparse_step", 1) == 0)


def llama_like(c, s):
    m, kind = Model(s), c["model_type"]
    h, heads, vocabulary = c["hidden_size"], c["num_attention_heads"], c["vocab_size"]
    groups = get(c, "num_key_value_heads", KV_HEADS[kind])
    groups = heads if groups is None else groups
    d = get(c, "head_dim", HEAD_DIM.get(kind))
    d = h // heads if d is None else d
    qkv_bias = {"qwen2": True, "qwen2_moe": c.get("qkv_bias", True), "mistral": False, "mixtral": False,
                "phi3": False}.get(kind, c.get("attention_bias", False))
    out_bias = kind in ("llama", "qwen3", "qwen3_moe", "gemma", "gemma2") and c.get("attention_bias", False)
    m.table(vocabulary, h)
    for i, window in enumerate(windows(c)):
        m.rms_norm(h)
        for outputs in (heads * d, groups * d, groups * d):
            m.linear(h, outputs, qkv_bias)
        if kind.startswith("qwen3"):
            m.rms_norm(d), m.rms_norm(d)
        m.attention(heads, d, d, window)
        m.linear(heads * d, h, out_bias)
        m.rms_norm(h)
        if kind == "gemma2":
            m.rms_norm(h), m.rms_norm(h)
        if kind == "mixtral":
            count = c.get("num_local_experts", 8)
            m.linear(h, count, False)
            experts(m, count, c.get("num_experts_per_tok", 2), h, c["intermediate_size"])
        elif kind.endswith("_moe") and is_sparse(c, i):
            m.linear(h, c["num_experts"], False)
            experts(m, c["num_experts"], c["num_experts_per_tok"], h, c["moe_intermediate_size"])
            if kind == "qwen2_moe":
                llama_mlp(m, h, c["shared_expert_intermediate_size"], False)
                m.linear(h, 1, False)
        else:
            llama_mlp(m, h, c["intermediate_size"], kind == "llama" and c.get("mlp_bias", False))
    m.rms_norm(h)
    decoder_head(m, c, h, vocabulary, c.get("tie_word_embeddings", kind in TIED))
    return m


def deepseek(c, s):
    m, third = Model(s), c["model_type"] == "deepseek_v3"
    h, heads = c["hidden_size"], c["num_attention_heads"]
    nope, rope, value = c.get("qk_nope_head_dim", 128), c.get("qk_rope_head_dim", 64), c.get("v_head_dim", 128)
    query, key, bias = get(c, "q_lora_rank", 1536), c.get("kv_lora_rank", 512), c.get("attention_bias", False)
    routed, shared = get(c, "n_routed_experts", 256 if third else 64), get(c, "n_shared_experts", 1 if third else 2)
    inner = c.get("moe_intermediate_size", 2048 if third else 1407)
    m.table(c["vocab_size"], h)
    for i in range(c["num_hidden_layers"]):
        m.rms_norm(h)
        if query is None:
            m.linear(h, heads * (nope + rope), False)
        else:
            m.linear(h, query, bias)
            m.rms_norm(query)
            m.linear(query, heads * (nope + rope), False)
        m.linear(h, key + rope, bias)
        m.rms_norm(key)
        m.linear(key, heads * (nope + value), False)
        m.attention(heads, nope + rope, value)
        m.linear(heads * value, h, bias)
        m.rms_norm(h)
        if routed and i >= c.get("first_k_dense_replace", 3 if third else 0) and i % c.get("moe_layer_freq", 1) == 0:
            m.linear(h, routed, False)
            m.parameters += routed if third else 0  # corrections of the scores
            experts(m, routed, c["num_experts_per_tok"], h, inner)
            if shared:
                llama_mlp(m, h, inner * shared, False)
        else:
            llama_mlp(m, h, c["intermediate_size"], False)
    m.rms_norm(h)
    decoder_head(m, c, h, c["vocab_size"], c.get("tie_word_embeddings", False))
    return m


# ---- older decoders ----

def plain_mlp(m, width, inner, bias):
    m.linear(width, inner, bias)
    m.linear(inner, width, bias)


def self_attention(m, width, heads, qkv_bias, out_bias):
    for _ in range(3):
        m.linear(width, width, qkv_bias)
    m.attention(heads, width // heads, width // heads)
    m.linear(width, width, out_bias)


def gpt2(c, s):
    m = Model(s)
    h, heads = get(c, "n_embd|hidden_size", None), get(c, "n_head|num_attention_heads", None)
    inner = c.get("n_inner")
    m.table(c["vocab_size"], h)
    m.table(get(c, "n_positions|max_position_embeddings", 1024), h)
    for _ in range(get(c, "n_layer|num_hidden_layers", None)):
        m.layer_norm(h)
        self_attention(m, h, heads, True, True)
        m.layer_norm(h)
        if c.get("add_cross_attention"):
            m.layer_norm(h)
            self_attention(m, h, heads, True, True)
        plain_mlp(m, h, 4 * h if inner is None else inner, True)
    m.layer_norm(h)
    decoder_head(m, c, h, c["vocab_size"], c.get("tie_word_embeddings", True))
    return m


def gpt_neox(c, s):
    m, h, bias = Model(s), c["hidden_size"], c.get("attention_bias", True)
    m.table(c["vocab_size"], h)
    for _ in range(c["num_hidden_layers"]):
        m.layer_norm(h), m.layer_norm(h)
        self_attention(m, h, c["num_attention_heads"], bias, bias)
        plain_mlp(m, h, c["intermediate_size"], True)
    m.layer_norm(h)
    decoder_head(m, c, h, c["vocab_size"], c.get("tie_word_embeddings", False))
    return m


def opt(c, s):
    m, h = Model(s), c["hidden_size"]
    bias, affine = c.get("enable_bias", True), c.get("layer_norm_elementwise_affine", True)
    before, width = c.get("do_layer_norm_before", True), c.get("word_embed_proj_dim") or h
    m.table(c["vocab_size"], width)
    m.table(c.get("max_position_embeddings", 2048) + 2, h)
    if width != h:
        m.linear(width, h, False), m.linear(h, width, False)
    for _ in range(c["num_hidden_layers"]):
        self_attention(m, h, c["num_attention_heads"], bias, bias)
        plain_mlp(m, h, c["ffn_dim"], bias)
        m.layer_norm(h, affine), m.layer_norm(h, affine)
    if before and not c.get("_remove_final_layer_norm", False):
        m.layer_norm(h, affine)
    decoder_head(m, c, width, c["vocab_size"], c.get("tie_word_embeddings", True))
    return m


def bloom(c, s):
    m, h = Model(s), get(c, "n_embed|hidden_size", None)
    m.table(c["vocab_size"], h)
    m.layer_norm(h)
    for _ in range(get(c, "n_layer|num_hidden_layers", None)):
        m.layer_norm(h), m.layer_norm(h)
        self_attention(m, h, get(c, "n_head|num_attention_heads", None), True, True)
        plain_mlp(m, h, 4 * h, True)
    m.layer_norm(h)
    decoder_head(m, c, h, c["vocab_size"], c.get("tie_word_embeddings", True))
    return m


def falcon(c, s):
    m, h, heads = Model(s), c["hidden_size"], c["num_attention_heads"]
    new, bias, parallel = c.get("new_decoder_architecture", False), c.get("bias", False), c.get("parallel_attn", True)
    groups = get(c, "num_kv_heads|n_head_kv", None) or heads
    if not new:
        groups = 1 if c.get("multi_query", True) else heads
    norms = c.get("num_ln_in_parallel_attn")
    norms = (2 if new else 1) if norms is None else norms
    m.table(c["vocab_size"], h)
    for _ in range(c["num_hidden_layers"]):
        m.linear(h, h, bias)
        m.linear(h, 2 * groups * (h // heads), bias)
        m.attention(heads, h // heads, h // heads)
        m.linear(h, h, bias)
        plain_mlp(m, h, c.get("ffn_hidden_size") or 4 * h, bias)
        for _ in range(2 if not parallel or norms == 2 else 1):
            m.layer_norm(h)
    m.layer_norm(h)
    decoder_head(m, c, h, c["vocab_size"], c.get("tie_word_embeddings", True))
    return m


# ---- encoders ----

def bert(c, s):
    m, kind, h, classes = Model(s), c["model_type"], c["hidden_size"], labels(c)
    name = class_of(c, "BertModel")
    m.table(c["vocab_size"], h)
    m.table(c.get("max_position_embeddings", 512), h)
    m.table(c.get("type_vocab_size", 2), h)
    m.layer_norm(h)
    for _ in range(c["num_hidden_layers"]):
        for _ in range(2 if c.get("add_cross_attention") else 1):
            self_attention(m, h, c["num_attention_heads"], True, True)
            m.layer_norm(h)
        plain_mlp(m, h, c["intermediate_size"], True)
        m.layer_norm(h)
    suffix = name.replace("Roberta", "").replace("Bert", "")
    pooled = ("Model", "ForPreTraining", "ForNextSentencePrediction", "ForMultipleChoice")
    if suffix in pooled or (kind == "bert" and suffix == "ForSequenceClassification"):
        m.linear(h, h, True, 1)
    if suffix in ("ForPreTraining", "ForMaskedLM", "LMHeadModel", "ForCausalLM"):
        m.linear(h, h, True)
        m.layer_norm(h)
        m.linear(h, c["vocab_size"], True, tied=c.get("tie_word_embeddings", True))
    if suffix in ("ForPreTraining", "ForNextSentencePrediction"):
        m.linear(h, 2, True, 1)
    if suffix == "ForMultipleChoice":
        m.linear(h, 1, True, 1)
    if suffix == "ForSequenceClassification":
        if kind == "roberta":
            m.linear(h, h, True, 1)
        m.linear(h, classes, True, 1)
    if suffix in ("ForTokenClassification", "ForQuestionAnswering"):
        m.linear(h, classes, True)
    return m


def t5(c, s):
    m, h, heads, d = Model(s), c["d_model"], c["num_heads"], c.get("d_kv", 64)
    name = class_of(c, "T5ForConditionalGeneration")
    gated = c.get("feed_forward_proj", "relu").startswith("gated-")
    alone = name in ("T5EncoderModel", "T5ForTokenClassification")
    decoders = c.get("num_decoder_layers")
    decoders = 0 if alone else c["num_layers"] if decoders is None else decoders

    def attend():
        m.rms_norm(h)
        for _ in range(3):
            m.linear(h, heads * d, False)
        m.attention(heads, d, d)
        m.linear(heads * d, h, False)

    def feed_forward():
        m.rms_norm(h)
        for _ in range(2 if gated else 1):
            m.linear(h, c["d_ff"], False)
        m.linear(c["d_ff"], h, False)

    m.table(c["vocab_size"], h)
    for side, blocks in enumerate((c["num_layers"], decoders)):
        for _ in range(blocks):
            for _ in range(1 + side):
                attend()
            feed_forward()
        if blocks:
            m.table(c.get("relative_attention_num_buckets", 32), heads)
            m.rms_norm(h)
    if name in ("T5ForConditionalGeneration", "T5WithLMHeadModel"):
        m.linear(h, c["vocab_size"], False, tied=c.get("tie_word_embeddings", True))
    if name == "T5ForSequenceClassification":
        m.linear(h, h, True, 1)
        m.linear(h, labels(c), True, 1)
    if name in ("T5ForTokenClassification", "T5ForQuestionAnswering"):
        m.linear(h, labels(c), True)
    return m


def vit(c, _):
    patch, channels, h = c.get("patch_size", 16), c.get("num_channels", 3), c["hidden_size"]
    patches = (c.get("image_size", 224) // patch) ** 2
    m = Model(patches + 1)
    m.linear(channels * patch * patch, h, True, patches)
    m.table(1, h)  # the class's token
    m.table(patches + 1, h)
    for _ in range(c["num_hidden_layers"]):
        m.layer_norm(h), m.layer_norm(h)
        self_attention(m, h, c["num_attention_heads"], c.get("qkv_bias", True), True)
        plain_mlp(m, h, c["intermediate_size"], True)
    m.layer_norm(h)
    if class_of(c, "ViTForImageClassification") == "ViTModel":
        m.linear(h, c.get("pooler_output_size") or h, True, 1)
    else:
        m.linear(h, labels(c), True, 1)
    return m


ARCHITECTURES = {**dict.fromkeys(KV_HEADS, llama_like), "deepseek_v2": deepseek, "deepseek_v3": deepseek, "gpt2": gpt2,
                 "gpt_neox": gpt_neox, "opt": opt, "bloom": bloom, "falcon": falcon, "bert": bert, "roberta": bert,
                 "t5": t5, "vit": vit}
