#include "base/kernel.h"

const char *const kernel_names[KERNEL_COUNT + 1] = {"matmul", "conv", "depthwise", "attention", "memory", 0};
