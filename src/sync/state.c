/*
 * Sync states: what is in them and how they change; state_blob.c has their stored form.
 */
#include "sync/state.h"

#include <string.h>

#include "base/mem.h"

#define DAY_S 86400

void sync_options_default(struct sync_options *options)
{
	*options = (struct sync_options){
		.conflict = 1,
		.truncation = SYNC_TRUNCATION_NONE,
		.mime_truncation = SYNC_TRUNCATION_NONE,
	};
}

static bool preference_equal(
	const struct sync_body_preference *a, const struct sync_body_preference *b)
{
	return a->type == b->type && a->has_truncation == b->has_truncation &&
	       a->all_or_none == b->all_or_none && a->truncation_bytes == b->truncation_bytes &&
	       a->preview_chars == b->preview_chars;
}

bool sync_options_equal(const struct sync_options *a, const struct sync_options *b)
{
	if (a->filter != b->filter || a->conflict != b->conflict ||
		a->mime_support != b->mime_support || a->truncation != b->truncation ||
		a->mime_truncation != b->mime_truncation ||
		a->preference_count != b->preference_count)
		return false;
	for (size_t i = 0; i < a->preference_count; i++) {
		if (!preference_equal(&a->preferences[i], &b->preferences[i]))
			return false;
	}
	return preference_equal(&a->part, &b->part);
}

bool sync_scope_equal(const struct sync_scope *a, const struct sync_scope *b)
{
	return sync_options_equal(&a->options, &b->options) && a->sms == b->sms &&
	       (!a->sms || sync_options_equal(&a->sms_options, &b->sms_options)) &&
	       a->conversation_mode == b->conversation_mode;
}

int64_t sync_filter_span_s(uint8_t filter)
{
	static const int64_t days[] = {0, 1, 3, 7, 14, 31, 92, 183, 0};

	return filter < ARRAY_LEN(days) ? days[filter] * DAY_S : 0;
}

int64_t sync_filter_cutoff(uint8_t filter, int64_t now_at)
{
	int64_t span = sync_filter_span_s(filter);

	return span == 0 ? INT64_MIN : (now_at - span) / 3600 * 3600;
}

/* ---- life ---- */

void sync_state_init(struct sync_state *s)
{
	*s = (struct sync_state){.cutoff_at = INT64_MIN, .sms_cutoff_at = INT64_MIN};
	sync_options_default(&s->scope.options);
	sync_options_default(&s->scope.sms_options);
}

void sync_state_deinit(struct sync_state *s)
{
	id_set_deinit(&s->inventory);
	id_set_deinit(&s->withheld);
	mem_free(s->own);
	mem_free(s->resend);
	mem_free(s->answers);
	mem_free(s->supported);
	sync_state_init(s);
}

static void *copy_of(const void *from, size_t count, size_t size)
{
	void *copy;

	if (count == 0)
		return NULL;
	copy = x_calloc(count, size);
	memcpy(copy, from, count * size);
	return copy;
}

void sync_state_copy(struct sync_state *to, const struct sync_state *from)
{
	sync_state_deinit(to);
	*to = *from;
	to->inventory = to->withheld = (struct id_set)ID_SET_INIT;
	id_set_copy(&to->inventory, &from->inventory);
	id_set_copy(&to->withheld, &from->withheld);
	to->own = copy_of(from->own, from->own_count, sizeof(*from->own));
	to->resend = copy_of(from->resend, from->resend_count, sizeof(*from->resend));
	to->supported = copy_of(from->supported, from->supported_count, sizeof(*from->supported));
	to->answers = NULL;
	to->answer_count = 0;
	to->repeats = 0;
	to->used = false;
	to->suspect = 0;
}

