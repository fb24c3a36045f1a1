/* Partita: a discrete-event simulator of distributed deep learning. The public interface of libpartita: what
 * the program `partita` can do, one function each. Text goes to `out`, notes and errors to `err`. */
#ifndef PARTITA_H
#define PARTITA_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a call returns, and the program's exit code. */
enum partita_status {
    PARTITA_OK = 0,
    PARTITA_FAILED = 1,    /* the run failed: deadlock, failed self-check, database not written */
    PARTITA_BAD_INPUT = 2, /* a file or an option is wrong; messages with file:line:column went to `err` */
    PARTITA_TOO_LARGE = 3, /* what was run does not fit the devices' memory, and options->must_fit */
};

/* Version of the library, "0.1.0". */
const char *partita_version(void);

/* Folder with topologies/, workloads/ and plot/: $PARTITA_DATA, else where it was installed, else the source
 * tree. */
const char *partita_data_folder(void);

struct partita_options {
    const char *workload;    /* file or shipped name (run, explain) */
    const char *topology;    /* file or shipped name; NULL: the workload's */
    const char *const *sets; /* "key=value" changes of any key of the workload or the topology */
    uint32_t set_count;
    const char *database; /* SQLite file to add the run to; NULL: none */
    bool json;            /* one JSON object instead of the summary */
    bool quiet;           /* no summary */
    bool verbose;         /* seconds of each phase to `err` */
    bool must_fit;        /* run, replicate: PARTITA_TOO_LARGE where a device lacks the memory */
    const char *layer;    /* explain: this layer only */
    int64_t seed;         /* of everything random; 0: the workload's */
    int64_t replications; /* replicate: how many at most */
    double until;         /* replicate: enough when the step time's mean is known to this share; 0: never */
};

/* Simulates a workload. The summary (or JSON) goes to `out`. */
enum partita_status partita_run(const struct partita_options *options, FILE *out, FILE *err);

/* Simulates a workload with something random in it options->replications times, each with its own seed (the
 * workload's, and one more each time), and prints the mean of each metric with its 95 % confidence interval.
 * With a database, each replication is a run in it. */
enum partita_status partita_replicate(const struct partita_options *options, FILE *out, FILE *err);

/* Simulates a workload on several levels of the network, names with commas between them ("fluid,packet"; NULL
 * or "": all), and prints each one's step time, its difference to the fluid level, its events and its cost.
 */
enum partita_status partita_compare_levels(const struct partita_options *options, const char *levels,
                                           FILE *out, FILE *err);

/* Simulates several workloads and prints step time, difference to the first, throughput, MFU and memory of
 * each. Where something is random, options->replications times with the same seeds, and differences of pairs
 * with their 95 % confidence interval. */
enum partita_status partita_compare(const struct partita_options *options, const char *const *workloads,
                                    uint32_t count, FILE *out, FILE *err);

/* Prints how a workload is split, layer by layer: shapes, work, what each device computes and holds, what is
 * communicated and why. A bare model (its name or file) is explained on one device. */
enum partita_status partita_explain(const struct partita_options *options, FILE *out, FILE *err);

/* Prints the names of one kind of thing ("topologies", "devices", "models", "schedules" …), or the kinds if
 * `what` is NULL. */
enum partita_status partita_list(const char *what, bool json, FILE *out, FILE *err);

struct partita_plot_options {
    const char *kind; /* "timeline", "memory" */
    const char *database;
    int64_t run;        /* <= 0: the latest */
    const char *output; /* .svg, .png or .pdf */
    double from, to;    /* seconds of the step; both 0: all */
    const char *ranks;  /* "0,8,16"; NULL: one per stage */
};

/* Draws a figure of a run of a database. */
enum partita_status partita_plot(const struct partita_plot_options *options, FILE *err);

struct partita_collective_options {
    const char *kind;        /* "all-reduce" … */
    const char *topology;    /* file or shipped name */
    const char *const *sets; /* "key=value" changes of any key of the topology or of its parameters */
    uint32_t set_count;
    int64_t ranks;          /* the first devices of the topology; 0: all */
    const char *size;       /* "64MB" or "1MB..1GB" (doubling); NULL: 1KB..1GB */
    const char *algorithms; /* "ring,bruck"; "all": those that apply; NULL: "auto" */
    const char *chunk;      /* size of pieces; NULL: whole */
    bool steps;             /* every transfer is a flow of its own */
    bool json;
    const char *output; /* picture of bus bandwidth against size; NULL: none */
};

/* Runs one collective of many sizes alone on a topology, and prints size, time, algorithm and bus bandwidth.
 */
enum partita_status partita_collective(const struct partita_collective_options *options, FILE *out,
                                       FILE *err);

struct partita_schedule_options {
    const char *schedule; /* a name, or a CSV file of actions */
    int64_t devices, micro_batches, chunks,
        in_flight;      /* 0: 4, 8, as few as there can be, as many as devices */
    const char *times;  /* "1,1,1": seconds of F, I and W on each device; NULL: that */
    const char *format; /* "text", "csv", "transfers": csv with SEND and RECV; NULL: text */
    bool json;
};

/* Runs the order of a pipeline schedule by itself, with free transfers, and prints its makespan beside the
 * closed form and the lower bound, and span, bubble and activations of each device; or writes the order. */
enum partita_status partita_schedule(const struct partita_schedule_options *options, FILE *out, FILE *err);

/* Draws all schedules for so many devices and micro-batches (0: 4 and 8), with what they hold. */
enum partita_status partita_schedule_plot(int64_t devices, int64_t micro_batches, const char *output,
                                          FILE *err);

/* Draws a topology (options->topology, with options->sets) into a picture. */
enum partita_status partita_plot_topology(const struct partita_options *options, const char *output,
                                          FILE *err);

/* Writes a run of a database in another form ("canonical", "chrome", "csv") to `out`. */
enum partita_status partita_export(const char *format, const char *database, int64_t run, FILE *out,
                                   FILE *err);

/* Writes what is planned for a workload as Chakra execution traces, PREFIX.RANK.et and the process groups in
 * PREFIX.json, which partita_run() and other tools replay. `options->workload` may also be a database of
 * results (its name ends in .db): then of a run in it, `run` <= 0: the latest; random durations are those
 * that happened. */
enum partita_status partita_export_trace(const struct partita_options *options, int64_t run,
                                         const char *prefix, FILE *err);

/* Writes a topology or model of another format (a SimGrid XML platform, the output of `nvidia-smi topo -m`,
 * an ASTRA-sim network; a Hugging Face config.json, an ONNX file) or a trace (Chakra, a profile of PyTorch)
 * as a file of Partita's own to `out`. `options->topology` is the file; `sets` change its parameters, or keys
 * of the workload that replays the trace. */
enum partita_status partita_convert(const struct partita_options *options, FILE *out, FILE *err);

/* Writes a trace of any form as Chakra execution traces: PREFIX.RANK.et, and the process groups in
 * PREFIX.json. */
enum partita_status partita_convert_trace(const struct partita_options *options, const char *prefix,
                                          FILE *err);

#ifdef __cplusplus
}
#endif

#endif
