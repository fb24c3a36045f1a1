# Bus bandwidth against size. Variables come from sim/study/partita_collective.c: heading, rates (a data file with one
# block of (bytes, GB/s) per algorithm), line_count, labels, colours, low, high (bytes), largest (GB/s).
# `auto` lies on the line of what it chose, and is dashed.
key_font = sprintf(',%g', 15 * points) # set key takes no expression
set title heading font sprintf(',%g', 20 * points)
set logscale x 2
set xrange [low:high]
set yrange [0:largest * 1.06]
set xlabel 'size (bytes)' font sprintf(',%g', 16 * points)
set ylabel 'bus bandwidth (GB/s)' font sprintf(',%g', 16 * points)
unset xtics
base = high / low > 512 ? 4 : 2
power(e) = base ** e
label(e) = sprintf('%.0f %s', power(e) / 1024 ** int(log(power(e)) / log(1024) + 1e-9), \
                   word('B KiB MiB GiB TiB PiB', 1 + int(log(power(e)) / log(1024) + 1e-9)))
set xtics (label(0) 1)
set for [e = 1:(base == 4 ? 25 : 50)] xtics add (label(e) power(e))
set xtics out nomirror scale default
set ytics out nomirror
set border 3 linecolor rgb '#404040'
set grid linetype 1 linewidth 0.6 linecolor rgb '#E4E4E4'
set key outside right center vertical Left reverse samplen 2.5 spacing 1.25 font key_font
dash(i) = labels[i] eq 'auto' ? 2 : 1
plot for [i = 1:line_count] rates index i - 1 using 1:2 with linespoints pointtype 3 + i pointsize 0.8 linewidth 2.2 \
         dashtype dash(i) linecolor rgb colours[i] title labels[i]
