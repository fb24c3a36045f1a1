/* Clock: processor time and peak memory of this process. */
#ifndef PARTITA_BENCH_CLOCK_H
#define PARTITA_BENCH_CLOCK_H

#include <sys/resource.h>
#include <time.h>

/* Seconds of processor time. */
static inline double clock_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Peak resident set, million bytes. */
static inline double clock_peak(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss * 1024e-6;
}

#endif
