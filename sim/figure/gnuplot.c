#include "figure/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GNUPLOT_MISSING = 127 }; /* exit status of a child that could not become gnuplot */

/* Cairo draws a font of size 72 as high as 96 pixels of a bitmap, or one and a third inch of a PDF, whose
 * pixels are a hundredth of an inch. */
static const struct gnuplot_terminal {
    const char *extension, *name;
    double scale;  /* of the picture's size: pixels to what the terminal counts in */
    double points; /* of a font: per pixel */
} gnuplot_terminals[] = {
    {".png", "pngcairo", 1, 0.75}, {".svg", "svg", 1, 1}, {".pdf", "pdfcairo fontscale 1", 0.01, 0.54}, {0}};

static const struct gnuplot_terminal *gnuplot_find_terminal(const char *output)
{
    const char *dot = strrchr(output, '.');
    for (const struct gnuplot_terminal *terminal = gnuplot_terminals; dot && terminal->name; terminal++)
        if (strcasecmp(dot, terminal->extension) == 0)
            return terminal;
    return NULL;
}

/* A text in single quotes, where gnuplot knows no escape but '' for '. A line break would end the command. */
static void gnuplot_quote(FILE *to, const char *text)
{
    putc('\'', to);
    for (; *text; text++) {
        if (*text == '\'')
            putc('\'', to);
        putc(*text == '\n' || *text == '\r' ? ' ' : *text, to);
    }
    putc('\'', to);
}

static const char *gnuplot_path(struct gnuplot *plot, const char *name)
{
    const char *path = arena_format(plot->arena, "%s/%s", plot->folder, name);
    VECTOR_PUSH(&plot->files, path);
    return path;
}

/* The folder for script and data. */
static bool gnuplot_folder(struct gnuplot *plot, const char **error)
{
    const char *root = getenv("TMPDIR");
    char *folder = arena_format(plot->arena, "%s/partita-plot-XXXXXX", root && *root ? root : "/tmp");
    plot->folder = mkdtemp(folder);
    if (plot->folder)
        plot->script = fopen(gnuplot_path(plot, "script.gp"), "w");
    if (plot->script)
        return true;
    *error = arena_format(plot->arena, "cannot make a temporary folder '%s': %s", folder, strerror(errno));
    gnuplot_close(plot);
    return false;
}