bool sync_state_same(const struct sync_state *a, const struct sync_state *b)
{
	struct sync_chunk_list chunks_a = SYNC_CHUNK_LIST_INIT, chunks_b = SYNC_CHUNK_LIST_INIT;
	struct buf blob_a = BUF_INIT, blob_b = BUF_INIT;
	bool same;

	sync_state_encode(a, &blob_a, &chunks_a);
	sync_state_encode(b, &blob_b, &chunks_b);
	/* Chunks are named by their content: the names in the blobs say it all. */
	same = blob_a.len == blob_b.len && memcmp(blob_a.data, blob_b.data, blob_a.len) == 0;
	buf_deinit(&blob_a);
	buf_deinit(&blob_b);
	sync_chunk_list_deinit(&chunks_a);
	sync_chunk_list_deinit(&chunks_b);
	return same;
}

/* ---- own changes, answers, what is to be put right ---- */

/* Where the entry of an item and group is, or belongs. */
static size_t find_own(const struct sync_state *s, uint64_t item, uint8_t group, bool *ret_found)
{
	size_t low = 0, high = s->own_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct sync_own *own = &s->own[mid];

		if (own->item < item || (own->item == item && own->group < group))
			low = mid + 1;
		else
			high = mid;
	}
	*ret_found = low < s->own_count && s->own[low].item == item && s->own[low].group == group;
	return low;
}

void sync_state_add_own(struct sync_state *s, uint64_t item, uint8_t groups, uint64_t seq)
{
	for (unsigned group = SYNC_CONTENT; group <= SYNC_VERB; group <<= 1) {
		size_t at;
		bool found;

		if ((groups & group) == 0)
			continue;
		at = find_own(s, item, (uint8_t)group, &found);
		if (found) {
			s->own[at].seq = MAX(s->own[at].seq, seq);
			continue;
		}
		s->own = x_realloc(s->own, (s->own_count + 1) * sizeof(*s->own));
		memmove(s->own + at + 1, s->own + at, (s->own_count - at) * sizeof(*s->own));
		s->own[at] = (struct sync_own){item, seq, (uint8_t)group};
		s->own_count++;
	}
}

bool sync_state_is_own(const struct sync_state *s, uint64_t item, uint8_t group, uint64_t seq)
{
	bool found;
	size_t at = find_own(s, item, group, &found);

	return found && s->own[at].seq == seq;
}

bool sync_state_has_seen(const struct sync_state *s, const struct item_row *row, uint64_t group_seq)
{
	return group_seq <= s->since || row->changed_seq <= s->position ||
	       (row->changed_seq == s->partial_seq && row->id.v <= s->partial_item);
}

void sync_state_prune(struct sync_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->own_count; i++) {
		if (s->own[i].seq > s->since)
			s->own[kept++] = s->own[i];
	}
	s->own_count = kept;
}

void sync_state_add_answer(struct sync_state *s, const struct sync_answer *answer)
{
	s->answers = x_realloc(s->answers, (s->answer_count + 1) * sizeof(*s->answers));
	s->answers[s->answer_count++] = *answer;
}

const struct sync_answer *sync_state_find_answer(const struct sync_state *s, uint64_t command_hash)
{
	for (size_t i = 0; i < s->answer_count; i++) {
		if (s->answers[i].command_hash == command_hash)
			return &s->answers[i];
	}
	return NULL;
}

bool sync_state_add_resend(struct sync_state *s, uint64_t item, uint8_t groups)
{
	for (size_t i = 0; i < s->resend_count; i++) {
		if (s->resend[i].item == item) {
			s->resend[i].groups |= groups;
			return true;
		}
	}
	if (s->resend_count >= SYNC_RESEND_MAX)
		return false;
	s->resend = x_realloc(s->resend, (s->resend_count + 1) * sizeof(*s->resend));
	s->resend[s->resend_count++] = (struct sync_resend){item, groups};
	return true;
}

uint8_t sync_state_find_resend(const struct sync_state *s, uint64_t item)
{
	for (size_t i = 0; i < s->resend_count; i++) {
		if (s->resend[i].item == item)
			return s->resend[i].groups;
	}
	return 0;
}

