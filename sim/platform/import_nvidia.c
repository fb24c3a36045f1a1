/* `nvidia-smi topo -m`: a matrix of how GPUs and network cards (NICs) of one server reach each other.
 *
 *     X     itself                       PHB   through a PCIe host bridge
 *     NV#   # NVLinks                    NODE  between host bridges of one NUMA node
 *     PIX   one PCIe bridge              SYS   across the sockets' interconnect
 *     PXB   several PCIe bridges
 *
 * The five PCIe words are distances in a tree: the components of "at most PIX", "at most PXB", … are its
 * levels. Each component of more than one child becomes a switch, with a cable to each child. NVLinks are
 * cables of their own, with a route that names them (PCIe could have the lower latency): GPU to GPU, or
 * through one NVSwitch where all GPUs of a component have the same number and together more than a GPU has.
 * Affinity columns say nothing about links and are left out. */
#include "base/nearest.h"
#include "platform/import.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NVIDIA_MOST = 256,     /* GPUs and NICs */
    NVIDIA_LINKS_MOST = 18 /* NVLinks of one GPU, in every generation so far */
};

#define NVIDIA_DEVICE "a100-sxm4-80gb"

/* Distances, near to far. */
static const char *const nvidia_words[] = {"PIX", "PXB", "PHB", "NODE", "SYS"};
enum { NVIDIA_PIX, NVIDIA_SYS = 4, NVIDIA_LEVELS, NVIDIA_NVLINK, NVIDIA_SELF };

struct nvidia_cell {
    uint8_t word;  /* a distance, NVIDIA_NVLINK or NVIDIA_SELF */
    uint8_t lanes; /* of NVLink */
};

struct nvidia {
    struct input *input;
    const char *path;
    struct place place;        /* of the header */
    uint32_t count, gpus;      /* columns; the first `gpus` are GPUs */
    char (*names)[32];         /* of the columns */
    struct nvidia_cell *cells; /* row-major */
    uint32_t nvswitches;       /* made so far */
    struct value *switches, *links, *routes;
};

/* One word of a line, and where it stands. */
struct nvidia_word {
    const char *text;
    size_t length;
    struct place place;
};

static bool nvidia_is_file(const char *path)
{
    size_t length = strlen(path);
    return (length > 5 && strcmp(path + length - 5, ".topo") == 0) ||
           (length > 4 && strcmp(path + length - 4, ".txt") == 0);
}

/* Length of a terminal's escape sequence (the header is underlined), 0 if there is none. */
static size_t nvidia_escape(const char *at)
{
    if (at[0] != 033 || at[1] != '[')
        return 0;
    size_t length = 2;
    while (isdigit((unsigned char)at[length]) || at[length] == ';')
        length++;
    return length + (isalpha((unsigned char)at[length]) != 0);
}

/* The next word of the line at *at; false at its end. */
static bool nvidia_word(struct nvidia *nvidia, const char *line, uint32_t number, const char **at,
                        struct nvidia_word *word)
{
    size_t skip;
    while ((skip = nvidia_escape(*at)) || **at == ' ' || **at == '\t' || **at == '\r')
        *at += skip ? skip : 1;
    word->text = *at;
    word->length = strcspn(*at, " \t\r\n\033");
    word->place = (struct place){nvidia->path, number, (uint32_t)(*at - line) + 1};
    *at += word->length;
    return word->length > 0;
}

static bool nvidia_same(const struct nvidia_word *word, const char *text)
{
    return strlen(text) == word->length && strncmp(word->text, text, word->length) == 0;
}

static const char *nvidia_text(struct nvidia *nvidia, const struct nvidia_word *word)
{
    return arena_format(&nvidia->input->arena, "%.*s", (int)(word->length < 40 ? word->length : 40),
                        word->text);
}

