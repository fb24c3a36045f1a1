/* Kernel kinds: what a device's efficiencies are stated for. Named in device files under `efficiency:`. */
#ifndef PARTITA_BASE_KERNEL_H
#define PARTITA_BASE_KERNEL_H

enum kernel_kind {
    KERNEL_MATMUL,    /* fully connected, projections, logits, recurrent gates */
    KERNEL_CONV,      /* dense or grouped convolution */
    KERNEL_DEPTHWISE, /* one input channel per output channel */
    KERNEL_ATTENTION, /* the two products of the attention core */
    KERNEL_MEMORY, /* everything else: point-wise, norms, softmax, pooling, look-ups, optimizer; bytes decide
                    */
    KERNEL_COUNT
};

/* NULL-terminated: "matmul", "conv", "depthwise", "attention", "memory". */
extern const char *const kernel_names[KERNEL_COUNT + 1];

#endif
