/*
 * From request line and headers to struct eas_query. First everything is read that can be read,
 * then it is judged in this order: query, command, device
 * id, device type, version.
 *
 * Limits: the front bounds the head of a request; all memory comes from the arena and is a small
 * multiple of the query. Pure.
 */
#include "eas/query.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define PATH               "/Microsoft-Server-ActiveSync"
#define DEVICE_ID_LENGTH   32u
#define DEVICE_TYPE_LENGTH 128u

/* Version byte that clients send for 14.1 now and then. */
#define ODD_BYTE_141 0x91u

enum { OPTION_SAVE_IN_SENT = 0x01, OPTION_MULTIPART = 0x02 };

enum parameter {
	PARAM_ATTACHMENT_NAME = 0,
	PARAM_COLLECTION_ID = 1,
	PARAM_COLLECTION_NAME = 2,
	PARAM_ITEM_ID = 3,
	PARAM_LONG_ID = 4,
	PARAM_PARENT_ID = 5,
	PARAM_OCCURRENCE = 6,
	PARAM_OPTIONS = 7,
	PARAM_USER = 8,
};

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int refuse(struct eas_query *q, unsigned http, unsigned status)
{
	q->fault_http = (uint16_t)http;
	q->fault_status = (uint16_t)status;
	return -1;
}

/* Malformed beyond the protocol's words: HTTP 400. */
static int malformed(struct eas_query *q, struct err *err, const char *what)
{
	(void)err_set(err, ERR_BAD_INPUT, "query: %s", what);
	return refuse(q, 400, 0);
}

