/*
 * What is remembered of requests and answers, for whoever administers (telemetry/): counts and
 * durations of all, the raw bytes of the last ones of each phone, why the last ones failed. A few
 * relaxed additions and two short copies for a request; nothing is decoded here. Bodies that are no
 * WBXML (messages, attachments) are not kept, only how long they were.
 *
 * Threads: any. Owns nothing. Limits: those of struct telemetry.
 */
#include "eas/remember.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "telemetry/telemetry.h"

void eas_reply_note(struct eas_reply *reply, unsigned status)
{
	if (status != EAS_STATUS_SUCCESS && reply->eas_status == 0)
		reply->eas_status = (uint16_t)status;
}

static unsigned http_of(const struct eas_reply *reply)
{
	return reply->kind == EAS_REPLY_WAIT ? 0 : (unsigned)reply->status;
}

static bool is_wbxml(const uint8_t *bytes, size_t len)
{
	return len > 4 && bytes[0] == 0x03 && bytes[1] == 0x01;
}

static void set_message(const uint8_t *bytes, size_t len, const uint8_t **ret, uint32_t *ret_len)
{
	*ret = is_wbxml(bytes, len) ? bytes : NULL;
	*ret_len = (uint32_t)len;
}

/* The row of a device that the query names; 0: there is none. */
static uint64_t find_device(struct store *store, struct owner_id user,
	const struct eas_query *query, struct arena *arena)
{
	CLEANUP(store_read_end) struct store_read *rd = NULL;
	struct err ignored = ERR_INIT;
	struct device *device;

	if (query->device_id == NULL || query->device_id[0] == '\0' ||
		store_read_begin(store, &rd, &ignored) < 0 ||
		store_device_find(rd, user, query->device_id, arena, &device, &ignored) < 0)
		return 0;
	return device->id.v;
}

/* Of a failure also when the request did not get as far as its device. */
static uint64_t device_of(const struct eas_call *call)
{
	const struct eas_reply *reply = call->reply;

	if (call->device != NULL)
		return call->device->id.v;
	if (reply->kind != EAS_REPLY_ANSWER || (reply->status < 400 && reply->eas_status == 0))
		return 0;
	return find_device(call->server->store, call->user->id, call->query, call->arena);
}

static void add_fault(struct telemetry *t, const struct trace *trace, const struct eas_reply *reply)
{
	struct fault fault = {.device = trace->device,
		.at = trace->at_ms / 1000,
		.version = trace->version,
		.http = trace->http,
		.status = trace->status,
		.command = trace->command};
	const char *why = reply->why != NULL ? reply->why : "";

	telemetry_count(&t->errors);
	(void)snprintf(fault.address, sizeof(fault.address), "%s",
		reply->log.address != NULL ? reply->log.address : "");
	(void)snprintf(fault.text, sizeof(fault.text), "%s", why);
	faults_add(t->faults, &fault);
}

/* A phone that waits has no answer yet; Ping's "there are changes" is one that is well. */
static void remember(struct telemetry *t, struct trace *trace, const struct eas_reply *reply)
{
	trace->at_ms = clock_wall_ms();
	trace->http = (uint16_t)http_of(reply);
	trace->status = reply->eas_status;
	if (reply->kind == EAS_REPLY_ANSWER) {
		unsigned status = reply->eas_status;

		set_message(reply->body.data, reply->body.len, &trace->answer, &trace->answer_len);
		if (status == 0 && reply->status == 200)
			status = EAS_STATUS_SUCCESS;
		telemetry_answer(t, trace->command, trace->http, status);
		if (reply->status >= 400 || reply->eas_status != 0)
			add_fault(t, trace, reply);
	}
	if (trace->device != 0)
		traces_add(t->traces, trace);
}

void eas_remember(const struct eas_call *call, int64_t begun_us)
{
	struct telemetry *t = call->server->telemetry;
	unsigned command = (unsigned)call->query->command;
	uint64_t took_us = (uint64_t)(clock_now_us() - begun_us);
	struct trace trace = {.device = t != NULL ? device_of(call) : 0,
		.took_us = (uint32_t)(took_us < UINT32_MAX ? took_us : UINT32_MAX),
		.version = (uint16_t)call->version,
		.command = (uint8_t)command};

	if (t == NULL)
		return;
	set_message(call->body, call->body != NULL ? call->body_len : 0, &trace.request,
		&trace.request_len);
	histogram_add(&t->request[command < TELEMETRY_COMMANDS ? command : 0], took_us);
	remember(t, &trace, call->reply);
}

/* Of requests that are not looked at any more, after too many failures, one is enough: whoever
 * guesses passwords is not to push out what happened to others. */
static bool is_known(struct telemetry *t, const struct fault *fault)
{
	struct fault newest;

	return fault->http == 503 && faults_read(t->faults, fault->device, &newest, 1) == 1 &&
	       newest.http == 503 && newest.status == 0;
}

void eas_remember_refused(struct telemetry *t, struct store *store, const struct ipc_request *http,
	struct owner_id user, unsigned http_status, struct arena *arena)
{
	struct eas_query *query = arena_x_new(arena, struct eas_query);
	struct err ignored = ERR_INIT;
	struct fault fault = {.at = clock_now_at(), .http = (uint16_t)http_status};

	if (t == NULL)
		return;
	/* What is wrong with it is no news: its login is refused. */
	if (eas_query_parse(arena, http, query, &ignored) < 0)
		ignored = (struct err)ERR_INIT;
	fault.command = (uint8_t)query->command;
	fault.version = (uint16_t)query->version;
	telemetry_answer(t, fault.command, http_status, 0);
	telemetry_count(&t->errors);
	if (user.v != 0)
		fault.device = find_device(store, user, query, arena);
	if (fault.device == 0 || is_known(t, &fault))
		return;
	(void)snprintf(fault.address, sizeof(fault.address), "%s", http->address);
	(void)snprintf(fault.text, sizeof(fault.text), "%s",
		http_status == 401 ? "the password is wrong"
				   : "too many logins have failed; none is looked at for a while");
	faults_add(t->faults, &fault);
}

void eas_remember_wake(struct eas_server *server, struct device_id device, enum watch_kind kind,
	unsigned version, const struct eas_reply *reply)
{
	struct trace trace = {.device = device.v,
		.version = (uint16_t)version,
		.command = (uint8_t)(kind == WATCH_PING ? EAS_CMD_Ping : EAS_CMD_Sync)};

	if (server->telemetry != NULL && reply->kind == EAS_REPLY_ANSWER)
		remember(server->telemetry, &trace, reply);
}

void eas_remember_collection(const struct eas_call *call, const char *class_name, unsigned status)
{
	static const char *const classes[] = {EAS_REMEMBER_CLASSES};
	const uint8_t *versions = eas_versions();
	size_t class_at = 0, version_at = 0;

	eas_reply_note(call->reply, status);
	if (call->server->telemetry == NULL || class_name == NULL)
		return;
	while (class_at < sizeof(classes) / sizeof(classes[0]) - 1 &&
		!str_eq(classes[class_at], class_name))
		class_at++;
	while (versions[version_at] != 0 && versions[version_at] != call->version)
		version_at++;
	if (version_at < TELEMETRY_VERSIONS)
		telemetry_count(&call->server->telemetry->syncs[class_at][version_at]);
}
