/*
 * SVG, written by hand: a frame, ticks at round numbers, lines and a legend, or bars. Colours
 * are chosen to be told apart by everybody, and the background is a plot's own, because a page may
 * be light where its reader's system is dark. Pure.
 */
#include "fleet/plot.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"

#define WIDTH   760.0
#define HEIGHT  420.0
#define LEFT    80.0
#define RIGHT   20.0
#define TOP     40.0
#define BOTTOM  60.0
#define TICKS   5
#define SAMPLES 800 /* of one line at most: more than there are pixels is waste */

static const char *const colours[PLOT_LINES_MAX] = {
	"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999", "#f0e442"};

struct axis {
	double from, to, start, end; /* values, and where they stand */
	bool log;
};

static double place(const struct axis *a, double value)
{
	double from = a->from, to = a->to;

	if (a->log) {
		from = log10(from);
		to = log10(to);
		value = log10(value);
	}
	return a->start + (value - from) / (to - from) * (a->end - a->start);
}

static void add_text(struct buf *out, double x, double y, const char *anchor, const char *text)
{
	buf_addf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	for (; *text != 0; text++) {
		if (*text == '<')
			buf_add_str(out, "&lt;");
		else if (*text == '&')
			buf_add_str(out, "&amp;");
		else
			buf_add_byte(out, (uint8_t)*text);
	}
	buf_add_str(out, "</text>\n");
}

static void number_text(double value, char *text, size_t size)
{
	double magnitude = fabs(value);

	if (magnitude >= 1e9)
		(void)snprintf(text, size, "%.3gG", value / 1e9);
	else if (magnitude >= 1e6)
		(void)snprintf(text, size, "%.3gM", value / 1e6);
	else if (magnitude >= 1e4)
		(void)snprintf(text, size, "%.3gk", value / 1e3);
	else
		(void)snprintf(text, size, "%.4g", value);
}

