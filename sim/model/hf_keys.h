/* Hf keys: what tables of several architectures have in common. Internal to hf_*.c. */
#ifndef PARTITA_MODEL_HF_KEYS_H
#define PARTITA_MODEL_HF_KEYS_H

#include "model/hf.h"

/* The last one of a table of keys. */
#define HF_END                                                                                               \
    {                                                                                                        \
        NULL, HF_SIZE, NULL, NULL                                                                            \
    }

/* Blocks of attention and an MLP. */
#define HF_BLOCKS                                                                                            \
    {"num_hidden_layers", HF_SIZE, "layers", NULL}, {"hidden_size", HF_SIZE, "hidden", NULL},                \
        {"num_attention_heads", HF_SIZE, "heads", NULL},                                                     \
    {                                                                                                        \
        "intermediate_size", HF_SIZE, "inner", NULL                                                          \
    }

#define HF_VOCABULARY                                                                                        \
    {                                                                                                        \
        "vocab_size", HF_SIZE, "vocabulary", NULL                                                            \
    }

#define HF_QUANTISED                                                                                         \
    {                                                                                                        \
        "quantization_config", HF_IGNORED, NULL,                                                             \
            "the precision of quantised weights is not read; say it as `precision`"                          \
    }

/* The field that asks for sliding windows in some blocks only, by a rule that is not read. */
#define HF_WINDOW(field)                                                                                     \
    {                                                                                                        \
        field, HF_IGNORED, NULL,                                                                             \
            "which blocks have sliding windows is not read; attention is counted over the whole sequence"    \
    }

#endif