/* The columns, up to the affinities. */
static bool nvidia_header(struct nvidia *nvidia, const char *line, uint32_t number)
{
    struct report *report = &nvidia->input->report;
    struct nvidia_word word;
    const char *at = line;
    while (nvidia_word(nvidia, line, number, &at, &word)) {
        if (nvidia_same(&word, "CPU") || nvidia_same(&word, "NUMA"))
            break;
        if (nvidia->count == NVIDIA_MOST)
            return report_error(report, word.place, "more than %d GPUs and network cards", NVIDIA_MOST);
        bool gpu = word.length > 3 && strncmp(word.text, "GPU", 3) == 0;
        char *name = nvidia->names[nvidia->count++];
        snprintf(name, sizeof nvidia->names[0], "%.*s", (int)word.length, word.text);
        for (uint32_t i = 0; i + 1 < nvidia->count; i++)
            if (strcmp(nvidia->names[i], name) == 0)
                return report_error(report, word.place, "two columns are called '%s'", name);
        if (!gpu)
            continue;
        if (strcmp(name, arena_format(&nvidia->input->arena, "GPU%u", nvidia->gpus)) != 0 ||
            nvidia->gpus + 1 != nvidia->count)
            return report_error(report, word.place, "expected the column GPU%u; got '%s'", nvidia->gpus,
                                name);
        nvidia->gpus++;
    }
    return true;
}

static bool nvidia_cell(struct nvidia *nvidia, const struct nvidia_word *word, struct nvidia_cell *cell)
{
    static const char *const known[] = {"X", "NV#", "PIX", "PXB", "PHB", "NODE", "SYS"};
    *cell = (struct nvidia_cell){.word = NVIDIA_SELF};
    if (nvidia_same(word, "X"))
        return true;
    for (uint8_t i = 0; i < NVIDIA_LEVELS; i++)
        if (nvidia_same(word, nvidia_words[i])) {
            cell->word = i;
            return true;
        }
    const char *text = nvidia_text(nvidia, word);
    if (nvidia_same(word, "SOC") || nvidia_same(word, "QPI")) { /* as old drivers say it */
        cell->word = NVIDIA_SYS;
        return true;
    }
    if (strncmp(text, "NV", 2) == 0 && isdigit((unsigned char)text[2])) {
        char *end;
        unsigned long lanes = strtoul(text + 2, &end, 10);
        *cell = (struct nvidia_cell){NVIDIA_NVLINK, (uint8_t)lanes};
        if (!*end && lanes >= 1 && lanes <= NVIDIA_LINKS_MOST * 4)
            return true;
    }
    const char *near = nearest_name(text, known, sizeof known / sizeof known[0]);
    return report_error(&nvidia->input->report, word->place,
                        "expected X, NV#, PIX, PXB, PHB, NODE or SYS; got '%s'%s", text,
                        near ? arena_format(&nvidia->input->arena, "; did you mean '%s'?", near) : "");
}

/* Row `row` of the matrix; `first` is its label, already read. */
static bool nvidia_row(struct nvidia *nvidia, const char *line, const char *at, uint32_t row,
                       const struct nvidia_word *first)
{
    struct report *report = &nvidia->input->report;
    struct nvidia_word word = *first;
    if (!nvidia_same(first, nvidia->names[row]))
        return report_error(report, first->place, "expected the row of '%s'; got '%s'", nvidia->names[row],
                            nvidia_text(nvidia, first));
    for (uint32_t column = 0; column < nvidia->count; column++) {
        struct nvidia_cell *cell = &nvidia->cells[(size_t)row * nvidia->count + column];
        if (!nvidia_word(nvidia, line, first->place.line, &at, &word))
            return report_error(report, first->place,
                                "the row of '%s' has %u cells; the matrix has %u columns", nvidia->names[row],
                                column, nvidia->count);
        if (!nvidia_cell(nvidia, &word, cell))
            return false;
        if ((cell->word == NVIDIA_SELF) != (row == column))
            return report_error(report, word.place,
                                "expected X just where a row meets its own column; got '%s'",
                                nvidia_text(nvidia, &word));
        if (cell->word == NVIDIA_NVLINK && (row >= nvidia->gpus || column >= nvidia->gpus))
            return report_error(report, word.place, "NVLinks join GPUs; '%s' is none",
                                nvidia->names[row >= nvidia->gpus ? row : column]);
        const struct nvidia_cell *back = &nvidia->cells[(size_t)column * nvidia->count + row];
        if (column < row && (back->word != cell->word || back->lanes != cell->lanes))
            return report_error(report, word.place,
                                "'%s' to '%s' is %s, but back it is not: the matrix must be symmetric",
                                nvidia->names[row], nvidia->names[column], nvidia_text(nvidia, &word));
    }
    return true;
}

