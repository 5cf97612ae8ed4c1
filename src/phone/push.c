/*
 * The Ping loop. A Ping names the folders and a heartbeat; the answer says which folders to sync,
 * or that the heartbeat is over, or what was wrong with it:
 *
 *     1 over      the next may be longer       5 heartbeat   take the server's bound
 *     2 changes   sync those folders           6 folders     name fewer
 *     3, 4        we always send all: error    7 FolderSync  list the folders again
 *                                              8 trouble     wait and try again
 *
 * Before each Ping: watch the Maildir, then look at it, then wait, so that no change of the user's
 * is missed between the look and the wait.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "phone/phone.h"

#define SLACK_S        30  /* beyond the heartbeat before a Ping counts as lost */
#define SETTLE_MS      300 /* a mail program touches several files at once */
#define LOCAL_ROUNDS   4
#define EMPTY_WAKES    3 /* pushes that bring nothing: so many at once, then slower */
#define EMPTY_PAUSE_MS 5000

/* One Ping. */
struct ping {
	struct phone *p;
	unsigned heartbeat_s;
	struct arena *arena;
	struct answer_ping answer;
	int64_t sent_us, answered_us;
	bool interrupted;
};

static void watch_folders(struct phone *p)
{
	if (p->inotify_fd < 0)
		return;
	for (size_t i = 0; i < p->profile->folder_count; i++) {
		const struct profile_folder *f = &p->profile->folders[i];
		CLEANUP(mem_freep) char *dir = f->wanted ? hierarchy_dir(p, f) : NULL;

		for (int n = 0; f->wanted && n < 2; n++) {
			CLEANUP(mem_freep) char *sub = x_printf("%s/%s", dir, n ? "cur" : "new");

			/* The same folder again is no second watch. */
			(void)inotify_add_watch(p->inotify_fd, sub,
				IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
		}
	}
}

static void drain_watch(const struct phone *p)
{
	char events[4096];

	while (p->inotify_fd >= 0 && read(p->inotify_fd, events, sizeof(events)) > 0)
		;
}

/* Sends up what the user did; *ret_any: there was something. */
static int sync_local(struct phone *p, bool *ret_any, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < p->profile->folder_count; i++) {
		const struct profile_folder *f = &p->profile->folders[i];
		struct mail_sync_count ignored;
		bool changed = false;

		if (!f->wanted)
			continue;
		if (mail_sync_local_changes(p, f, &changed, err) < 0 ||
			(changed && mail_sync_run(p, f, &ignored, err) < 0))
			return -1;
		any = any || changed;
	}
	*ret_any = any;
	return 0;
}

/* Watch, look, and look again while there was something: our own writes wake the watch too. */
static int settle_local(struct phone *p, struct err *err)
{
	bool any = true;

	watch_folders(p);
	for (int rounds = 0; any && rounds < LOCAL_ROUNDS; rounds++) {
		drain_watch(p);
		if (sync_local(p, &any, err) < 0)
			return -1;
	}
	if (any) /* the server refuses something again and again: not to be woken by that */
		drain_watch(p);
	return 0;
}

static void on_held(void *owner)
{
	const struct ping *ping = owner;
	CLEANUP(mem_freep)
	char *text = x_printf("Waiting for changes, at most %u s ...", ping->heartbeat_s);

	events_emit(&ping->p->events, 0, text, "ping_parked",
		EV_INT("heartbeat_s", ping->heartbeat_s),
		EV_STR("state", heartbeat_state_to_str(ping->p->profile->heartbeat.state)));
}

/* The Inbox first, so that it is among those that fit. */
static size_t list_folders(const struct phone *p, struct request_ping_folder *list)
{
	size_t count = 0;

	for (int inbox = 1; inbox >= 0; inbox--) {
		for (size_t i = 0; i < p->profile->folder_count; i++) {
			const struct profile_folder *f = &p->profile->folders[i];

			if (f->wanted && (f->type == 2) == inbox)
				list[count++] = (struct request_ping_folder){f->id, "Email"};
		}
	}
	if (p->profile->max_folders > 0)
		count = MIN(count, p->profile->max_folders);
	return count;
}

static unsigned waited_s(const struct ping *ping)
{
	return ping->sent_us == 0
		       ? 0
		       : (unsigned)((ping->answered_us - ping->sent_us + 500000) / 1000000);
}

static int send_ping(struct ping *ping, struct err *err)
{
	struct phone *p = ping->p;
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	CLEANUP(mem_freep)
	struct request_ping_folder *list = x_calloc(p->profile->folder_count + 1, sizeof(*list));
	struct exchange x = {.command = REQUEST_PING,
		.held = true,
		.timeout_ms = ((int64_t)ping->heartbeat_s + SLACK_S) * 1000,
		.on_held = on_held,
		.owner = ping};
	struct wbxml_node *root = NULL;
	int rc;

	request_ping(ping->heartbeat_s, list, list_folders(p, list), &body);
	x.body = body.data;
	x.body_len = body.len;
	rc = exchange_run(p, &x, ping->arena, &root, err);
	ping->sent_us = x.sent_us;
	ping->answered_us = x.answered_us;
	ping->interrupted = x.interrupted;
	if (rc < 0)
		return -1;
	if (answer_ping(ping->arena, root, &ping->answer, err) < 0)
		return -1;
	events_emit(&p->events, x.answered_us, NULL, "ping_answered",
		EV_INT("status", ping->answer.status),
		EV_INT("waited_ms", (x.answered_us - x.sent_us) / 1000),
		EV_LIST("folders", ping->answer.folders, ping->answer.folder_count));
	return 0;
}

