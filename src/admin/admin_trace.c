/*
 * What the engine remembers of phones (telemetry/): their last requests, waits and errors; and all
 * that it counts. Raw bytes of requests are rendered here, and only here, through wbxml_trace(),
 * which shows nothing that people wrote. Threads: see admin.c. Limits: those of the rings.
 */
#include <inttypes.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"
#include "eas/protocol.h"
#include "eas/status.h"
#include "telemetry/telemetry.h"
#include "wbxml/wbxml.h"

#define ROWS_DEFAULT 50
#define ROWS_MAX     1000

void admin_metrics(struct admin *admin, struct buf *out)
{
	if (admin->options.metrics != NULL)
		admin->options.metrics(admin->options.owner, out);
}

int admin_metrics_verb(struct admin_call *call, struct err *err)
{
	struct buf text = BUF_INIT;

	(void)err;
	admin_metrics(call->admin, &text);
	admin_put(call->result, "text", buf_cstr(&text));
	buf_deinit(&text);
	return 0;
}

int admin_overview(struct admin_call *call, struct err *err)
{
	const struct admin_options *o = &call->admin->options;

	if (o->overview == NULL)
		return err_set(err, ERR_BUSY, "this engine serves no phones");
	return o->overview(o->owner, call->result, err);
}

/* ---- of one phone ---- */

static int find(struct admin_call *call, struct telemetry **ret, struct user **ret_user,
	struct device **ret_device, struct err *err)
{
	*ret = call->admin->options.telemetry;
	if (*ret == NULL)
		return err_set(err, ERR_BUSY, "this engine serves no phones");
	return admin_device(call, ret_user, ret_device, err);
}

static size_t limit_of(const struct admin_call *call)
{
	return (size_t)MIN(admin_number(call, "limit", ROWS_DEFAULT), (uint64_t)ROWS_MAX);
}

static const char *command_of(unsigned command)
{
	return command < EAS_CMD_COUNT ? eas_command_info((enum eas_command)command)->name : "";
}

static void put_version(json_t *row, unsigned version)
{
	admin_put(row, "version", version != 0 ? eas_version_to_str(version) : "");
}

int admin_device_waits(struct admin_call *call, struct err *err)
{
	struct telemetry *t;
	struct device *device;
	struct user *user;
	struct wait *waits;
	size_t count;

	if (find(call, &t, &user, &device, err) < 0)
		return -1;
	waits = arena_x_alloc(call->arena, (limit_of(call) + 1) * sizeof(*waits));
	count = waits_read(t->waits, device->id.v, waits, limit_of(call));
	for (size_t i = 0; i < count; i++) {
		json_t *row = json_object();

		admin_put_number(row, "ended_at", waits[i].ended_at);
		admin_put_number(row, "asked_s", waits[i].asked_s);
		admin_put_number(row, "lasted_s", waits[i].lasted_s);
		admin_put(row, "end", wait_end_to_str((enum wait_end)waits[i].end));
		(void)json_array_append_new(call->result, row);
	}
	return 0;
}

/*
 * What an answer means to the phone, for those that the server has no words of its own for. From
 * 100 on a Status is the same in every command (MS-ASCMD 2.2.2), below it is the command's.
 */
static const struct {
	const char *command; /* "": of any */
	unsigned status;
	const char *text;
} meanings[] = {
	{"Sync", 3,
		"its SyncKey is not the one that the server gave it: it starts the folder over"},
	{"Sync", 4, "the request is wrong"},
	{"Sync", 5, "the server could not do it just now"},
	{"Sync", 8, "an item of the request is not there any more"},
	{"Sync", 9, "the mailbox is full"},
	{"Sync", 12, "the list of folders has changed: it asks for that first"},
	{"Sync", 13, "an empty Sync, and the server does not know its last one: it sends it whole"},
	{"Sync", 14, "the wait that it asked for is too short or too long: it was told the bound"},
	{"Sync", 15, "it asked for too many folders"},
	{"Ping", 3, "the server does not know what it waited for last: it sends it whole"},
	{"Ping", 4, "the request is wrong"},
	{"Ping", 5, "the wait that it asked for is too short or too long: it was told the bound"},
	{"Ping", 6, "it asked for too many folders: it was told how many"},
	{"Ping", 7, "it has to look for folders, its policy or a wipe first"},
	{"FolderSync", 9, "its SyncKey is not the one that the server gave it: it starts over"},
	{"FolderSync", 10, "the request is wrong"},
	{"", 126, "its user, or all, may not synchronize"},
	{"", 129, "it is blocked, in quarantine, or was wiped"},
	{"", 138, "it speaks a version that it may not use here"},
	{"", 140, "a wipe waits for it"},
	{"", 142, "it has to take its policy first"},
	{"", 143, "its policy has changed, or is to be taken again"},
	{"", 144, "its policy key is not the one that the server gave it"},
	{"", 177, "its user has as many phones as he may"},
};

