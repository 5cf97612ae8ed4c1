#ifndef BELLHOP_FLEET_PLOT_H
#define BELLHOP_FLEET_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Line plots as SVG, readable in light and dark. Pure: the text is appended to a buffer.
 */
#define PLOT_LINES_MAX 8

struct plot_line {
	const char *name;
	const double *x, *y;
	size_t count;
};

struct plot {
	const char *title, *x_title, *y_title;
	bool x_log, y_log; /* values of 0 and below are left out then */
	size_t line_count;
	struct plot_line lines[PLOT_LINES_MAX];
};

void plot_svg(const struct plot *plot, struct buf *out);

/* Bars side by side with their values. */
struct plot_bar {
	const char *name;
	double value;
	unsigned colour; /* those of one kind have the same */
};
struct plot_bars {
	const char *title, *y_title;
	bool y_log;
	const struct plot_bar *bars;
	size_t count;
};
void plot_bars_svg(const struct plot_bars *plot, struct buf *out);

#endif
