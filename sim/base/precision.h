/* Precision: the data types of numbers, by the names the field uses. */
#ifndef PARTITA_BASE_PRECISION_H
#define PARTITA_BASE_PRECISION_H

enum precision { FP64, FP32, TF32, FP16, BF16, FP8, INT8, FP4, INT4, PRECISION_COUNT };

/* NULL-terminated, in the order of the enumeration: "fp64", "fp32", … */
extern const char *const precision_names[PRECISION_COUNT + 1];

/* Bytes that one stored element takes (tf32 is stored in 4 bytes; 4-bit types in half a byte). */
double precision_bytes(enum precision precision);

#endif