/* Undoes %XX (and + as blank). NULL: a broken escape or a NUL. */
static char *percent_decode(struct arena *arena, const char *s, size_t len, bool plus_is_blank)
{
	char *out = arena_try_alloc(arena, len + 1);
	size_t n = 0;

	for (size_t i = 0; out != NULL && i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_value(s[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_blank) {
			c = ' ';
		}
		if (c == 0)
			return NULL;
		out[n++] = c;
	}
	return out;
}

static const char *clean_text(struct arena *arena, const char *s, size_t len)
{
	struct buf clean;
	const char *text;

	buf_init(&clean, len * 3 + 1);
	utf8_add_clean(&clean, s, len);
	text = arena_try_strndup(arena, buf_cstr(&clean), clean.len);
	buf_deinit(&clean);
	return text == NULL ? "" : text;
}

/* ---- the plain form ---- */

struct plain {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

/* 1: the next key=value; 0: no more. */
static int next_pair(const char **at, struct plain *ret)
{
	const char *p = *at;
	size_t len, eq;

	while (*p == '&')
		p++;
	if (*p == 0)
		return 0;
	len = strcspn(p, "&");
	eq = MIN(strcspn(p, "="), len);
	ret->key = p;
	ret->key_len = eq;
	ret->value = eq < len ? p + eq + 1 : p + len;
	ret->value_len = eq < len ? len - eq - 1 : 0;
	*at = p + len;
	return 1;
}

static bool key_is(const struct plain *pair, const char *name)
{
	size_t len = strlen(name);

	return pair->key_len == len && strncasecmp(pair->key, name, len) == 0;
}

static bool has_cmd(const char *query)
{
	struct plain pair;

	while (next_pair(&query, &pair) == 1)
		if (key_is(&pair, "Cmd"))
			return true;
	return false;
}

static bool is_true(const char *value)
{
	return str_eq_nocase(value, "T");
}

/* Where the value of a plain parameter goes; NULL: not one of ours. */
static const char **plain_slot(
	struct eas_query *q, const struct plain *pair, const char **cmd, const char **save_in_sent)
{
	const struct {
		const char *name;
		const char **slot;
	} slots[] = {
		{"Cmd", cmd},
		{"User", &q->user},
		{"DeviceId", &q->device_id},
		{"DeviceType", &q->device_type},
		{"AttachmentName", &q->attachment_name},
		{"CollectionId", &q->collection_id},
		{"CollectionName", &q->collection_name},
		{"ParentId", &q->parent_id},
		{"ItemId", &q->item_id},
		{"LongId", &q->long_id},
		{"Occurrence", &q->occurrence},
		{"SaveInSent", save_in_sent},
	};

	for (size_t i = 0; i < ARRAY_LEN(slots); i++)
		if (key_is(pair, slots[i].name))
			return slots[i].slot;
	return NULL;
}

static int read_plain(struct arena *arena, const char *query, struct eas_query *q, struct err *err)
{
	const char *cmd = "", *save_in_sent = "";
	struct plain pair;

	while (next_pair(&query, &pair) == 1) {
		const char **slot = plain_slot(q, &pair, &cmd, &save_in_sent);
		char *value;

		/* Of a repeated parameter the first counts. */
		if (slot == NULL || **slot != 0)
			continue;
		value = percent_decode(arena, pair.value, pair.value_len, true);
		if (value == NULL)
			return malformed(q, err, "broken escape");
		if (!utf8_valid(value, strlen(value)) && slot != &q->user)
			return malformed(q, err, "a value is not UTF-8");
		*slot = value;
	}
	q->user = clean_text(arena, q->user, strlen(q->user));
	q->save_in_sent = is_true(save_in_sent);
	q->command = eas_command_find(cmd);
	if (q->command == EAS_CMD_NONE) {
		(void)err_set(err, ERR_BAD_INPUT, "query: unknown command \"%.40s\"", cmd);
		return refuse(q, 501, EAS_STATUS_COMMAND_NOT_SUPPORTED);
	}
	return 0;
}

/* ---- the base64 form ---- */

/* A length byte and its bytes; false when cut off. */
static bool read_field(struct rd *rd, const uint8_t **ret, size_t *ret_len)
{
	*ret_len = rd_u8(rd);
	*ret = rd_bytes(rd, *ret_len);
	return !rd->failed;
}

static const char *field_text(struct arena *arena, const uint8_t *bytes, size_t len)
{
	const char *text = arena_try_strndup(arena, (const char *)bytes, len);

	return text == NULL ? "" : text;
}

/* Text stays text; 16 bytes of a GUID, and anything else that is not printable, become hex. */
static const char *device_id_text(struct arena *arena, const uint8_t *bytes, size_t len)
{
	struct buf hex = BUF_INIT;
	bool alnum = true, printable = true;
	const char *text;

	for (size_t i = 0; i < len; i++) {
		alnum = alnum && is_alnum((char)bytes[i]);
		printable = printable && bytes[i] > 0x20 && bytes[i] < 0x7f;
	}
	if (alnum || (printable && len != 16))
		return field_text(arena, bytes, len);
	hex_add(&hex, bytes, len);
	text = field_text(arena, hex.data, hex.len);
	buf_deinit(&hex);
	return text;
}

static const char **parameter_slot(struct eas_query *q, unsigned tag)
{
	switch (tag) {
	case PARAM_ATTACHMENT_NAME:
		return &q->attachment_name;
	case PARAM_COLLECTION_ID:
		return &q->collection_id;
	case PARAM_COLLECTION_NAME:
		return &q->collection_name;
	case PARAM_ITEM_ID:
		return &q->item_id;
	case PARAM_LONG_ID:
		return &q->long_id;
	case PARAM_PARENT_ID:
		return &q->parent_id;
	case PARAM_OCCURRENCE:
		return &q->occurrence;
	default:
		return NULL; /* unknown tags are read past */
	}
}

static int read_parameters(struct arena *arena, struct rd *rd, struct eas_query *q, struct err *err)
{
	while (rd_left(rd) > 0) {
		unsigned tag = rd_u8(rd);
		const uint8_t *bytes;
		const char **slot;
		size_t len;

		if (!read_field(rd, &bytes, &len))
			return malformed(q, err, "a parameter is cut off");
		if (tag == PARAM_OPTIONS) {
			if (len > 1)
				return malformed(q, err, "Options is longer than a byte");
			q->save_in_sent |= len == 1 && (bytes[0] & OPTION_SAVE_IN_SENT) != 0;
			q->accept_multipart |= len == 1 && (bytes[0] & OPTION_MULTIPART) != 0;
			continue;
		}
		if (tag == PARAM_USER) {
			q->user = clean_text(arena, (const char *)bytes, len);
			continue;
		}
		slot = parameter_slot(q, tag);
		if (slot == NULL || **slot != 0 || len == 0)
			continue;
		if (memchr(bytes, 0, len) != NULL || !utf8_valid(bytes, len))
			return malformed(q, err, "a parameter is not text");
		*slot = field_text(arena, bytes, len);
	}
	return 0;
}

static int read_binary(struct arena *arena, struct rd *rd, struct eas_query *q, unsigned *ret_code,
	struct err *err)
{
	const uint8_t *bytes;
	unsigned version;
	size_t len;

	version = rd_u8(rd);
	*ret_code = rd_u8(rd);
	q->locale = rd_u16(rd);
	if (!read_field(rd, &bytes, &len))
		return malformed(q, err, "the device id is cut off");
	q->device_id = device_id_text(arena, bytes, len);
	if (!read_field(rd, &bytes, &len) || (len != 0 && len != 4))
		return malformed(q, err, "the policy key is not 4 bytes");
	if (len == 4) {
		struct rd key;

		rd_init(&key, bytes, len);
		q->policy_key = rd_u32(&key);
		q->policy_key_sent = true;
	}
	if (!read_field(rd, &bytes, &len))
		return malformed(q, err, "the device type is cut off");
	q->device_type = memchr(bytes, 0, len) != NULL ? "" : field_text(arena, bytes, len);
	/* 2.5 and 12.0 have no base64 form; the header may still name them. */
	if (version == ODD_BYTE_141)
		version = 141;
	if (version >= 121 && eas_version_known(version))
		q->version = version;
	return read_parameters(arena, rd, q, err);
}

static int read_base64(struct arena *arena, const char *query, struct eas_query *q, struct err *err)
{
	struct buf bytes = BUF_INIT;
	char *text = percent_decode(arena, query, strlen(query), false);
	unsigned code = 0;
	struct rd rd;
	int rc;

	if (text == NULL || base64_decode(&bytes, text, strlen(text)) < 0 || bytes.len == 0) {
		buf_deinit(&bytes);
		return malformed(q, err, "neither Cmd= nor base64");
	}
	rd_init(&rd, bytes.data, bytes.len);
	rc = read_binary(arena, &rd, q, &code, err);
	buf_deinit(&bytes);
	if (rc < 0)
		return -1;
	q->command = eas_command_from_code(code);
	if (q->command == EAS_CMD_NONE) {
		(void)err_set(err, ERR_BAD_INPUT, "query: unknown command code %u", code);
		return refuse(q, 501, EAS_STATUS_COMMAND_NOT_SUPPORTED);
	}
	return 0;
}

/* ---- headers ---- */

bool eas_accepts_gzip(const char *accept_encoding)
{
	const char *p = accept_encoding;

	while (p != NULL && *p != 0) {
		size_t len = strcspn(p, ",");
		size_t name = strspn(p, " \t");
		size_t name_len = strcspn(p + name, " \t;,");
		const char *q = memchr(p, ';', len);

		if ((name_len == 4 && strncasecmp(p + name, "gzip", 4) == 0) ||
			(name_len == 6 && strncasecmp(p + name, "x-gzip", 6) == 0)) {
			/* Only q=0, q=0.0 ... refuse it. */
			q = q == NULL ? NULL : memchr(q, '=', len - (size_t)(q - p));
			return q == NULL || strcspn(q + 1, "123456789,") < strcspn(q + 1, ",");
		}
		p += len + (p[len] == ',');
	}
	return false;
}

/* ret_text: what the header says, or NULL. */
static void read_headers(
	const struct ipc_request *http, struct eas_query *q, const char **ret_version)
{
	const struct ipc_header *h = http->headers;
	size_t count = http->header_count;
	const char *key = ipc_header_find(h, count, "x-ms-policykey");
	const char *multipart = ipc_header_find(h, count, "ms-asacceptmultipart");
	const char *agent = ipc_header_find(h, count, "user-agent");
	struct err ignored = ERR_INIT;
	uint64_t number = 0;

	*ret_version = ipc_header_find(h, count, "ms-asprotocolversion");
	if (*ret_version != NULL && eas_version_parse(*ret_version) != 0)
		q->version = eas_version_parse(*ret_version);
	if (key != NULL) {
		q->policy_key_sent = true;
		/* What is no number cannot be a key that we gave: it stays 0. */
		if (str_parse_u64(key, UINT32_MAX, &number, &ignored) == 0 && number != 0)
			q->policy_key = (uint32_t)number;
	}
	if (multipart != NULL)
		q->accept_multipart |= is_true(multipart);
	q->user_agent = agent == NULL ? "" : agent;
	q->accept_gzip = eas_accepts_gzip(ipc_header_find(h, count, "accept-encoding"));
}

/* ---- judging ---- */

static bool device_id_good(const char *id)
{
	size_t len = strlen(id);

	for (size_t i = 0; i < len; i++)
		if (!is_alnum(id[i]))
			return false;
	return len > 0 && len <= DEVICE_ID_LENGTH;
}

static bool device_type_good(const char *type)
{
	size_t len = strlen(type), visible = 0;

	for (size_t i = 0; i < len; i++) {
		if (type[i] < 0x20 || type[i] == 0x7f)
			return false;
		visible += type[i] != ' ';
	}
	return visible > 0 && len <= DEVICE_TYPE_LENGTH;
}

static int judge(struct eas_query *q, const char *version_header, struct err *err)
{
	const struct eas_command_info *info = eas_command_info(q->command);

	if (!info->works) {
		(void)err_set(err, ERR_BAD_INPUT, "query: %s is not supported", info->name);
		return refuse(q, 501, EAS_STATUS_COMMAND_NOT_SUPPORTED);
	}
	if (!device_id_good(q->device_id)) {
		(void)err_set(err, ERR_BAD_INPUT, "query: no valid DeviceId");
		return refuse(q, 400, EAS_STATUS_DEVICE_ID_INVALID);
	}
	if (!device_type_good(q->device_type)) {
		(void)err_set(err, ERR_BAD_INPUT, "query: no valid DeviceType");
		return refuse(q, 400, EAS_STATUS_DEVICE_TYPE_INVALID);
	}
	if (q->version == 0) {
		bool ancient = version_header != NULL && strcmp(version_header, "1.0") == 0;

		(void)err_set(err, ERR_BAD_INPUT, "query: protocol version %.20s",
			version_header == NULL ? "missing or unknown" : version_header);
		return refuse(q, ancient ? 505 : 400, EAS_STATUS_VERSION_NOT_SUPPORTED);
	}
	if (!eas_command_in_version(q->command, q->version)) {
		(void)err_set(err, ERR_BAD_INPUT, "query: %s does not exist in version %s",
			info->name, eas_version_to_str(q->version));
		return refuse(q, 400, EAS_STATUS_VERSION_NOT_SUPPORTED);
	}
	return 0;
}

static struct eas_query empty_query(void)
{
	return (struct eas_query){.user = "",
		.device_id = "",
		.device_type = "",
		.attachment_name = "",
		.collection_id = "",
		.item_id = "",
		.long_id = "",
		.occurrence = "",
		.collection_name = "",
		.parent_id = "",
		.user_agent = ""};
}

bool eas_target_matches(const char *target)
{
	size_t len = strlen(PATH);

	if (strncasecmp(target, PATH, len) != 0)
		return false;
	len += target[len] == '/';
	return target[len] == 0 || target[len] == '?';
}

int eas_query_parse(
	struct arena *arena, const struct ipc_request *http, struct eas_query *ret, struct err *err)
{
	const char *query = strchr(http->target, '?'), *version_header;
	bool options = strcmp(http->method, "OPTIONS") == 0;
	int rc;

	*ret = empty_query();
	query = query == NULL ? "" : query + 1;
	if (!eas_target_matches(http->target)) {
		(void)err_set(err, ERR_NOT_FOUND, "no such path");
		return refuse(ret, 404, 0);
	}
	if (!options && strcmp(http->method, "POST") != 0) {
		(void)err_set(err, ERR_BAD_INPUT, "method %.20s", http->method);
		return refuse(ret, 501, 0);
	}
	rc = has_cmd(query) || (options && strchr(query, '&') != NULL)
		     ? read_plain(arena, query, ret, err)
		     : read_base64(arena, query, ret, err);
	read_headers(http, ret, &version_header);
	if (options) {
		/* Clients add a query now and then; nothing in it can be wrong. */
		ret->command = EAS_CMD_OPTIONS;
		ret->fault_http = ret->fault_status = 0;
		return 0;
	}
	return rc < 0 ? -1 : judge(ret, version_header, err);
}

struct eas_outcome eas_query_outcome(const struct eas_query *query)
{
	struct eas_outcome outcome;

	if (query->fault_status == 0)
		return (struct eas_outcome){.http = query->fault_http};
	outcome = eas_status_outcome(
		query->command, query->version, query->fault_status, query->policy_key_sent);
	if (!outcome.wbxml)
		outcome.http = query->fault_http;
	return outcome;
}
