/* Units: every quantity inside Partita is SI (bytes, seconds, bytes per second, FLOP per second, watts,
 * joules); inputs and outputs carry the unit. Decimal prefixes are powers of 1000 (GB), binary ones of 1024
 * (GiB); a bit rate (Gbps, Gbit/s) is an eighth of its bytes. */
#ifndef PARTITA_BASE_UNIT_H
#define PARTITA_BASE_UNIT_H

#include <stdbool.h>
#include <stddef.h>

enum unit {
    UNIT_NONE,             /* a plain number */
    UNIT_BYTES,            /* 4 KB, 80 GiB, 100 bit */
    UNIT_BYTES_PER_SECOND, /* 600 GB/s, 200 Gbps */
    UNIT_SECONDS,          /* 1.5 us, 3 ms, 2 min */
    UNIT_FLOPS,            /* FLOP per second: 312 TFLOP/s (TOPS and OP/s are the same: integer operations) */
    UNIT_FLOP,             /* work: 2 GFLOP, 1 GMAC = 2 GFLOP */
    UNIT_WATTS,
    UNIT_JOULES,
    UNIT_PER_SECOND, /* 30 fps, 10 Hz */
    UNIT_COUNT
};

/* Recognises the longest unit symbol at the start of `text`. Returns its length, 0 when there is none. */
size_t unit_parse(const char *text, enum unit *unit, double *scale);

/* What an error message calls it: "a bandwidth with its unit, such as 25 GB/s or 200 Gbps". */
const char *unit_expected(enum unit unit);

/* Writes a value for people, three to four significant digits and a fitting prefix: "21.6 GB/s", "1.53 ms",
 * "64". Returns `buffer`. Non-finite values are written as "inf", "nan". */
const char *unit_format(double value, enum unit unit, char *buffer, size_t size);

/* What a quantity of this unit is: "a bandwidth". */
const char *unit_name(enum unit unit);

/* Nearest unit symbol to a mistyped one, of the wanted kind (UNIT_COUNT: of any kind); NULL if none is near.
 */
const char *unit_nearest(const char *text, enum unit unit);

#endif
