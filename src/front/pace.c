/*
 * Pacing: when very many phones come at once, none of those that are in may starve, and the work
 * that was begun must be finished before its time is over.
 *
 * Three brakes, all on TLS handshakes, which cost a hundred times what anything else does: so many
 * may be unfinished (tls.handshakes_max, this front's share of it), so many may begin in a second
 * (tls.handshakes_rate), and so many steps are done in a round of the loop, between which all
 * others have their turn. Who does not fit in waits in the kernel's queue of the listener, or here
 * in front.again, first come, first served. That no address has them all: turns.c.
 *
 * When more than half of the unfinished ones are taken, who is silent is given a third of the time:
 * a few thousand clients that never speak must not keep phones out. Who has sent a good ClientHello
 * has all of it, from then on: a phone that is slow because all others come back, too, would only
 * begin again, and cost us the handshake twice. Bytes that came in time are heard, however late.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "front/front_internal.h"

#define STEPS_ROUND   8
#define TRIM_MS       2000 /* after a handshake, when only so many are unfinished: */
#define TRIM_QUIET    16u
#define SHARE_MIN     32u /* unfinished handshakes of a front, however many fronts there are */
#define IN_A_HURRY    3
#define SECOND_MS     1000
#define RATE_PIECE_MS 50 /* a second's worth of beginnings comes in pieces */

static uint32_t unfinished_max(const struct front *f)
{
	uint32_t fronts = MAX(f->options.fronts, 1u);

	return MAX((uint32_t)f->settings->tls_handshakes_max / fronts, SHARE_MIN);
}

bool pace_is_full(const struct front *f)
{
	return f->handshakes >= unfinished_max(f);
}

uint32_t pace_room(const struct front *f)
{
	uint64_t of_one = f->settings->http_connections_per_address / MAX(f->options.fronts, 1u);

	return MAX((uint32_t)(of_one + of_one / 4), unfinished_max(f));
}

bool pace_is_crowded(const struct front *f)
{
	return f->handshakes > unfinished_max(f) / 2;
}

uint32_t pace_share(const struct front *f)
{
	uint64_t percent = f->settings->tls_handshakes_address_percent;

	return MAX((uint32_t)(unfinished_max(f) * percent / 100), 1u);
}

static uint32_t per_piece(const struct front *f)
{
	return MAX((uint32_t)f->settings->tls_handshakes_rate * RATE_PIECE_MS / SECOND_MS, 1u);
}

int64_t pace_accept_in_ms(struct front *f)
{
	int64_t now_ms = clock_now_ms(), piece = now_ms / RATE_PIECE_MS;

	if (pace_is_full(f) || f->turns_waiting >= pace_room(f)) {
		f->accept_waits = true;
		return PACE_LATER;
	}
	if (f->pace_piece != piece) {
		f->pace_piece = piece;
		f->pace_begun = 0;
	}
	if (f->settings->tls_handshakes_rate > 0 && f->pace_begun >= per_piece(f))
		return (piece + 1) * RATE_PIECE_MS - now_ms;
	return 0;
}

void pace_begin(struct front *f)
{
	f->handshakes++;
	f->pace_begun++;
}

/* A handshake takes some 30 KB for a moment; what a crowd of them took lies scattered in the heap
 * afterwards, between what stays, and would stay for good. The last few of a crowd leave as much
 * behind as all of it, so none is too small. */
void pace_on_trim(void *owner)
{
	struct front *f = owner;

	if (f->handshakes > TRIM_QUIET) {
		loop_timer_set(&f->trim, clock_now_ms() + TRIM_MS);
		return;
	}
	mem_trim();
}

void pace_end(struct front *f)
{
	f->handshakes--;
	if (f->trim.place == 0)
		loop_timer_set(&f->trim, clock_now_ms() + TRIM_MS);
}

void pace_accept_again(struct front *f)
{
	if (!f->accept_waits || pace_is_full(f) || f->turns_waiting >= pace_room(f))
		return;
	f->accept_waits = false;
	if (f->listener_count > 0)
		loop_timer_set(&f->accept_again, clock_now_ms());
}

uint64_t pace_timeout_s(const struct front *f)
{
	uint64_t s = f->settings->tls_handshake_timeout_s;

	return pace_is_crowded(f) ? MAX(s / IN_A_HURRY, (uint64_t)1) : s;
}

bool pace_step(struct front *f)
{
	if (f->pace_steps >= STEPS_ROUND)
		return false;
	f->pace_steps++;
	return true;
}

void pace_round_end(struct front *f)
{
	f->pace_steps = 0;
}
