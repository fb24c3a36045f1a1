/* Expression function: the functions that expressions can call. */
#ifndef PARTITA_INPUT_EXPRESSION_FUNCTION_H
#define PARTITA_INPUT_EXPRESSION_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

/* Applied to one argument after the other: first to 0 and the first one, or where there can be several, to
 * the first and the second. A result of NAN is reported by the caller. */
struct expression_function {
    const char *name;
    uint32_t least, most; /* arguments */
    bool keeps_unit;      /* of arguments that have the same; otherwise they are plain numbers */
    bool positive;        /* the argument must be more than 0 */
    double (*apply)(double so_far, double argument);
};

const struct expression_function *expression_function(const char *name); /* NULL: none */
const char *expression_function_nearest(const char *name);               /* NULL: none is near */

#endif
