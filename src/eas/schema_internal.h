#ifndef BELLHOP_EAS_SCHEMA_INTERNAL_H
#define BELLHOP_EAS_SCHEMA_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eas/schema.h"

/* The schema as tables, and what the files of the checker share. See schema.def. */

enum schema_type {
	SCHEMA_BOX = 1,  /* elements of a shape */
	SCHEMA_EMPTY,    /* its presence counts; "1" is tolerated in it */
	SCHEMA_BOOL,     /* 0, 1, or empty for 1 */
	SCHEMA_UINT,     /* low..high */
	SCHEMA_NUMBER,   /* any integer, of any size and sign */
	SCHEMA_CHOICE,   /* a number whose bit is set in low */
	SCHEMA_TEXT,     /* low..high characters; high 0: no bound */
	SCHEMA_ID,       /* 1..64 characters */
	SCHEMA_CLASS,    /* a class name whose bit is set in low */
	SCHEMA_DATE,     /* either form */
	SCHEMA_DASHED,   /* with punctuation only */
	SCHEMA_DAY,      /* either form; from 16.0 a day, too */
	SCHEMA_BLOB,     /* any bytes, text or opaque */
	SCHEMA_BASE64,   /* at most high characters; high 0: no bound */
	SCHEMA_TIMEZONE, /* base64 of 172 bytes */
	SCHEMA_DOUBLE,
	SCHEMA_RANGE,     /* m-n, m <= n <= high */
	SCHEMA_FORMAT,    /* Text or HTML */
	SCHEMA_LEAVES,    /* names of properties: empty elements of the class pages */
	SCHEMA_MIXED,     /* text, or elements of a shape */
	SCHEMA_DATA,      /* ApplicationData: the shape of its class */
	SCHEMA_IGNORED,   /* whatever: nobody reads it */
	SCHEMA_FORBIDDEN, /* always a fault; for a Status of its own */
};

enum schema_class {
	CLASS_EMAIL = 1,
	CLASS_CALENDAR = 2,
	CLASS_CONTACTS = 4,
	CLASS_TASKS = 8,
	CLASS_NOTES = 16, /* from 14.0 */
	CLASS_SMS = 32,   /* from 14.0 */
};
#define CLASSES_MAIL CLASS_EMAIL
#define CLASSES_PING (CLASS_EMAIL | CLASS_CALENDAR | CLASS_CONTACTS | CLASS_TASKS | CLASS_NOTES)
#define CLASSES_SYNC (CLASSES_PING | CLASS_SMS)

/* Whose fault a fault is. */
enum schema_scope { SCOPE_REQUEST = 0, SCOPE_SELF, SCOPE_PARENT };

enum schema_shape_id {
	SHAPE_NONE = 0,
#define SHAPE(name, ordered, rule) SHAPE_##name,
#define E(...)
#define END
#include "eas/schema.def"
#undef SHAPE
#undef E
#undef END
	SHAPE_COUNT
};

#define SCHEMA_MANY 0xffffu

struct schema_row {
	uint16_t tag;
	uint8_t type;         /* enum schema_type */
	uint8_t since, until; /* versions; until 255: still in use */
	uint16_t min, max;    /* how often; SCHEMA_MANY: no bound */
	uint16_t shape;       /* of a box */
	uint32_t low, high;
	uint8_t status; /* of a fault in its value or number; 0: the usual one */
	uint8_t scope, item_status;
	bool nullable, last_wins;
};

struct schema_checker {
	enum eas_command command;
	const struct eas_command_info *info;
	unsigned version;
	const struct schema_limits *limits;
	struct schema_fault *fault;
	struct wbxml_node *item; /* faults within go here, with item_status; NULL: to the request */
	unsigned item_status;    /* 0: only faults with a Status of their own are the item's */
	unsigned within;         /* Status for all faults in this box; 0: none */
	unsigned soft;           /* Status instead of info->bad for the next fault; 0: none */
};

/* Checks an element's children as a whole; raises and returns -1, or 0. */
typedef int (*schema_rule)(struct schema_checker *c, struct wbxml_node *node);

struct schema_shape {
	const char *name;
	const struct schema_row *rows;
	size_t count;
	unsigned ordered; /* from this version on */
	schema_rule rule;
};

#define SCHEMA_ROWS_MAX 80u

const struct schema_shape *schema_shape(enum schema_shape_id id);
/* SHAPE_NONE: the command's request has no WBXML body. */
enum schema_shape_id schema_root_shape(enum eas_command command);
/* The shape of an ApplicationData: by the first element that belongs to one class. */
enum schema_shape_id schema_data_shape(const struct wbxml_node *data);
/* Pages of the item classes: what Supported and Schema may name. */
bool schema_class_page(unsigned page);

/* Records a fault of the item or the request and returns -1. status 0: the usual one for this
 * place. */
int schema_raise(struct schema_checker *c, struct wbxml_node *at, unsigned status, const char *fmt,
	...) PRINTF_LIKE(4, 5);

/*
 * Is the value of the row's type? NULL when it is, else what it is not ("is not a number"). Only
 * for leaf types.
 */
const char *schema_check_value(
	const struct schema_row *row, unsigned version, const struct wbxml_node *node);

#define SCHEMA_RULE(name) int schema_rule_##name(struct schema_checker *c, struct wbxml_node *node)
SCHEMA_RULE(sync);
SCHEMA_RULE(sync_collection);
SCHEMA_RULE(options);
SCHEMA_RULE(estimate);
SCHEMA_RULE(estimate_options);
SCHEMA_RULE(ping);
SCHEMA_RULE(ping_folders);
SCHEMA_RULE(provision);
SCHEMA_RULE(policy);
SCHEMA_RULE(device_information_set);
SCHEMA_RULE(moves);
SCHEMA_RULE(move);
SCHEMA_RULE(operations);
SCHEMA_RULE(fetch);
SCHEMA_RULE(move_conversation);
SCHEMA_RULE(smart_forward);
SCHEMA_RULE(mail_source);
SCHEMA_RULE(meeting_requests);
SCHEMA_RULE(meeting_request);
SCHEMA_RULE(send_response);
SCHEMA_RULE(search_store);
SCHEMA_RULE(search_query);
SCHEMA_RULE(find_search);
SCHEMA_RULE(oof);
SCHEMA_RULE(oof_set);
SCHEMA_RULE(oof_message);
SCHEMA_RULE(recipients);
SCHEMA_RULE(availability);
SCHEMA_RULE(validate_cert);
SCHEMA_RULE(flag);
SCHEMA_RULE(recurrence);
SCHEMA_RULE(task_recurrence);
SCHEMA_RULE(notes);
#define schema_rule_none NULL

#endif