static void begin(struct buf *out, const char *title, const char *x_title, const char *y_title)
{
	buf_addf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\""
		" font-family=\"sans-serif\" font-size=\"13\">\n"
		"<style>text{fill:#222}.b{fill:#fff}.f{stroke:#888;fill:none}.g{stroke:#8884}"
		"@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#15181c}}</style>\n"
		"<rect class=\"b\" width=\"%.0f\" height=\"%.0f\"/>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	add_text(out, WIDTH / 2, 22, "middle", title);
	add_text(out, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "middle", x_title);
	buf_addf(out, "<g transform=\"translate(18 %.0f) rotate(-90)\">", HEIGHT / 2);
	add_text(out, 0, 0, "middle", y_title);
	buf_add_str(out, "</g>\n");
	buf_addf(out, "<rect class=\"f\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"/>\n",
		LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
}

static void add_x_tick(struct buf *out, const struct axis *x, double value)
{
	char text[32];

	number_text(value, text, sizeof(text));
	add_text(out, place(x, value), HEIGHT - BOTTOM + 18, "middle", text);
}

static void add_y_tick(struct buf *out, const struct axis *y, double value)
{
	double at = place(y, value);
	char text[32];

	number_text(value, text, sizeof(text));
	add_text(out, LEFT - 6, at + 4, "end", text);
	buf_addf(out, "<path class=\"g\" d=\"M%.1f %.1fH%.1f\"/>\n", LEFT, at, WIDTH - RIGHT);
}

/* One, two or five times a power of ten, not below the value. */
static double round_up(double value)
{
	double power = pow(10, floor(log10(value)));

	if (value <= power)
		return power;
	return value <= 2 * power ? 2 * power : value <= 5 * power ? 5 * power : 10 * power;
}

/* At round numbers, at most TICKS + 1 of them; of a logarithmic axis at each power of ten. */
static void add_ticks(struct buf *out, const struct axis *a,
	void (*add)(struct buf *out, const struct axis *a, double value))
{
	double step = round_up((a->to - a->from) / TICKS);
	long first, last;

	if (a->log) {
		first = lround(log10(a->from));
		last = lround(log10(a->to));
	} else {
		first = (long)ceil(a->from / step - 1e-6);
		last = (long)floor(a->to / step + 1e-6);
	}
	for (long n = first; n <= last; n++)
		add(out, a, a->log ? pow(10, (double)n) : (double)n * step);
}

static bool counts(const struct plot *p, double x, double y)
{
	return (!p->x_log || x > 0) && (!p->y_log || y > 0);
}

/* So that both ends have a tick. */
static void whole_powers(struct axis *a)
{
	a->from = pow(10, floor(log10(a->from)));
	a->to = pow(10, ceil(log10(a->to)));
	if (a->to <= a->from)
		a->to = 10 * a->from;
}

static void find_range(const struct plot *p, struct axis *x, struct axis *y)
{
	bool any = false;

	for (size_t l = 0; l < p->line_count; l++) {
		for (size_t i = 0; i < p->lines[l].count; i++) {
			double vx = p->lines[l].x[i], vy = p->lines[l].y[i];

			if (!counts(p, vx, vy))
				continue;
			x->from = any ? MIN(x->from, vx) : vx;
			x->to = any ? MAX(x->to, vx) : vx;
			y->from = any ? MIN(y->from, vy) : vy;
			y->to = any ? MAX(y->to, vy) : vy;
			any = true;
		}
	}
	if (!any) {
		x->from = y->from = 1;
		x->to = y->to = 10;
	}
	if (!p->y_log)
		y->from = MIN(y->from, 0);
	if (x->to <= x->from)
		x->to = x->from + 1;
	if (x->log)
		whole_powers(x);
	if (y->log)
		whole_powers(y);
	else
		y->to = y->to > 0 ? round_up(y->to) : 1;
}

static void add_line(
	struct buf *out, const struct plot *p, size_t l, const struct axis *x, const struct axis *y)
{
	const struct plot_line *line = &p->lines[l];
	size_t step = MAX(line->count / SAMPLES, (size_t)1);
	bool drawn = false;

	buf_addf(out, "<path fill=\"none\" stroke-width=\"2\" stroke=\"%s\" d=\"", colours[l]);
	for (size_t i = 0; i < line->count; i += step) {
		if (!counts(p, line->x[i], line->y[i]))
			continue;
		buf_addf(out, "%s%.1f %.1f", drawn ? "L" : "M", place(x, line->x[i]),
			place(y, line->y[i]));
		drawn = true;
	}
	buf_add_str(out, drawn ? "\"/>\n" : "M0 0\"/>\n");
	buf_addf(out, "<rect fill=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"12\" height=\"12\"/>\n",
		colours[l], LEFT + 12, TOP + 10 + 18.0 * (double)l);
	add_text(out, LEFT + 30, TOP + 21 + 18.0 * (double)l, "start", line->name);
}

void plot_svg(const struct plot *plot, struct buf *out)
{
	struct axis x = {.start = LEFT, .end = WIDTH - RIGHT, .log = plot->x_log};
	struct axis y = {.start = HEIGHT - BOTTOM, .end = TOP, .log = plot->y_log};

	find_range(plot, &x, &y);
	begin(out, plot->title, plot->x_title, plot->y_title);
	add_ticks(out, &x, add_x_tick);
	add_ticks(out, &y, add_y_tick);
	for (size_t l = 0; l < plot->line_count && l < PLOT_LINES_MAX; l++)
		add_line(out, plot, l, &x, &y);
	buf_add_str(out, "</svg>\n");
}

/* Powers of ten around all values above 0. */
static void log_range(const struct plot_bar *bars, size_t count, struct axis *y)
{
	double least = 0;

	for (size_t i = 0; i < count; i++) {
		if (bars[i].value > 0)
			least = least > 0 ? MIN(least, bars[i].value) : bars[i].value;
	}
	y->log = true;
	y->from = least > 0 ? least : 1;
	y->to = MAX(y->to, y->from);
	whole_powers(y);
}

void plot_bars_svg(const struct plot_bars *plot, struct buf *out)
{
	struct axis y = {.to = 0, .start = HEIGHT - BOTTOM, .end = TOP};
	double width = (WIDTH - LEFT - RIGHT) / (double)MAX(plot->count, (size_t)1);

	for (size_t i = 0; i < plot->count; i++)
		y.to = MAX(y.to, plot->bars[i].value);
	if (plot->y_log)
		log_range(plot->bars, plot->count, &y);
	else
		y.to = y.to > 0 ? round_up(y.to) : 1;
	begin(out, plot->title, "", plot->y_title);
	add_ticks(out, &y, add_y_tick);
	for (size_t i = 0; i < plot->count; i++) {
		const struct plot_bar *bar = &plot->bars[i];
		double x = LEFT + width * (double)i;
		double top = place(&y, MAX(bar->value, y.from));
		char text[32];

		number_text(bar->value, text, sizeof(text));
		buf_addf(out,
			"<rect fill=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
			"height=\"%.1f\"/>\n",
			colours[bar->colour % PLOT_LINES_MAX], x + width * 0.15, top, width * 0.7,
			HEIGHT - BOTTOM - top);
		add_text(out, x + width / 2, top - 4, "middle", text);
		add_text(out, x + width / 2, HEIGHT - BOTTOM + 18, "middle", bar->name);
	}
	buf_add_str(out, "</svg>\n");
}