bool gnuplot_open(struct gnuplot *plot, const char *output, int width, int height, struct arena *arena,
                  const char **error)
{
    *plot = (struct gnuplot){.arena = arena, .output = output};
    const struct gnuplot_terminal *terminal = gnuplot_find_terminal(output);
    if (!terminal) {
        *error = arena_format(arena, "%s: a picture's name ends in .svg, .png or .pdf", output);
        return false;
    }
    if (strpbrk(output, "\n\r")) {
        *error = arena_format(arena, "%s: a picture's name is one line", output);
        return false;
    }
    plot->part = arena_format(arena, "%s.part", output);
    int probe = open(plot->part, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (probe < 0) {
        *error = arena_format(arena, "%s: cannot write it: %s", output, strerror(errno));
        return false;
    }
    close(probe);
    if (!gnuplot_folder(plot, error))
        return false;
    gnuplot_command(
        plot, "set terminal %s size %g,%g noenhanced background rgb 'white' font 'DejaVu Sans,%g'",
        terminal->name, width * terminal->scale, height * terminal->scale, GNUPLOT_FONT * terminal->points);
    gnuplot_number(plot, "points", terminal->points);
    return true;
}

void gnuplot_number(struct gnuplot *plot, const char *name, double value)
{
    fprintf(plot->script, "%s = %.17g\n", name, value + 0.0); /* + 0.0: no -0 */
}

void gnuplot_text(struct gnuplot *plot, const char *name, const char *text)
{
    fprintf(plot->script, "%s = ", name);
    gnuplot_quote(plot->script, text);
    putc('\n', plot->script);
}

void gnuplot_texts(struct gnuplot *plot, const char *name, const char *const *texts, uint32_t count)
{
    fprintf(plot->script, "array %s[%u]\n", name, count ? count : 1);
    for (uint32_t i = 0; i < count; i++) {
        fprintf(plot->script, "%s[%u] = ", name, i + 1);
        gnuplot_quote(plot->script, texts[i]);
        putc('\n', plot->script);
    }
}

void gnuplot_command(struct gnuplot *plot, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(plot->script, format, arguments);
    va_end(arguments);
    putc('\n', plot->script);
}

FILE *gnuplot_data(struct gnuplot *plot, const char *name)
{
    const char *path = gnuplot_path(plot, arena_format(plot->arena, "%s.dat", name));
    FILE *data = fopen(path, "w");
    VECTOR_PUSH(&plot->open, data);
    gnuplot_text(plot, name, path);
    return data;
}

void gnuplot_field(FILE *data, const char *text)
{
    putc('"', data);
    for (; *text; text++)
        putc(*text == '"' ? '\'' : *text == '\n' || *text == '\\' ? ' ' : *text, data);
    putc('"', data);
}

/* Flushes script and data; false when the disk is full or a file could not be made. */
static bool gnuplot_finish(struct gnuplot *plot)
{
    bool ok = plot->script && !ferror(plot->script);
    if (plot->script)
        ok = fclose(plot->script) == 0 && ok;
    plot->script = NULL;
    for (uint32_t i = 0; i < plot->open.count; i++)
        ok = plot->open.at[i] && fclose(plot->open.at[i]) == 0 && ok;
    plot->open.count = 0;
    return ok;
}

/* Runs gnuplot with its messages in `log`. Returns its exit status. */
static int gnuplot_execute(const char *script, const char *log)
{
    pid_t child = fork();
    if (child == 0) {
        int to = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (to >= 0) {
            dup2(to, STDOUT_FILENO);
            dup2(to, STDERR_FILENO);
        }
        execlp("gnuplot", "gnuplot", script, (char *)NULL);
        _exit(errno == ENOENT ? GNUPLOT_MISSING : 126);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The first line of gnuplot's messages that names an error. */
static const char *gnuplot_message(struct gnuplot *plot, const char *log)
{
    char line[256];
    const char *message = "it failed without a message";
    FILE *from = fopen(log, "r");
    while (from && fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = '\0';
        if (strstr(line, "line ") && strchr(line, ':')) {
            message = arena_text(plot->arena, line);
            break;
        }
    }
    if (from)
        fclose(from);
    return message;
}

bool gnuplot_run(struct gnuplot *plot, const char *template, const char **error)
{
    struct stat drawn;
    const char *log = gnuplot_path(plot, "messages.txt");
    bool readable = access(template, R_OK) == 0;
    gnuplot_text(plot, "picture", plot->part);
    gnuplot_command(plot, "set output picture");
    gnuplot_text(plot, "template", template);
    gnuplot_command(plot, "load template\nunset output");
    bool written = gnuplot_finish(plot);
    int status = readable && written ? gnuplot_execute(plot->files.at[0], log) : -1;
    bool ok = false;
    if (!readable)
        *error = arena_format(plot->arena, "%s: cannot read this gnuplot template", template);
    else if (!written)
        *error = arena_format(plot->arena, "%s: cannot write the plot's data there", plot->folder);
    else if (status == GNUPLOT_MISSING)
        *error = "gnuplot was not found; on Debian or Ubuntu: apt-get install gnuplot-nox";
    else if (status != 0)
        *error = arena_format(plot->arena, "%s: gnuplot: %s", plot->output, gnuplot_message(plot, log));
    else if (stat(plot->part, &drawn) != 0 || drawn.st_size == 0)
        *error = arena_format(plot->arena, "%s: gnuplot drew nothing: %s", plot->output,
                              gnuplot_message(plot, log));
    else if (rename(plot->part, plot->output) != 0)
        *error = arena_format(plot->arena, "%s: cannot write it: %s", plot->output, strerror(errno));
    else
        ok = true;
    gnuplot_close(plot);
    return ok;
}

void gnuplot_close(struct gnuplot *plot)
{
    gnuplot_finish(plot);
    for (uint32_t i = 0; i < plot->files.count; i++)
        unlink(plot->files.at[i]);
    if (plot->folder)
        rmdir(plot->folder);
    unlink(plot->part);
    VECTOR_FREE(&plot->files);
    VECTOR_FREE(&plot->open);
}
