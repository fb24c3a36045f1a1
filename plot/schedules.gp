# Schedules one below the other: a Gantt chart each, and beside it what the devices hold. Variables come from
# sim/figure/gantt.c: panels, rows (devices), height, panel_height, head, top (pixels), last (of the time axis),
# most (of the memory axis), heading, time_unit, memory_unit, titles, notes, legend_texts, legend_colours,
# line_colours, and the data files boxes, bubbles, texts (a block per panel) and memory (a block per panel and row).
middle = 0.70
set multiplot
unset key
set border 1 linecolor rgb '#404040'
set style fill solid 1.0 noborder
set label 1 heading at screen 0.5, screen 1 - 24. / height center font sprintf(',%g', 20 * points)
do for [i = 1:legend_count] {
    set object i rectangle center screen 0.10 + 0.145 * (i - 1), screen 1 - 58. / height \
        size screen 0.012, screen 14. / height fillcolor rgb legend_colours[i] fillstyle solid 1.0 noborder
    set label 1 + i legend_texts[i] at screen 0.109 + 0.145 * (i - 1), screen 1 - 58. / height left \
        font sprintf(',%g', 15 * points)
}
set object 20 rectangle center screen 0.10 + 0.145 * legend_count, screen 1 - 58. / height \
    size screen 0.012, screen 14. / height fillcolor rgb '#909090' fillstyle pattern 4 noborder
set label 20 'bubble' at screen 0.109 + 0.145 * legend_count, screen 1 - 58. / height left \
    font sprintf(',%g', 15 * points)
set label 21 memory_unit at screen (middle + 0.985) / 2, screen 1 - 58. / height center font sprintf(',%g', 15 * points)

do for [i = 1:panels] {
    upper = 1 - (top + (i - 1) * panel_height + head * 0.6) / (1.0 * height)
    lower = upper - (panel_height - head) / (1.0 * height)
    set tmargin at screen upper
    set bmargin at screen lower
    set lmargin at screen 0.045
    set rmargin at screen middle - 0.02
    set xrange [0:last]
    set yrange [rows:0]
    set format x (i == panels ? '%g' : '')
    set xtics out nomirror scale 0.5
    unset ytics
    do for [r = 1:rows] {
        set label 29 + r sprintf('%d', r - 1) at graph -0.008, first r - 0.5 right font sprintf(',%g', 12 * points)
    }
    set label 22 titles[i] at graph 0, graph 1.0 offset 0, 0.55 left font sprintf(',%g', 16 * points)
    set label 23 notes[i] at graph 1, graph 1.0 offset 0, 0.55 right font sprintf(',%g', 14 * points)
    if (i == panels) {
        set label 24 time_unit at graph 0.5, graph 0 offset 0, -2.2 center font sprintf(',%g', 15 * points)
    }
    plot bubbles index i - 1 using 1:2:3:4:5:6 with boxxyerror fillstyle pattern 4 noborder linecolor rgb '#909090', \
         boxes index i - 1 using 1:2:3:4:5:6:7 with boxxyerror \
             fillstyle solid 1.0 border rgb 'white' linewidth 0.8 linecolor rgb variable, \
         texts index i - 1 using 1:2:3:4 with labels font sprintf(',%g', 11 * points) textcolor rgb variable
    unset label 1
    unset label 20
    unset label 21
    unset label 22
    unset label 23
    unset label 24
    do for [r = 1:rows] { unset label 29 + r }
    do for [k = 1:legend_count] {
        unset object k
        unset label 1 + k
    }
    unset object 20
    set lmargin at screen middle + 0.02
    set rmargin at screen 0.985
    set yrange [0:most * 1.05]
    set ytics out nomirror scale 0.5 ceil(most / 4.)
    set border 3
    set grid ytics linetype 1 linewidth 0.6 linecolor rgb '#E4E4E4'
    plot for [r = 1:rows] memory index (i - 1) * rows + r - 1 using 1:2 with steps \
         linewidth 1.6 linecolor rgb line_colours[r]
    unset grid
    set border 1
}
unset multiplot
