/*
 * The exact look at what a waiting phone would be told: users, devices and policies first, then
 * what is new.
 *
 * A command has read nearly all that the look asks for before it knew what to register. When
 * nothing has been committed since (store_commits(), asked after the registration), that is what
 * the look would read, and it is not read again: whatever is committed from then on marks the
 * watch.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "eas/access.h"
#include "eas/command/sync_internal.h"
#include "eas/gate.h"
#include "eas/wait_internal.h"
#include "sync/hierarchy.h"

/* A run of folders of one owner, which begins there. */
static size_t same_owner(const struct wait_subject *subject, size_t first)
{
	size_t n = 1;

	while (first + n < subject->folder_count &&
		subject->folders[first + n].owner.v == subject->folders[first].owner.v)
		n++;
	return n;
}

static int look_folders(struct eas_server *server, struct store_read *rd, struct arena *arena,
	const struct wait_subject *subject, int64_t now_at, struct wait_verdict *v, struct err *err)
{
	size_t count = subject->folder_count, n;
	struct sync_look *looks = arena_x_alloc(arena, (count + 1) * sizeof(*looks));

	v->changed = arena_x_alloc(arena, (count + 1) * sizeof(*v->changed));
	for (size_t i = 0; i < count; i++)
		looks[i].folder = subject->folders[i].folder;
	for (size_t i = 0; i < count; i += n) {
		n = same_owner(subject, i);
		if (sync_look(rd, subject->device, subject->folders[i].owner, now_at, looks + i, n,
			    err) < 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++) {
		if (!looks[i].found)
			v->hierarchy = true;
		else if (looks[i].pending ||
			 eas_resync_take(server, subject->device, looks[i].folder))
			v->changed[v->changed_count++] = &subject->folders[i];
	}
	return 0;
}

/* The phone sends nothing now, so its credentials are looked at here: an order to provision, and
 * that the user is locked out, are said even with old ones. */
static void ask_gate(
	const struct gate_subject *subject, bool credentials_old, struct wait_verdict *v)
{
	struct gate_verdict verdict;
	enum gate_answer answer = gate_check(subject, GATE_WIPE, GATE_USER, &verdict);

	/* It was told to provision, and hears nothing more of its mailbox. */
	if (answer == GATE_PASS)
		v->quiet = true;
	if (answer == GATE_NEXT) {
		if (credentials_old) {
			v->http = 401;
			return;
		}
		(void)gate_check(subject, GATE_ACCESS, GATE_POLICY, &verdict);
	}
	v->mute = verdict.mute;
	v->provision = verdict.provision;
	if (verdict.http != 0)
		v->http = verdict.http;
	else if (verdict.provision)
		v->gate = verdict.status;
	else
		v->common = verdict.status;
}

/* When the phone is to provision again though nothing changes; 0: never. */
static int64_t refresh_at(const struct gate_subject *gate)
{
	struct policy_rules rules;

	(void)eas_policy(gate->settings, gate->rules, gate->user, gate->device->id, &rules);
	return policy_refresh_at(gate->device, &rules);
}

/* Who it is about; what the call has when nothing has been committed since it read that. */
struct who {
	const struct user *user;
	const struct device *device;
	const struct rules *rules; /* referenced */
	bool known;                /* nothing has */
};

static bool still_holds(const struct eas_server *server, const struct eas_call *call)
{
	return call != NULL && call->commits != 0 && call->rules != NULL &&
	       call->device->id.v != 0 && store_commits(server->store) == call->commits;
}

/* Is what the call has seen of the folders all that there is? Asked after the registration: who
 * wants a folder to start over makes a mark first, and then tells the watches. */
static bool is_settled(struct eas_server *server, const struct wait_subject *subject)
{
	bool settled = subject->call_settled;

	for (size_t i = 0; i < subject->folder_count && settled; i++)
		settled = !eas_resync_due(server, subject->device, subject->folders[i].folder);
	return settled;
}

/* Without user or device: the verdict is final, and rules are not set. */
static int find_who(struct store_read *rd, struct arena *arena, struct eas_server *server,
	const struct wait_subject *subject, struct wait_verdict *v, struct who *ret,
	struct err *err)
{
	struct device *device;
	struct user *user;

	if (still_holds(server, subject->call)) {
		const struct eas_call *call = subject->call;

		*ret = (struct who){call->user, call->device, rules_ref(call->rules), true};
		return 0;
	}
	if (store_user_load(rd, subject->user, arena, &user, err) < 0) {
		v->http = 401;
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	}
	if (store_device_load(rd, subject->device, arena, &device, err) < 0) {
		v->hierarchy = true; /* FolderSync makes the partnership anew */
		return err->code == ERR_NOT_FOUND ? 0 : -1;
	}
	ret->user = user;
	ret->device = device;
	return rules_get(server->rules, rd, &ret->rules, err);
}

/* Users, devices and policies first: they decide whether the phone may be told anything. */
static int look_admin(struct store_read *rd, struct arena *arena, struct eas_server *server,
	const struct wait_subject *subject, int64_t now_at, struct wait_verdict *v, bool *ret_clean,
	const struct device **ret_device, struct err *err)
{
	struct gate_subject gate = {
		.server = server,
		.settings = server->settings,
		.now_at = now_at,
		.provisioning_known = subject->provisioning_known,
		.plain = subject->plain,
		.waits_by_ping = subject->kind == WATCH_PING,
		.services = &v->services,
	};
	struct rules_subject rules_subject = {subject->user, subject->device, ""};
	struct who who = {.known = false};
	bool revoked;

	if (find_who(rd, arena, server, subject, v, &who, err) < 0)
		return -1;
	if (who.rules == NULL)
		return 0;
	if (eas_app_password_gone(rd, who.device, arena, &revoked, err) < 0) {
		rules_unref(&who.rules);
		return -1;
	}
	rules_subject.domain = who.user->domain;
	services_resolve(who.rules, &rules_subject, server->settings, &v->services);
	v->seq = who.user->seq;
	*ret_clean = (who.known && is_settled(server, subject)) ||
		     (subject->clean_seq != 0 && subject->clean_seq == who.user->seq &&
			     subject->clean_device_epoch == who.device->epoch);
	gate.user = who.user;
	gate.device = who.device;
	gate.version = who.device->protocol_version;
	gate.rules = who.rules;
	ask_gate(&gate, revoked || who.user->epoch != subject->user_epoch, v);
	v->refresh_at = refresh_at(&gate);
	if (v->mute == EAS_MUTE_NOTICE)
		eas_access_texts(who.rules, arena, v->access_texts);
	*ret_device = who.device;
	rules_unref(&who.rules);
	return 0;
}

/* What is further away than the phone can wait without a look need not be noted. */
static void set_due(struct eas_server *server, struct watch_id watch, int64_t in_s)
{
	const struct settings *s = server->settings;

	if (in_s <= (int64_t)(s->push_renew_lease_s + 2 * s->push_heartbeat_max_s))
		watch_set_due(server->watches, watch, clock_now_ms() + in_s * 1000);
}

/* Heartbeats and folders that are out of bounds now, and Syncs that may not wait any more. Such a
 * Sync is told the bound when it asks again; one that is to hear of nothing may wait shorter than
 * it asked for. */
static void look_services(
	const struct wait_subject *subject, const struct device *device, struct wait_verdict *v)
{
	const uint64_t *values = v->services.values;
	uint64_t low = values[SERVICE_heartbeat_min_s], high = values[SERVICE_heartbeat_max_s];
	uint64_t asked =
		subject->kind == WATCH_PING ? device->ping_heartbeat_s : subject->heartbeat_s;

	if (subject->kind == WATCH_SYNC)
		v->renew = asked > high || (asked < low && !subject->muted) ||
			   !service_on(&v->services, SERVICE_direct_push);
	else if (asked != 0 && (asked < low || asked > high))
		v->heartbeat_bound = asked < low ? low : high;
	else if (eas_ping_folder_count(device) > values[SERVICE_folders_per_ping])
		v->folders_bound = values[SERVICE_folders_per_ping];
}

static int look_usage(struct store_read *rd, const struct wait_subject *subject, int64_t now_at,
	struct wait_verdict *v, struct err *err)
{
	int64_t until_at;
	bool over;

	if (eas_usage_over(rd, &v->services, subject->device, now_at, &over, &until_at,
		    &v->items_left, err) < 0)
		return -1;
	if (over && v->mute == EAS_MUTE_NONE)
		v->mute = EAS_MUTE_QUOTA;
	return 0;
}

/* Does a Ping of this device name the folder? */
static bool ping_names(const struct device *device, struct folder_id folder)
{
	bool named = false;
	struct rd in;

	rd_init(&in, device->ping_folders, device->ping_folders_len);
	while (device->ping_folders != NULL && rd_left(&in) > 0 && !in.failed)
		named = rd_varint(&in) == folder.v || named;
	return named;
}

/* A phone that is to hear of nothing watches nothing. In quarantine it is given one message. */
static int look_muted(struct store_read *rd, struct arena *arena,
	const struct wait_subject *subject, const struct device *device, struct wait_verdict *v,
	struct err *err)
{
	struct watch_folder *inbox;
	struct folder_id folder;
	bool due = false;

	if (v->mute == EAS_MUTE_NOTICE &&
		eas_notice_due(rd, subject->user, subject->device, &folder, &due, err) < 0)
		return -1;
	if (due && (subject->kind == WATCH_SYNC || ping_names(device, folder))) {
		inbox = arena_x_new(arena, struct watch_folder);
		*inbox = (struct watch_folder){.owner = subject->user, .folder = folder};
		v->changed = arena_x_alloc(arena, sizeof(*v->changed));
		v->changed[0] = inbox;
		v->changed_count = 1;
	}
	v->renew = v->renew || !subject->muted;
	return 0;
}

/* It was to hear of nothing when it began to wait, and may hear of everything now. */
static int look_released(struct eas_server *server, struct store_read *rd, struct arena *arena,
	const struct wait_subject *subject, const struct device *device, int64_t now_at,
	struct wait_verdict *v, struct err *err)
{
	struct wait_subject meant = *subject;
	struct watch_folder *folders;
	bool ignored;

	if (subject->kind == WATCH_SYNC) {
		v->renew = true;
		return 0;
	}
	if (eas_ping_watch_folders(rd, subject->user, subject->device, arena, device->ping_folders,
		    device->ping_folders_len, &folders, &meant.folder_count, &ignored, err) < 0) {
		if (err->code != ERR_NOT_FOUND)
			return -1;
		*err = (struct err)ERR_INIT;
		v->hierarchy = true;
		return 0;
	}
	meant.folders = folders;
	v->renew = meant.folder_count > 0;
	return look_folders(server, rd, arena, &meant, now_at, v, err);
}

static int look_data(struct eas_server *server, struct store_read *rd, struct arena *arena,
	const struct wait_subject *subject, const struct device *device, bool clean, int64_t now_at,
	struct wait_verdict *v, struct err *err)
{
	if (!clean &&
		hierarchy_pending(rd, subject->device, subject->user, &v->hierarchy, NULL, err) < 0)
		return -1;
	if (v->hierarchy)
		return 0;
	if (v->mute != EAS_MUTE_NONE)
		return look_muted(rd, arena, subject, device, v, err);
	if (subject->muted)
		return look_released(server, rd, arena, subject, device, now_at, v, err);
	return clean ? 0 : look_folders(server, rd, arena, subject, now_at, v, err);
}

int eas_wait_look(struct eas_server *server, struct arena *arena,
	const struct wait_subject *subject, struct wait_verdict *ret, struct err *err)
{
	struct wait_verdict v = {.items_left = UINT64_MAX};
	int64_t now_at = clock_now_at();
	const struct device *device = NULL;
	struct store_read *rd;
	bool clean = false;
	int result;

	if (store_read_begin(server->store, &rd, err) < 0)
		return -1;
	result = look_admin(rd, arena, server, subject, now_at, &v, &clean, &device, err);
	if (result == 0 && !eas_wait_verdict_any(&v) && !v.quiet) {
		look_services(subject, device, &v);
		result = look_usage(rd, subject, now_at, &v, err);
	}
	if (result == 0 && !eas_wait_verdict_any(&v) && !v.quiet)
		result = look_data(server, rd, arena, subject, device, clean, now_at, &v, err);
	store_read_end(&rd);
	if (result < 0)
		return -1;
	/* A change that is published only after this look wakes nobody when the look has seen it.
	 */
	if (subject->watch.v != 0 && !eas_wait_verdict_any(&v)) {
		watch_checked(server->watches, subject->watch, subject->user, v.seq);
		if (v.refresh_at != 0 && !subject->provisioning_known)
			set_due(server, subject->watch, v.refresh_at - now_at);
	}
	*ret = v;
	return 0;
}