/* Finds the header and reads the rows after it. What follows the matrix (the legends) is left out, but for
 * the names of NICs, which say nothing that the matrix does not. */
static bool nvidia_read_matrix(struct nvidia *nvidia, const char *text)
{
    struct report *report = &nvidia->input->report;
    uint32_t number = 0, row = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        struct nvidia_word word;
        const char *at = line;
        number++;
        if (!nvidia_word(nvidia, line, number, &at, &word))
            continue;
        if (!nvidia->count) {
            if (!nvidia_same(&word, "GPU0"))
                continue;
            nvidia->place = word.place;
            if (!nvidia_header(nvidia, line, number))
                return false;
            nvidia->cells =
                ARENA_ARRAY(&nvidia->input->arena, struct nvidia_cell, (size_t)nvidia->count * nvidia->count);
        } else if (row == nvidia->count) {
            break;
        } else if (nvidia_same(&word, "Legend:")) {
            nvidia->place = word.place;
            break;
        } else if (!nvidia_row(nvidia, line, at, row++, &word)) {
            return false;
        }
    }
    if (!nvidia->count)
        return report_error(
            report, (struct place){nvidia->path, 1, 1},
            "expected the output of `nvidia-smi topo -m`: there is no line that starts with GPU0");
    if (row < nvidia->count)
        return report_error(report, (struct place){nvidia->path, number, 1},
                            "the matrix ends after %u of %u rows: that of '%s' is missing", row,
                            nvidia->count, nvidia->names[row]);
    return true;
}

static const struct nvidia_cell *nvidia_at(const struct nvidia *nvidia, uint32_t row, uint32_t column)
{
    return &nvidia->cells[(size_t)row * nvidia->count + column];
}

/* What a GPU or NIC is called in the topology. */
static const char *nvidia_name(struct nvidia *nvidia, uint32_t i)
{
    return i < nvidia->gpus ? arena_format(&nvidia->input->arena, "gpu[%u]", i)
                            : import_name(nvidia->input, "nic-", nvidia->names[i]);
}

static struct value *nvidia_cable(struct nvidia *nvidia, const char *name, const char *from, const char *to)
{
    struct value *link = import_map(nvidia->input, nvidia->links, name, nvidia->place);
    import_quoted(nvidia->input, link, "from", nvidia->place, "%s", from);
    import_quoted(nvidia->input, link, "to", nvidia->place, "%s", to);
    return link;
}

static void nvidia_route(struct nvidia *nvidia, uint32_t from, uint32_t to, const char *links)
{
    struct input *input = nvidia->input;
    const char *source = nvidia_name(nvidia, from);
    struct value *map = value_get(nvidia->routes, source);
    if (!map)
        map = import_map(input, nvidia->routes, source, nvidia->place);
    import_text(input, map, nvidia_name(nvidia, to), nvidia->place, "%s", links);
}

