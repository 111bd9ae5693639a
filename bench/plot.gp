# gnuplot -e "data='compared.tsv'; dir='out/bench'; limit=1.01" plot.gp
#
# compared.tsv: operation, variant, siblings, then base, series and ratio of the
# median. The rows of two operations together are left out: they say the same.

single = "< grep -v '+' '".data."'"
set datafile separator "\t"
set terminal svg size 1000,560 noenhanced font ',12' background rgb 'white'
set style data histogram
set style histogram clustered gap 1
set style fill solid border -1
set xtics rotate by 45 right
set grid y
set lmargin 14
set bmargin 11
label(n) = sprintf("%s, %s%s", strcol(1), strcol(2), strcol(3) eq "0" ? "" : ' *')

set output dir.'/instructions.svg'
set title 'configfs: instructions for an operation (median; * among 100000 siblings)'
set logscale y
plot single using 4:xtic(label(0)) title 'base' lc rgb '#888888', \
	'' using 5 title 'series' lc rgb '#3060c0'

set output dir.'/change.svg'
set title 'configfs: change of the instructions by the series (median; * among 100000 siblings)'
set format y '%+.1f %%'
unset logscale y
set xzeroaxis lt -1
set yrange [*<-0.5:1.5<*]
set key below
plot single using (100 * (column(6) - 1)):xtic(label(0)) title 'series' lc rgb '#3060c0', \
	100 * (limit - 1) title 'limit' with lines lc rgb '#c03030' dt 2 lw 2

# The same operation with more and more below the item: where it is committed by
# rename(2), what a rename takes in ramfs (base), and in configfs; and in place.
set output dir.'/below.svg'
set title 'configfs: instructions for a commit by what is below the item'
set style data linespoints
set format y '%g'
set yrange [0:*]
set xlabel 'items below'
set logscale x
set xtics norotate ('0' 1, '100' 100, '10000' 10000)
set bmargin 5
set key inside
below(kind) = "< awk -F'\t' '$2 ~ /^".kind." with/ && $1 ~ /^(rename|commit)$/ && $3 == 0 \
	{ split($2, w, \" \"); print (w[3] ? w[3] : 1) \"\t\" $4 \"\t\" $5 }' '".data."'"
plot below('item') using 1:2 title 'rename in ramfs', \
	'' using 1:3 title 'commit by rename', \
	below('unit') using 1:3 title 'commit in place'
