/* Durations by ranges. Owns nothing; any thread. */
#include "telemetry/histogram.h"

#include "base/mem.h"

const uint64_t histogram_bounds_us[HISTOGRAM_RANGES - 1] = {500, 1000, 2000, 5000, 10000, 20000,
	50000, 100000, 200000, 500000, 1000000, 2000000, 5000000, 10000000, 30000000};

size_t histogram_range(uint64_t us)
{
	size_t i = 0;

	while (i < ARRAY_LEN(histogram_bounds_us) && us > histogram_bounds_us[i])
		i++;
	return i;
}

void histogram_add(struct histogram *h, uint64_t us)
{
	atomic_fetch_add_explicit(&h->counts[histogram_range(us)], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
}

void histogram_read(const struct histogram *h, struct histogram_view *ret)
{
	*ret = (struct histogram_view){
		.sum_us = atomic_load_explicit(&h->sum_us, memory_order_relaxed)};
	for (size_t i = 0; i < HISTOGRAM_RANGES; i++) {
		ret->counts[i] = atomic_load_explicit(&h->counts[i], memory_order_relaxed);
		ret->count += ret->counts[i];
	}
}

uint64_t histogram_quantile_us(const struct histogram_view *v, unsigned percent)
{
	uint64_t before = 0, rank;
	size_t i = 0;

	if (v->count == 0)
		return 0;
	rank = MAX((v->count * percent + 99) / 100, 1);
	while (i < HISTOGRAM_RANGES - 1 && before + v->counts[i] < rank)
		before += v->counts[i++];
	if (i == HISTOGRAM_RANGES - 1)
		return histogram_bounds_us[HISTOGRAM_RANGES - 2];
	{
		uint64_t low = i > 0 ? histogram_bounds_us[i - 1] : 0;

		return low + (histogram_bounds_us[i] - low) * (rank - before) / v->counts[i];
	}
}

void histogram_since(const struct histogram_view *now, const struct histogram_view *before,
	struct histogram_view *ret)
{
	struct histogram_view since = {0};

	for (size_t i = 0; i < HISTOGRAM_RANGES; i++) {
		since.counts[i] = now->counts[i] - MIN(before->counts[i], now->counts[i]);
		since.count += since.counts[i];
	}
	since.sum_us = now->sum_us - MIN(before->sum_us, now->sum_us);
	*ret = since;
}
