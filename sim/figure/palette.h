/* Palette: the colours of figures, from Okabe and Ito's set, which readers with a colour vision deficiency
 * can tell apart (https://jfly.uni-koeln.de/color/). Colours are 0xRRGGBB. */
#ifndef PARTITA_FIGURE_PALETTE_H
#define PARTITA_FIGURE_PALETTE_H

#include <stdint.h>

struct palette_pass {
    const char *pass;  /* as in the database: "F" */
    const char *about; /* for the legend: "F forward" */
    uint32_t colour;
};
/* In the order of the legend; passes that share text and colour share an entry. Ends with a NULL pass. */
extern const struct palette_pass palette_passes[];

/* Colour of the index-th communication group of a figure: greys and purples. `name` has a fixed one when it
 * is a usual name. */
uint32_t palette_group(const char *name, uint32_t index);

/* Colour of line `index` of `count`. Up to seven from the set, beyond that a blue-to-yellow ramp. */
uint32_t palette_line(uint32_t index, uint32_t count);

/* What is legible on a colour: black or white. */
uint32_t palette_ink(uint32_t colour);

#endif
