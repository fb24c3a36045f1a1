#include "figure/palette.h"

#include <stddef.h>
#include <string.h>

const struct palette_pass palette_passes[] = {
    {"F", "forward (F)", 0x0072B2},
    {"B", "backward (B)", 0xE69F00},
    {"I", "input gradient (I)", 0xE69F00},
    {"W", "weight gradient (W)", 0xF0E442},
    {"R", "recomputed (R)", 0x56B4E9},
    {"O", "optimizer (O)", 0x009E73},
    {"S", "gradients (S)", 0xD55E00},
    {"D", "next token", 0x2E8B8B},
    {"-", "other", 0xB8B8B8},
    {NULL, NULL, 0},
};

uint32_t palette_group(const char *name, uint32_t index)
{
    static const struct {
        const char *name;
        uint32_t colour;
    } usual[] = {
        {"tensor", 0xCC79A7}, {"pipeline", 0x808080}, {"data", 0x7B4FA3},     {"halo", 0xCC79A7},
        {"expert", 0x4B2E63}, {"context", 0xE3B5D0},  {"sequence", 0xE3B5D0},
    };
    static const uint32_t others[] = {0x5A5A5A, 0xB39BC8, 0x995A80, 0xA6A6A6};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strcmp(name, usual[i].name) == 0)
            return usual[i].colour;
    return others[index % (sizeof others / sizeof others[0])];
}

uint32_t palette_line(uint32_t index, uint32_t count)
{
    static const uint32_t set[] = {0x0072B2, 0xE69F00, 0x009E73, 0xCC79A7, 0x56B4E9, 0xD55E00, 0x808080};
    /* viridis at equal distances, without its palest end */
    static const uint32_t ramp[] = {0x440154, 0x46327E, 0x365C8D, 0x277F8E, 0x1FA187, 0x4AC16D, 0xA0DA39};
    enum { KNOTS = sizeof ramp / sizeof ramp[0] };
    if (count <= sizeof set / sizeof set[0])
        return set[index];
    double at = (double)index / (count - 1) * (KNOTS - 1);
    uint32_t knot = at >= KNOTS - 1 ? KNOTS - 2 : (uint32_t)at, colour = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        double a = (ramp[knot] >> shift) & 0xff, b = (ramp[knot + 1] >> shift) & 0xff;
        colour |= (uint32_t)(a + (b - a) * (at - knot) + 0.5) << shift;
    }
    return colour;
}

uint32_t palette_ink(uint32_t colour)
{
    /* relative luminance, ITU-R BT.601 weights */
    uint32_t luminance = 299 * (colour >> 16) + 587 * ((colour >> 8) & 0xff) + 114 * (colour & 0xff);
    return luminance > 140000 ? 0x000000 : 0xFFFFFF;
}