/* The folders that the answer names; *ret_changes: what they brought. */
static int sync_named(struct ping *ping, unsigned *ret_changes, struct err *err)
{
	struct phone *p = ping->p;
	unsigned changes = 0;

	for (size_t i = 0; i < ping->answer.folder_count; i++) {
		const struct profile_folder *f =
			profile_folder_find(p->profile, ping->answer.folders[i]);
		struct mail_sync_count n;

		if (f == NULL || !f->wanted) {
			p->hierarchy_stale = true;
			continue;
		}
		if (mail_sync_run(p, f, &n, err) < 0)
			return -1;
		changes += n.added + n.changed + n.deleted;
	}
	*ret_changes = changes;
	return 0;
}

static int on_changes(struct ping *ping, unsigned *empty_wakes, bool *ret_pushed, struct err *err)
{
	int64_t synced_us;
	unsigned changes;

	if (sync_named(ping, &changes, err) < 0)
		return -1;
	synced_us = events_now_us();
	events_emit(&ping->p->events, synced_us, NULL, "pushed", EV_INT("changes", changes),
		EV_INT("ping_answered_mono_us", ping->answered_us),
		EV_INT("sync_us", synced_us - ping->answered_us));
	*empty_wakes = changes > 0 ? 0 : *empty_wakes + 1;
	if (*empty_wakes > EMPTY_WAKES)
		exchange_pause(ping->p, EMPTY_PAUSE_MS);
	*ret_pushed = changes > 0;
	return 0;
}

/* 1: one change was pushed. */
static int judge(struct ping *ping, unsigned *empty_wakes, struct err *err)
{
	struct phone *p = ping->p;
	struct heartbeat *hb = &p->profile->heartbeat;
	const struct answer_ping *a = &ping->answer;
	bool pushed = false;

	switch (a->status) {
	case 1:
		heartbeat_on_expired(hb, waited_s(ping));
		break;
	case 2:
		heartbeat_on_answer(hb, waited_s(ping));
		if (on_changes(ping, empty_wakes, &pushed, err) < 0)
			return -1;
		return pushed;
	case 5:
		heartbeat_on_bound(hb, a->heartbeat_s);
		if (hb->current_s == ping->heartbeat_s)
			return err_set(err, ERR_BAD_INPUT,
				"the server refuses a heartbeat of %u s and names no other",
				ping->heartbeat_s);
		break;
	case 6:
		if (a->max_folders == 0 ||
			(p->profile->max_folders != 0 && a->max_folders >= p->profile->max_folders))
			return err_set(err, ERR_BAD_INPUT,
				"the server takes fewer folders in a Ping and does not say how "
				"many");
		p->profile->max_folders = a->max_folders;
		break;
	case 7:
		p->hierarchy_stale = true;
		return 0;
	case 8:
		return err_set(err, ERR_BUSY, "the server has trouble (Ping Status 8)");
	default:
		return err_set(err, ERR_BAD_INPUT, "Ping failed with Status %u", a->status);
	}
	return profile_save(p->state_dir, p->profile, err);
}

/* The Ping did not come back. Whether that is about its length is the heartbeat's to judge. */
static int on_failure(struct ping *ping, struct err *err)
{
	struct phone *p = ping->p;
	struct heartbeat *hb = &p->profile->heartbeat;
	struct err saved;

	if ((err->code != ERR_TIMEOUT && err->code != ERR_BACKEND) || ping->sent_us == 0 ||
		p->wiped)
		return -1;
	(void)heartbeat_on_cut(hb, waited_s(ping));
	events_emit(&p->events, 0, NULL, "ping_cut", EV_INT("waited_s", waited_s(ping)),
		EV_INT("next_heartbeat_s", hb->current_s), EV_STR("text", err->text));
	if (profile_save(p->state_dir, p->profile, &saved) < 0)
		return err_set(err, saved.code, "%s", saved.text);
	return waited_s(ping) > 2 ? 0 : -1; /* at once: the network is down, not silent */
}

/* 1: one change was pushed. */
static int ping_once(struct phone *p, unsigned *empty_wakes, struct err *err)
{
	struct ping ping = {.p = p, .heartbeat_s = p->profile->heartbeat.current_s};
	int rc;

	ping.arena = arena_new(0);
	rc = send_ping(&ping, err);
	if (rc == 0) {
		rc = judge(&ping, empty_wakes, err);
	} else if (ping.interrupted) {
		exchange_pause(p, SETTLE_MS);
		rc = 0;
	} else {
		rc = on_failure(&ping, err);
	}
	arena_free(&ping.arena);
	return rc;
}

int push_run(struct phone *p, struct err *err)
{
	unsigned empty_wakes = 0;

	for (;;) {
		int rc;

		if (exchange_stopped(p))
			return 0;
		if (p->hierarchy_stale && (hierarchy_run(p, err) < 0 || mail_sync_all(p, err) < 0))
			return -1;
		if (settle_local(p, err) < 0)
			return -1;
		rc = ping_once(p, &empty_wakes, err);
		if (rc < 0)
			return -1;
		if (rc == 1 && p->options->mode == OPTIONS_WAIT_ONE)
			return 0;
	}
}
