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

static void add_fault(struct telemetry *t, const struct trace *trace, const struct eas_reply *reply)
{
	struct fault fault = {.device = trace->device,
		.at = trace->at_ms / 1000,
		.version = trace->version,
		.http = trace->http,
		.status = trace->status,
		.command = trace->command};
	const char *why = reply->why != NULL ? reply->why : eas_status_to_str(trace->status);

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
	struct trace trace = {.device = call->device != NULL ? call->device->id.v : 0,
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