uint8_t sync_state_take_resend(struct sync_state *s, uint64_t item)
{
	for (size_t i = 0; i < s->resend_count; i++) {
		if (s->resend[i].item == item) {
			uint8_t groups = s->resend[i].groups;

			s->resend_count--;
			memmove(s->resend + i, s->resend + i + 1,
				(s->resend_count - i) * sizeof(*s->resend));
			return groups;
		}
	}
	return 0;
}

void sync_state_withhold(struct sync_state *s, uint64_t item)
{
	(void)id_set_add(&s->withheld, item);
	if (id_set_count(&s->withheld) > SYNC_WITHHELD_MAX)
		(void)id_set_remove(&s->withheld, s->withheld.runs[0].first);
}

/* ---- what is to be listed ---- */

static void scan_range(struct sync_state *s, int64_t below_at, int64_t since_at)
{
	s->scan.active = true;
	s->scan.cursor = (struct item_cursor){below_at, {below_at == INT64_MAX ? UINT64_MAX : 0}};
	s->scan.since_at = since_at;
}

static void set_cutoffs(struct sync_state *s, int64_t now_at)
{
	s->cutoff_at = sync_filter_cutoff(s->scope.options.filter, now_at);
	s->sms_cutoff_at = sync_filter_cutoff(s->scope.sms_options.filter, now_at);
}

void sync_state_begin(struct sync_state *state, uint16_t version, uint64_t owner_seq,
	const struct sync_scope *scope, int64_t now_at)
{
	state->version = version;
	state->since = state->position = owner_seq;
	state->scope = *scope;
	set_cutoffs(state, now_at);
	scan_range(state, INT64_MAX,
		scope->sms ? MIN(state->cutoff_at, state->sms_cutoff_at) : state->cutoff_at);
}

/* Down to where anything may have to change: everything held or wanted is above it, but for older
 * members of conversations. */
static int64_t lowest(const struct sync_state *s)
{
	int64_t since_at = s->cutoff_at;

	if (s->scope.sms)
		since_at = MIN(since_at, s->sms_cutoff_at);
	/* A narrowing that was not finished has left items further down. */
	if (s->scan.active)
		since_at = MIN(since_at, s->scan.since_at);
	return s->scope.conversation_mode ? INT64_MIN : since_at;
}

void sync_state_set_scope(struct sync_state *state, const struct sync_scope *scope, int64_t now_at)
{
	const struct sync_scope *old = &state->scope;
	bool same_items = scope->options.filter == old->options.filter && scope->sms == old->sms &&
			  (!scope->sms || scope->sms_options.filter == old->sms_options.filter) &&
			  scope->conversation_mode == old->conversation_mode;
	int64_t since_at = lowest(state);

	state->scope = *scope;
	if (same_items)
		return;
	set_cutoffs(state, now_at);
	since_at = MIN(since_at, lowest(state));
	scan_range(state, INT64_MAX, since_at);
}

void sync_state_age(struct sync_state *s, int64_t now_at)
{
	int64_t mail_at = s->cutoff_at, sms_at = s->sms_cutoff_at;
	int64_t below_at = INT64_MIN, since_at = INT64_MAX;

	/* While a scan runs the cutoffs stand still, so that what it has passed and what it will
	 * meet are judged alike. */
	if (s->scan.active)
		return;
	set_cutoffs(s, now_at);
	if (s->cutoff_at != mail_at) {
		below_at = MAX(s->cutoff_at, mail_at);
		since_at = MIN(s->cutoff_at, mail_at);
	}
	if (s->scope.sms && s->sms_cutoff_at != sms_at) {
		below_at = MAX(below_at, MAX(s->sms_cutoff_at, sms_at));
		since_at = MIN(since_at, MIN(s->sms_cutoff_at, sms_at));
	}
	if (below_at != INT64_MIN)
		scan_range(s, below_at, since_at);
}

void sync_state_rescan(struct sync_state *s)
{
	scan_range(s, INT64_MAX, INT64_MIN);
}

void sync_state_request_repair(struct sync_state *s)
{
	id_set_deinit(&s->withheld);
	scan_range(s, INT64_MAX, INT64_MIN);
	s->scan.vanished = true;
}
