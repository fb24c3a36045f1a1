# Memory over time. Variables come from sim/figure/memory.c: heading, from, to, time_unit, memory_unit, largest,
# lines (a data file with one block of (time, memory) per line), line_count, labels, colours, capacities.
key_font = sprintf(',%g', 15 * points) # set key takes no expression
set title heading font sprintf(',%g', 20 * points)
set xrange [from:to]
set yrange [0:largest * 1.06]
set xlabel 'time (' . time_unit . ')' font sprintf(',%g', 16 * points)
set ylabel 'memory (' . memory_unit . ')' font sprintf(',%g', 16 * points)
set xtics out nomirror
set ytics out nomirror
set border 3 linecolor rgb '#404040'
set grid linetype 1 linewidth 0.6 linecolor rgb '#E4E4E4'
set key outside right center vertical Left reverse samplen 2.5 spacing 1.25 font key_font

plot for [i = 1:line_count] lines index i - 1 using 1:2 with steps linewidth 2.2 \
         linecolor rgb colours[i] title labels[i], \
     for [i = 1:capacity_count] capacities[i] with lines dashtype 2 linewidth 2 \
         linecolor rgb '#202020' title sprintf('capacity: %.3g %s', capacities[i], memory_unit)
