# Memory over time. Variables come from sim/figure/memory.c: heading, from, to, time_unit, memory_unit, apart (1: each
# panel has a scale of its own), tops (of the scales),
# areas (a data file with one block per panel: time and sums from the bottom of the stack up to each category),
# panel_count, labels, capacities, category_count and of those in use columns, colours, categories.
key_font = sprintf(',%g', 14 * points) # set key takes no expression
wide = panel_count < 2 ? 1 : panel_count < 7 ? 2 : 3
high = (panel_count + wide - 1) / wide
left = 0.075; right = 0.80; top = 0.90; bottom = 0.09
gap_x = apart ? 0.06 : 0.025; gap_y = high > 1 ? 0.06 : 0
width = (right - left - (wide - 1) * gap_x) / wide
height = (top - bottom - (high - 1) * gap_y) / high
set xrange [from:to]
set xtics out nomirror
set ytics out nomirror
set border 3 linecolor rgb '#404040'
set grid linetype 1 linewidth 0.6 linecolor rgb '#E4E4E4'
set style fill solid 1.0 noborder

set label 1 heading at screen (left + right) / 2, 0.965 center font sprintf(',%g', 20 * points)
set label 2 'time (' . time_unit . ')' at screen (left + right) / 2, 0.025 center font sprintf(',%g', 16 * points)
set label 3 'memory (' . memory_unit . ')' at screen 0.016, 0.5 center rotate font sprintf(',%g', 16 * points)
set multiplot
do for [i = 1:panel_count] {
    column_ = (i - 1) % wide
    row = (i - 1) / wide
    x = left + column_ * (width + gap_x)
    y = top - (row + 1) * height - row * gap_y
    set lmargin at screen x
    set rmargin at screen x + width
    set bmargin at screen y
    set tmargin at screen y + height
    if (i == 2) { unset label 1; unset label 2; unset label 3 }
    set label 4 labels[i] at graph 0.01, graph 1.035 font sprintf(',%g', 13 * points)
    set yrange [0:tops[i] * 1.08]
    set format y (column_ == 0 || apart ? '%g' : '')
    if (apart) {
        set label 5 sprintf('%.4g %s', capacities[i], memory_unit) at graph 0.99, first capacities[i] right offset 0, 0.6 \
            font sprintf(',%g', 12 * points)
    }
    set format x (i + wide > panel_count ? '%g' : '')
    if (i == 1) {
        set key at screen 0.995, screen top right top vertical Left reverse samplen 2 spacing 1.25 font key_font
    } else {
        set key off
    }
    plot for [c = category_count:1:-1] areas index i - 1 using 1:columns[c] with filledcurves y1=0 \
             linecolor rgb colours[c] title categories[c], \
         capacities[i] > 0 ? capacities[i] : NaN with lines dashtype 2 linewidth 2 linecolor rgb '#202020' \
             title (apart ? 'capacity' : sprintf('capacity: %.3g %s', capacities[i], memory_unit))
}
unset multiplot
