#include "program/program.h"

const char *const program_kind_names[OP_KIND_COUNT + 1] = {"compute", "send", "receive", "collective", 0};
const char *const program_pass_names[PASS_COUNT + 1] = {"F", "I", "W", "B", "R", "O", "S", "-", "D", 0};
const char *const program_memory_names[] = {"parameters",  "gradients",   "optimizer",
                                            "activations", "temporaries", "communication",
                                            "gathered",    "cache",       0};
