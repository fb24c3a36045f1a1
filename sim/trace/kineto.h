/* Kineto: what PyTorch's profiler writes (torch.profiler, export_chrome_trace(),
 * tensorboard_trace_handler()): one JSON file per rank, perhaps compressed, whose `traceEvents` say what ran
 * on the GPU's streams and what the host called, in microseconds (pytorch/kineto,
 * libkineto/src/output_json.cpp, CuptiActivity). Used are
 *
 *     kernel, gpu_memcpy, gpu_memset    what a stream did; of NCCL's kernels what they sent to whom
 *     cuda_runtime, cuda_driver         when the host launched it, waited for it, let streams wait
 *     cuda_sync                         which stream waited for which (if it was recorded)
 *     cpu_op                            record_param_comms: of collectives; FLOPs and shapes of operators
 *     user_annotation ProfilerStep#N    steps
 *     ac2g                              a kernel's launch, where the kernel does not name it (of ROCm)
 *     distributedInfo                   rank, process groups
 *
 * and everything else is counted. In a profile without any kernel, what the host's operators did is used
 * instead. kineto_read() keeps what is used in arrays; kineto_build() makes a rank of
 * a trace of it. Times are whole nanoseconds, which doubles of absolute microseconds cannot hold. */
#ifndef PARTITA_TRACE_KINETO_H
#define PARTITA_TRACE_KINETO_H

#include "input/document.h"
#include "trace/trace.h"

enum { KINETO_NONE = -1 };

/* What a kernel of NCCL does. */
struct kineto_communication {
    int64_t kind;                                 /* as Chakra numbers collectives; KINETO_NONE: a message */
    double size;                                  /* bytes that this rank brings */
    uint32_t name, group;                         /* interned; 0: not given */
    uint32_t description;                         /* of the group */
    int64_t group_size, sequence, source, target; /* KINETO_NONE: not given */
    uint32_t first_rank, rank_count;              /* of the group: in `numbers`; 0: not given */
    uint32_t first_split, split_count;            /* elements for each member, in `numbers` */
    bool cut;                                     /* the list of ranks ends in dots */
};

enum kineto_kind { KINETO_KERNEL, KINETO_COPY, KINETO_SET, KINETO_OPERATOR };

/* Something on a stream of the GPU; in a profile without a GPU an operator on a thread of the host. */
struct kineto_task {
    int64_t start, end;            /* nanoseconds */
    int64_t stream;                /* with the device in the upper 32 bits */
    int64_t correlation, external; /* of its launch; of the operator that launched it; KINETO_NONE */
    double bytes, flops;
    uint32_t name;
    uint32_t communication; /* index; TRACE_NONE: it communicates with nobody that is known */
    enum kineto_kind kind;
    bool nccl;
};

enum kineto_call_kind {
    KINETO_LAUNCH,
    KINETO_RECORD,      /* of an event in a stream */
    KINETO_WAIT,        /* of a stream for an event */
    KINETO_SYNCHRONIZE, /* of the host with an event or a stream */
    KINETO_FINISH       /* of the host with all streams */
};

/* Something that the host called. */
struct kineto_call {
    int64_t start, end, correlation;
    enum kineto_call_kind kind;
};

/* Who waited for what: a stream for an event, or the host. */
struct kineto_wait {
    int64_t correlation; /* of the call */
    int64_t stream;      /* that waits, or that the host waits for; KINETO_NONE: all */
    int64_t on, record;  /* stream and correlation of the record of the event; KINETO_NONE: no event */
    bool host;
};

/* What an operator computes, by the number that its kernels know it by. */
struct kineto_operator {
    int64_t external;
    double flops, bytes;
    uint32_t communication; /* of record_param_comms; TRACE_NONE */
};

struct kineto_group {
    uint32_t name;
    uint32_t first_rank, rank_count; /* in `numbers` */
};

struct kineto_step {
    int64_t start, end;
};

/* What is not used, by what the profiler calls it. */
struct kineto_unused {
    uint32_t name; /* interned */
    uint64_t count;
};
struct kineto_unused_list {
    struct kineto_unused *at;
    uint32_t count, room;
};

struct kineto {
    const char *path;
    int64_t rank, world; /* KINETO_NONE: not given */
    bool host;           /* there is no GPU: all tasks are operators, their streams threads of the host */
    VECTOR(struct kineto_task) tasks;
    VECTOR(struct kineto_call) calls;
    VECTOR(struct kineto_wait) waits;
    VECTOR(struct kineto_operator) operators;
    VECTOR(struct kineto_communication) communications;
    VECTOR(struct kineto_group) groups;
    VECTOR(struct kineto_step) steps;
    struct kineto_unused_list unused;
    VECTOR(int64_t) numbers;
};

/* What became of a trace, summed over its ranks. */
struct kineto_counts {
    uint64_t kernels, copies, collectives, messages; /* copies: also sets of memory */
    uint64_t launches, synchronizations;
    uint64_t recorded_waits, inferred_waits; /* between streams */
    uint64_t operators;                      /* of hosts without a GPU */
    uint64_t unknown_communications;         /* without a word on what they send */
    uint64_t unlaunched;                     /* tasks whose launch is not in the file */
    struct kineto_unused_list unused;
};

/* Whether a file holds such a trace. */
bool kineto_read_is(const char *path);

/* Fills an empty `kineto`. False after reporting at line and column. The second form is over bytes. */
bool kineto_read(struct input *input, struct names *names, const char *path, struct place from,
                 struct kineto *kineto);
bool kineto_read_bytes(struct input *input, struct names *names, const char *path, const void *bytes,
                       size_t length, struct kineto *kineto);
void kineto_fini(struct kineto *kineto);

/* Adds to a table of what is not used. */
void kineto_count(struct kineto_unused_list *list, uint32_t name, uint64_t times);

/* Makes nodes of a rank's tasks and calls, and its process groups in the trace. `rank` has its number and
 * path. Sorts the arrays. False after reporting. */
bool kineto_build(struct input *input, struct trace *trace, struct kineto *kineto, struct trace_rank *rank,
                  struct kineto_counts *counts);

#endif
