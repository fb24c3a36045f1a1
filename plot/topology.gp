# A network. Variables come from sim/figure/picture.c: heading, the frame, cables (a data file with one block of lines
# per kind), kind_count with labels, colours, widths and dashes, and devices, switches, media and stores (x, y,
# name, and where the name goes).
key_font = sprintf(',%g', 15 * points) # set key takes no expression
name_font = sprintf(',%g', 12 * points)
set title heading font sprintf(',%g', 20 * points)
set xrange [low_x:high_x]
set yrange [low_y:high_y]
if (proportional) { set size ratio -1 }
unset border
unset xtics
unset ytics
set key outside right center vertical Left reverse samplen 2.5 spacing 1.3 font key_font
set style line 1 pointtype 7 pointsize symbol linecolor rgb '#202020'
set style line 2 pointtype 5 pointsize symbol * 1.15 linecolor rgb '#707070'
set style line 3 pointtype 13 pointsize symbol * 1.3 linecolor rgb '#B0B0B0'
set style line 4 pointtype 9 pointsize symbol * 1.3 linecolor rgb '#202020'

# Names of devices in a crowded row stand upright.
upright = turned ? ' right rotate by 90 ' : ' center '
set style textbox opaque noborder fillcolor rgb '#FFFFFF' margins 0.3,0.3
ink = " boxed font name_font textcolor rgb '#303030' notitle"

command = 'plot for [i = 1:kind_count] cables index i - 1 using 1:2 with lines linewidth widths[i] dashtype dashes[i] ' . \
          'linecolor rgb colours[i] title labels[i]'
if (switch_count) {
    command = command . ', switches using 1:2 with points linestyle 2 title "switch"' . \
              ', switches using 4:5:3 with labels center' . ink
}
if (medium_count) {
    command = command . ', media using 1:2 with points linestyle 3 title "shared medium"' . \
              ', media using 4:5:3 with labels center' . ink
}
if (store_count) {
    command = command . ', stores using 1:2 with points linestyle 4 title "host or drive"' . \
              ', stores using 4:5:3 with labels center' . ink
}
if (device_count) {
    command = command . ', devices using 1:2 with points linestyle 1 title "device"' . \
              ', devices using 4:5:3 with labels' . upright . ink
}
eval(command)
