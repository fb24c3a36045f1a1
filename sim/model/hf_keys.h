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
    {"num_hidden_layers", HF_REPEAT, "layers", NULL}, {"hidden_size", HF_SIZE, "hidden", NULL},              \
        {"num_attention_heads", HF_SIZE, "heads", NULL},                                                     \
    {                                                                                                        \
        "intermediate_size", HF_SIZE, "inner", NULL                                                          \
    }

#define HF_VOCABULARY                                                                                        \
    {                                                                                                        \
        "vocab_size", HF_SIZE, "vocabulary", NULL                                                            \
    }

/* Heads of keys and values: so many where the field is missing, one for each head where it is null. */
#define HF_GROUPS(otherwise)                                                                                 \
    {"num_key_value_heads", HF_SIZE, "groups", otherwise},                                                   \
    {                                                                                                        \
        "num_key_value_heads", HF_NULL, "groups", "heads"                                                    \
    }

/* The size of a head, which null leaves to the width. */
#define HF_HEAD(otherwise)                                                                                   \
    {"head_dim", HF_SIZE, "head", otherwise},                                                                \
    {                                                                                                        \
        "head_dim", HF_NULL, "head", "hidden / heads"                                                        \
    }

/* Positions that a query sees: `otherwise` where the field is missing, all where it is null. */
#define HF_WINDOW(otherwise)                                                                                 \
    {"sliding_window", HF_SIZE, "window", otherwise},                                                        \
    {                                                                                                        \
        "sliding_window", HF_NULL, "window", "0"                                                             \
    }

#endif
