/* Gnuplot: runs a template of plot/ with variables and data files. Everything is written into a folder of its
 * own under the system's temporary folder, which is removed again; the picture is drawn beside its place and
 * then renamed, so a failure leaves an older picture as it was. No shell is involved. */
#ifndef PARTITA_FIGURE_GNUPLOT_H
#define PARTITA_FIGURE_GNUPLOT_H

#include "base/arena.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdio.h>

/* Heights of fonts, in pixels. */
enum { GNUPLOT_FONT = 15 };

struct gnuplot {
    struct arena *arena; /* the caller's */
    const char *output;  /* where the picture goes */
    const char *part;    /* where it is drawn */
    const char *folder;  /* temporary */
    FILE *script;
    VECTOR(FILE *) open; /* data files; owned */
    VECTOR(const char *) files;
};

/* Checks the picture's name (.svg, .png or .pdf), makes the folder and starts the script with terminal and
 * output. Sizes are pixels (of a PDF: hundredths of an inch). False with *error on failure; then nothing is
 * left to close. */
bool gnuplot_open(struct gnuplot *plot, const char *output, int width, int height, struct arena *arena,
                  const char **error);

/* Variables of the template. Texts may hold anything; they are shown as they are. */
void gnuplot_number(struct gnuplot *plot, const char *name, double value);
void gnuplot_text(struct gnuplot *plot, const char *name, const char *text);
/* array name[count] = texts */
void gnuplot_texts(struct gnuplot *plot, const char *name, const char *const *texts, uint32_t count);
/* One more command. */
void gnuplot_command(struct gnuplot *plot, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A data file, and a variable `name` that holds its path. NULL when it cannot be made: gnuplot_run reports.
 */
FILE *gnuplot_data(struct gnuplot *plot, const char *name);
/* A text as a field of a data file. */
void gnuplot_field(FILE *data, const char *text);

/* Loads the template (a path), waits for gnuplot and cleans up. False with *error when gnuplot is missing or
 * fails. */
bool gnuplot_run(struct gnuplot *plot, const char *template, const char **error);
/* Cleans up without drawing. */
void gnuplot_close(struct gnuplot *plot);

#endif
