#ifndef BELLHOP_TELEMETRY_HISTOGRAM_H
#define BELLHOP_TELEMETRY_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How long things took, counted by ranges: 0.5 ms to 30 s, and beyond. Adding is two relaxed
 * additions, from any thread; reading sees each counter by itself, so a sum may be a moment older
 * than its counts. Zeroed memory is an empty one.
 */
#define HISTOGRAM_RANGES 16 /* the last: longer than all bounds */

struct histogram {
	_Atomic uint64_t counts[HISTOGRAM_RANGES];
	_Atomic uint64_t sum_us;
};

/* What was in one at a moment. */
struct histogram_view {
	uint64_t counts[HISTOGRAM_RANGES];
	uint64_t sum_us, count;
};

/* The longest that belongs to each range but the last. */
extern const uint64_t histogram_bounds_us[HISTOGRAM_RANGES - 1];

size_t histogram_range(uint64_t us);
void histogram_add(struct histogram *h, uint64_t us);
void histogram_read(const struct histogram *h, struct histogram_view *ret);
/*
 * So long took the fastest `percent` of them, between the bounds of its range by proportion; 0 of
 * none. What is beyond the last bound is that bound.
 */
uint64_t histogram_quantile_us(const struct histogram_view *v, unsigned percent);
/* What came since `before`, which was read from the same one. Counts that went back are 0. */
void histogram_since(const struct histogram_view *now, const struct histogram_view *before,
	struct histogram_view *ret);

#endif
