/* Pictures of topologies: where the nodes go, and what the drawing holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "figure/picture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256 };

struct sketch {
    struct arena arena;
    struct picture_node nodes[MOST];
    struct picture_cable cables[4 * MOST];
    struct picture_kind kinds[2];
    struct picture picture;
};

static void sketch_init(struct sketch *s, enum picture_layout layout)
{
    memset(s, 0, sizeof *s);
    arena_init(&s->arena);
    s->kinds[0] = (struct picture_kind){"cable", 1e9, 1e9, false};
    s->kinds[1] = (struct picture_kind){"radio", 1e7, 1e7, true};
    s->picture = (struct picture){.title = "A sketch",
                                  .layout = layout,
                                  .nodes = s->nodes,
                                  .cables = s->cables,
                                  .kinds = s->kinds,
                                  .kind_count = 2};
}

static uint32_t node(struct sketch *s, enum picture_shape shape, uint32_t i, uint32_t j)
{
    char name[32];
    uint32_t n = s->picture.node_count++;
    snprintf(name, sizeof name, "n[%u]", n);
    s->nodes[n] = (struct picture_node){
        .name = arena_text(&s->arena, name), .shape = shape, .rank = 2, .index = {i, j}};
    return n;
}

static void cable(struct sketch *s, uint32_t from, uint32_t to, uint32_t kind)
{
    s->cables[s->picture.cable_count++] = (struct picture_cable){from, to, kind};
}

/* Eight devices on two leaves on two spines; each four also on a switch of their own. */
static void tree(struct sketch *s)
{
    sketch_init(s, PICTURE_AUTO);
    for (uint32_t d = 0; d < 8; d++)
        node(s, PICTURE_DEVICE, d, 0);
    for (uint32_t w = 0; w < 6; w++)
        node(s, PICTURE_SWITCH, w, 0);
    for (uint32_t d = 0; d < 8; d++) {
        cable(s, d, 8 + d / 4, 0);
        cable(s, d, 12 + d / 4, 0);
    }
    for (uint32_t l = 0; l < 4; l++)
        cable(s, 8 + l / 2, 10 + l % 2, 0);
}

static void no_two_nodes_are_at_one_place(const struct picture *p)
{
    for (uint32_t a = 0; a < p->node_count; a++)
        for (uint32_t b = 0; b < a; b++)
            if (hypot(p->nodes[a].x - p->nodes[b].x, p->nodes[a].y - p->nodes[b].y) < 1e-6)
                fail_msg("nodes %u and %u are both at %g, %g", a, b, p->nodes[a].x, p->nodes[a].y);
}

static void a_tree_stands_in_layers(void **state)
{
    (void)state;
    struct sketch *s = malloc(sizeof *s);
    tree(s);
    picture_place(&s->picture, &s->arena);
    const struct picture_node *n = s->nodes;
    no_two_nodes_are_at_one_place(&s->picture);
    assert_true(n[0].y == n[7].y && n[8].y > n[0].y && n[10].y > n[8].y && n[10].y == n[11].y);
    assert_true(n[12].y < n[0].y); /* what only joins them hangs below */
    assert_true(n[8].x < n[9].x && n[12].x < n[13].x);
    arena_fini(&s->arena);
    free(s);
}

/* Two nodes of two devices: each device on a switch of its node, on that of its lanes to the host, and on the
 * network between the nodes, which hosts are on too. */
static void hosts_stand_above_their_devices_and_the_network_between_nodes_on_top(void **state)
{
    (void)state;
    struct sketch *s = malloc(sizeof *s);
    sketch_init(s, PICTURE_AUTO);
    uint32_t device[4], inside[2], lanes[2], host[2], drive[2];
    for (uint32_t d = 0; d < 4; d++)
        device[d] = node(s, PICTURE_DEVICE, d, 0);
    for (uint32_t i = 0; i < 2; i++) {
        inside[i] = node(s, PICTURE_SWITCH, i, 0);
        lanes[i] = node(s, PICTURE_SWITCH, i, 0);
        host[i] = node(s, PICTURE_STORE, i, 0);
        drive[i] = node(s, PICTURE_STORE, i, 0);
        cable(s, lanes[i], host[i], 0);
        cable(s, drive[i], host[i], 0);
        cable(s, drive[i], host[i], 0);
    }
    uint32_t between = node(s, PICTURE_SWITCH, 0, 0);
    for (uint32_t i = 0; i < 2; i++)
        cable(s, host[i], between, 0);
    for (uint32_t d = 0; d < 4; d++) {
        cable(s, device[d], inside[d / 2], 0);
        cable(s, device[d], lanes[d / 2], 0);
        cable(s, device[d], between, 0);
    }
    picture_place(&s->picture, &s->arena);
    no_two_nodes_are_at_one_place(&s->picture);
    const struct picture_node *n = s->nodes;
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(n[inside[i]].y < n[device[2 * i]].y && n[device[2 * i]].y < n[lanes[i]].y);
        assert_true(n[lanes[i]].y < n[host[i]].y && n[host[i]].y < n[drive[i]].y);
        assert_true(n[drive[i]].y < n[between].y);
        assert_true(n[host[i]].x == n[lanes[i]].x && n[drive[i]].x == n[host[i]].x);
    }
    assert_true(fabs(n[between].x - (n[inside[0]].x + n[inside[1]].x) / 2) < 1e-9);
    arena_fini(&s->arena);
    free(s);
}