/* The GPUs that NVLinks join with the first one, in order; whether all pairs have the same number. */
static uint32_t nvidia_component(const struct nvidia *nvidia, uint32_t first, bool *seen, uint32_t *members,
                                 bool *alike)
{
    uint32_t count = 0;
    seen[first] = true;
    members[count++] = first;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t g = 0; g < nvidia->gpus; g++)
            if (!seen[g] && nvidia_at(nvidia, members[i], g)->word == NVIDIA_NVLINK) {
                seen[g] = true;
                members[count++] = g;
            }
    const struct nvidia_cell *one = count > 1 ? nvidia_at(nvidia, members[0], members[1]) : NULL;
    *alike = true;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            if (i != j && memcmp(nvidia_at(nvidia, members[i], members[j]), one, sizeof *one) != 0)
                *alike = false;
    return count;
}

static void nvidia_switched(struct nvidia *nvidia, const uint32_t *members, uint32_t count)
{
    struct input *input = nvidia->input;
    uint32_t number = nvidia->nvswitches++, lanes = nvidia_at(nvidia, members[0], members[1])->lanes;
    const char *name = arena_format(&input->arena, "nvswitch-%u", number);
    import_map(input, nvidia->switches, name, nvidia->place);
    for (uint32_t i = 0; i < count; i++) {
        struct value *link = nvidia_cable(nvidia, arena_format(&input->arena, "nvlink-%u", members[i]),
                                          nvidia_name(nvidia, members[i]), name);
        import_text(input, link, "type", nvidia->place, "nvlink");
        import_text(input, link, "bandwidth", nvidia->place, "lane * %u", lanes);
        import_text(input, link, "latency", nvidia->place, "nvlink-latency / 2");
        import_text(input, link, "overhead", nvidia->place, "50%%");
    }
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++)
            if (i != j)
                nvidia_route(nvidia, members[i], members[j],
                             arena_format(&input->arena, "nvlink-%u> nvlink-%u<", members[i], members[j]));
}

static void nvidia_direct(struct nvidia *nvidia, const uint32_t *members, uint32_t count)
{
    struct input *input = nvidia->input;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) {
            uint32_t a = members[i], b = members[j];
            const struct nvidia_cell *cell = nvidia_at(nvidia, a, b);
            if (a >= b || cell->word != NVIDIA_NVLINK)
                continue;
            const char *name = arena_format(&input->arena, "nvlink-%u-%u", a, b);
            struct value *link = nvidia_cable(nvidia, name, nvidia_name(nvidia, a), nvidia_name(nvidia, b));
            import_text(input, link, "type", nvidia->place, "nvlink");
            import_text(input, link, "bandwidth", nvidia->place, "lane * %u", cell->lanes);
            import_text(input, link, "latency", nvidia->place, "nvlink-latency");
            nvidia_route(nvidia, a, b, arena_format(&input->arena, "%s>", name));
            nvidia_route(nvidia, b, a, arena_format(&input->arena, "%s<", name));
        }
}

static void nvidia_nvlinks(struct nvidia *nvidia)
{
    bool seen[NVIDIA_MOST] = {0}, alike;
    uint32_t members[NVIDIA_MOST];
    for (uint32_t g = 0; g < nvidia->gpus; g++) {
        if (seen[g])
            continue;
        uint32_t count = nvidia_component(nvidia, g, seen, members, &alike);
        if (count < 2)
            continue;
        uint32_t lanes = nvidia_at(nvidia, g, members[1])->lanes;
        if (alike && lanes * (count - 1) > NVIDIA_LINKS_MOST)
            nvidia_switched(nvidia, members, count);
        else
            nvidia_direct(nvidia, members, count);
    }
}

/* The PCIe tree, built from the leaves. A component is named by its first member. */
struct nvidia_tree {
    uint32_t part[NVIDIA_MOST];    /* the component that a GPU or NIC belongs to so far */
    uint32_t before[NVIDIA_MOST];  /* the same one level below: the component's children */
    const char *node[NVIDIA_MOST]; /* what stands for a component: its one member or a switch */
    bool leaf[NVIDIA_MOST];        /* … its one member */
};