static const char *meaning_of(const char *command, unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
		if (meanings[i].status == status &&
			(meanings[i].command[0] == '\0' || str_eq(meanings[i].command, command)))
			return meanings[i].text;
	}
	return eas_status_to_str(status);
}

/* What the server had to say beside the Status; its mere name says less than the table. */
static const char *text_of(const struct fault *f)
{
	const char *meaning = meaning_of(command_of(f->command), f->status);

	if (meaning[0] == '\0' ||
		(f->text[0] != '\0' && !str_eq(f->text, eas_status_to_str(f->status))))
		return f->text;
	return meaning;
}

int admin_device_errors(struct admin_call *call, struct err *err)
{
	struct telemetry *t;
	struct device *device;
	struct user *user;
	struct fault *faults;
	size_t count;

	if (find(call, &t, &user, &device, err) < 0)
		return -1;
	faults = arena_x_alloc(call->arena, (limit_of(call) + 1) * sizeof(*faults));
	count = faults_read(t->faults, device->id.v, faults, limit_of(call));
	for (size_t i = 0; i < count; i++) {
		const struct fault *f = &faults[i];
		json_t *row = json_object();

		admin_put_number(row, "at", (uint64_t)f->at);
		admin_put(row, "command", command_of(f->command));
		put_version(row, f->version);
		admin_put_number(row, "http", f->http);
		admin_put_number(row, "status", f->status);
		admin_put(row, "from", f->address);
		admin_put(row, "text", text_of(f));
		(void)json_array_append_new(call->result, row);
	}
	return 0;
}

static void put_message(json_t *row, const char *key, const char *bytes_key, const uint8_t *bytes,
	uint32_t kept, uint32_t len)
{
	struct buf text = BUF_INIT;

	if (kept > 0)
		wbxml_trace(bytes, kept, &text);
	else if (len > 0)
		buf_add_str(&text, "[no WBXML: a message, or an attachment]\n");
	admin_put_number(row, bytes_key, len);
	admin_put(row, key, buf_cstr(&text));
	buf_deinit(&text);
}

static json_t *trace_to_json(const struct trace *t)
{
	json_t *row = json_object();

	admin_put_number(row, "number", t->number);
	admin_put_number(row, "at", (uint64_t)(t->at_ms / 1000));
	admin_put_number(row, "at_ms", (uint64_t)t->at_ms);
	admin_put(row, "command", command_of(t->command));
	put_version(row, t->version);
	admin_put_bool(row, "waits", t->http == 0);
	admin_put_number(row, "http", t->http);
	admin_put_number(row, "status", t->status);
	admin_put_number(row, "took_us", t->took_us);
	put_message(row, "request", "request_bytes", t->request, t->request_kept, t->request_len);
	put_message(row, "answer", "answer_bytes", t->answer, t->answer_kept, t->answer_len);
	return row;
}

int admin_trace(struct admin_call *call, struct err *err)
{
	json_t *list = json_array();
	struct telemetry *t;
	struct trace *traces;
	struct device *device;
	struct user *user;
	size_t count;

	(void)json_object_set_new(call->result, "traces", list);
	if (find(call, &t, &user, &device, err) < 0)
		return -1;
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put(call->result, "device", device->device_id);
	traces_read(t->traces, device->id.v, admin_number(call, "after", 0), call->arena, &traces,
		&count);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, trace_to_json(&traces[i]));
	admin_put_number(call->result, "last",
		count > 0 ? traces[count - 1].number : admin_number(call, "after", 0));
	return 0;
}