static void a_grid_goes_by_its_indices(void **state)
{
    (void)state;
    struct sketch *s = malloc(sizeof *s);
    sketch_init(s, PICTURE_GRID);
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = 0; j < 3; j++)
            node(s, PICTURE_DEVICE, i, j);
    picture_place(&s->picture, &s->arena);
    for (uint32_t k = 0; k < 12; k++) {
        assert_true(s->nodes[k].x == k / 3);
        assert_true(s->nodes[k].y == k % 3);
    }
    arena_fini(&s->arena);
    free(s);
}

static void a_circle_is_round_and_a_star_has_a_middle(void **state)
{
    (void)state;
    struct sketch *s = malloc(sizeof *s);
    for (uint32_t n = 1; n < 40; n += 3) {
        sketch_init(s, PICTURE_CIRCLE);
        for (uint32_t i = 0; i < n; i++)
            node(s, PICTURE_DEVICE, i, 0);
        for (uint32_t i = 0; n > 2 && i < n; i++)
            cable(s, i, (i + 1) % n, 0);
        picture_place(&s->picture, &s->arena);
        no_two_nodes_are_at_one_place(&s->picture);
        for (uint32_t i = 1; i < n; i++)
            assert_true(fabs(hypot(s->nodes[i].x, s->nodes[i].y) - hypot(s->nodes[0].x, s->nodes[0].y)) <
                        1e-9);
        arena_fini(&s->arena);
        sketch_init(s, PICTURE_CIRCLE);
        for (uint32_t i = 0; i <= n; i++)
            node(s, PICTURE_DEVICE, i, 0);
        for (uint32_t i = 1; i <= n; i++)
            cable(s, 0, i, 1);
        picture_place(&s->picture, &s->arena);
        no_two_nodes_are_at_one_place(&s->picture);
        arena_fini(&s->arena);
    }
    free(s);
}

static void the_drawing_names_nodes_and_kinds(void **state)
{
    (void)state;
    struct sketch *s = malloc(sizeof *s);
    char path[64];
    const char *error = NULL;
    snprintf(path, sizeof path, "/tmp/partita-picture-%ld.svg", (long)getpid());
    tree(s);
    cable(s, 0, 1, 1);
    if (!picture_draw(&s->picture, path, PARTITA_SOURCE "/plot", &s->arena, &error)) {
        bool missing = strstr(error, "gnuplot was not found") != NULL;
        if (!missing)
            fail_msg("%s", error);
        arena_fini(&s->arena);
        free(s);
        skip();
    }
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static char text[1 << 18];
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    unlink(path);
    static const char *const parts[] = {
        "A sketch", "n[0]", "n[13]", "cable: 1 GB/s", "radio: 10 MB/s shared", "switch", "device"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(text, parts[i]))
            fail_msg("the picture lacks '%s'", parts[i]);
    assert_false(picture_draw(&s->picture, "picture.gif", PARTITA_SOURCE "/plot", &s->arena, &error));
    assert_string_equal(error, "picture.gif: a picture's name ends in .svg, .png or .pdf");
    arena_fini(&s->arena);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_stands_in_layers),
        cmocka_unit_test(hosts_stand_above_their_devices_and_the_network_between_nodes_on_top),
        cmocka_unit_test(a_grid_goes_by_its_indices),
        cmocka_unit_test(a_circle_is_round_and_a_star_has_a_middle),
        cmocka_unit_test(the_drawing_names_nodes_and_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
