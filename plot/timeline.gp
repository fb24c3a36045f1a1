# A Gantt chart. Variables come from sim/figure/timeline.c: left, right, top, bottom (margins, fractions of the
# picture), height (of the picture in pixels), from, to, unit (the time axis), bands, heading, and the data files:
# wide and narrow (x y xlow xhigh ylow yhigh colour), texts and uprights (x y text colour). The legend and the
# bands' names are set before this file is loaded.
set label heading at screen (left + right) / 2, screen 1 - 26. / height center \
    font sprintf(',%g', 20 * points)
set lmargin at screen left
set rmargin at screen right
set tmargin at screen top
set bmargin at screen bottom

set xrange [from:to]
set yrange [bands + 0.02:0]
set label 'time (' . unit . ')' at screen (left + right) / 2, screen 18. / height center \
    font sprintf(',%g', 16 * points)
set xtics out nomirror
set ytics scale 0
set border 1 linecolor rgb '#404040'
set grid xtics linetype 1 linewidth 0.6 linecolor rgb '#E4E4E4'
do for [band = 1:bands - 1] {
    set arrow from graph 0, first band to graph 1, first band nohead linewidth 0.8 linecolor rgb '#C8C8C8' back
}
unset key
set style fill solid 1.0 noborder

plot for [once = 1:narrow_boxes > 0] narrow using 1:2:3:4:5:6:7 with boxxyerror \
         fillstyle solid 1.0 noborder linecolor rgb variable notitle, \
     for [once = 1:wide_boxes > 0] wide using 1:2:3:4:5:6:7 with boxxyerror \
         fillstyle solid 1.0 border rgb 'white' linewidth 0.8 linecolor rgb variable notitle, \
     for [once = 1:text_count > 0] texts using 1:2:3:4 with labels font sprintf(',%g', text_font * points) \
         textcolor rgb variable notitle, \
     for [once = 1:upright_count > 0] uprights using 1:2:3:4 with labels rotate by 90 center \
         font sprintf(',%g', text_font * points) textcolor rgb variable notitle