/* Merges what is within the distance `level`. At the last level all meet: NVLink hides how two GPUs reach
 * each other over PCIe, and where no NIC or other GPU near both tells, the far way is assumed. */
static void nvidia_merge(const struct nvidia *nvidia, struct nvidia_tree *tree, uint32_t level)
{
    uint32_t *part = tree->part;
    memcpy(tree->before, part, sizeof tree->before);
    for (uint32_t i = 0; i < nvidia->count; i++)
        for (uint32_t j = 0; j < nvidia->count; j++) {
            if ((nvidia_at(nvidia, i, j)->word > level && level != NVIDIA_SYS) || part[i] == part[j])
                continue;
            uint32_t to = part[i] < part[j] ? part[i] : part[j], from = part[i] + part[j] - to;
            for (uint32_t k = 0; k < nvidia->count; k++)
                part[k] = part[k] == from ? to : part[k];
        }
}

static bool nvidia_is_child(const struct nvidia_tree *tree, uint32_t i, uint32_t component)
{
    return tree->part[i] == component && tree->before[i] == i;
}

/* Puts a switch over the children of a component. */
static void nvidia_join(struct nvidia *nvidia, struct nvidia_tree *tree, uint32_t component, const char *name,
                        bool sockets)
{
    struct input *input = nvidia->input;
    import_map(input, nvidia->switches, name, nvidia->place);
    for (uint32_t i = component; i < nvidia->count; i++) {
        if (!nvidia_is_child(tree, i, component))
            continue;
        const char *port = arena_format(&input->arena, "%s-port-%u", name, i);
        struct value *link = nvidia_cable(nvidia, port, tree->node[i], name);
        if (sockets && !tree->leaf[i])
            import_text(input, link, "bandwidth", nvidia->place, "socket");
        else
            import_text(input, link, "type", nvidia->place, "pcie");
        if (!tree->leaf[i]) /* software's overhead is paid at the ends of a message, not on the way */
            import_text(input, link, "overhead", nvidia->place, "0 s");
        import_text(input, link, "latency", nvidia->place, tree->leaf[i] ? "pcie-latency / 2" : "hop");
    }
    tree->node[component] = name;
    tree->leaf[component] = false;
}

static void nvidia_pcie(struct nvidia *nvidia)
{
    static const char *const names[NVIDIA_LEVELS] = {"pcie-switch", "pcie-bridge", "host-bridge", "numa-node",
                                                     "sockets"};
    struct nvidia_tree tree;
    memset(&tree, 0, sizeof tree);
    for (uint32_t i = 0; i < nvidia->count; i++) {
        tree.part[i] = i;
        tree.node[i] = nvidia_name(nvidia, i);
        tree.leaf[i] = true;
    }
    for (uint32_t level = 0; level < NVIDIA_LEVELS; level++) {
        uint32_t made = 0;
        nvidia_merge(nvidia, &tree, level);
        for (uint32_t first = 0; first < nvidia->count; first++) {
            uint32_t children = 0;
            for (uint32_t i = first; i < nvidia->count; i++)
                children += nvidia_is_child(&tree, i, first);
            if (children > 1)
                nvidia_join(nvidia, &tree, first,
                            arena_format(&nvidia->input->arena, "%s-%u", names[level], made++),
                            level == NVIDIA_SYS);
        }
    }
}

/* The NVLink generation of a device type by its name; NVLink 3 if it tells none. */
static const char *nvidia_generation(const char *device, const char **lane)
{
    static const struct {
        const char *device, *link, *lane;
    } generations[] = {
        {"p100", "nvlink1", "20 GB/s"},  {"v100", "nvlink2", "25 GB/s"}, {"a100", "nvlink3", "25 GB/s"},
        {"h100", "nvlink4", "25 GB/s"},  {"h200", "nvlink4", "25 GB/s"}, {"h800", "nvlink4", "25 GB/s"},
        {"gh200", "nvlink4", "25 GB/s"}, {"b200", "nvlink5", "50 GB/s"}, {"gb200", "nvlink5", "50 GB/s"},
        {"gb300", "nvlink5", "50 GB/s"},
    };
    *lane = "25 GB/s";
    for (size_t i = 0; i < sizeof generations / sizeof generations[0]; i++)
        if (strncmp(device, generations[i].device, strlen(generations[i].device)) == 0) {
            *lane = generations[i].lane;
            return generations[i].link;
        }
    return "nvlink3";
}

static void nvidia_parameters(struct nvidia *nvidia, struct value *out, const struct value *set)
{
    struct input *input = nvidia->input;
    struct value *parameters = import_map(input, out, "parameters", nvidia->place);
    const struct value *chosen = value_get(set, "device");
    const char *lane, *device = NVIDIA_DEVICE;
    const char *link =
        nvidia_generation(chosen && chosen->kind == VALUE_SCALAR ? chosen->text : device, &lane);
    import_text(input, parameters, "device", nvidia->place, "%s", device);
    import_text(input, parameters, "nvlink", nvidia->place, "%s", link);
    import_text(input, parameters, "lane", nvidia->place, "%s", lane);
    import_text(input, parameters, "nvlink-latency", nvidia->place, "0.6 us");
    import_text(input, parameters, "pcie", nvidia->place, "pcie4-x16");
    import_text(input, parameters, "pcie-latency", nvidia->place, "1.1 us");
    import_text(input, parameters, "socket", nvidia->place, "41.6 GB/s");
    import_text(input, parameters, "hop", nvidia->place, "0.15 us");
}

static struct value *nvidia_read(struct input *input, const char *path, const char *text, size_t length,
                                 const struct value *set)
{
    struct nvidia nvidia = {.input = input, .path = path};
    nvidia.names = arena_array(&input->arena, NVIDIA_MOST, sizeof *nvidia.names);
    if (strlen(text) != length) {
        report_error(&input->report, (struct place){path, 1, 1},
                     "the file is not text: it has a NUL character");
        return NULL;
    }
    if (!nvidia_read_matrix(&nvidia, text))
        return NULL;
    struct value *out = value_new(&input->arena, nvidia.place, VALUE_MAP);
    import_quoted(input, out, "about", nvidia.place, "a server as nvidia-smi shows it");
    nvidia_parameters(&nvidia, out, set);
    struct value *gpu =
        import_map(input, import_map(input, out, "devices", nvidia.place), "gpu", nvidia.place);
    import_text(input, gpu, "type", nvidia.place, "device");
    import_text(input, gpu, "count", nvidia.place, "%u", nvidia.gpus);
    import_text(input, gpu, "forward", nvidia.place, "no");
    nvidia.switches = import_map(input, out, "switches", nvidia.place);
    nvidia.links = import_map(input, out, "links", nvidia.place);
    nvidia.routes = value_new(&input->arena, nvidia.place, VALUE_MAP);
    for (uint32_t i = nvidia.gpus; i < nvidia.count; i++)
        import_map(input, nvidia.switches, nvidia_name(&nvidia, i), nvidia.place);
    nvidia_nvlinks(&nvidia);
    nvidia_pcie(&nvidia);
    report_warning(
        &input->report, nvidia.place,
        "nvidia-smi tells no rates: they are those of the link types that the topology's parameters "
        "name, and the GPUs are '%s' unless the parameter 'device' says otherwise",
        NVIDIA_DEVICE);
    if (nvidia.routes->count)
        value_put(&input->arena, out, "routes", nvidia.place, nvidia.routes);
    return out;
}

const struct importer import_nvidia = {
    .name = "nvidia-smi",
    .about = "the output of `nvidia-smi topo -m` (a file whose name ends in .topo or .txt)",
    .is_file = nvidia_is_file,
    .read = nvidia_read,
};
