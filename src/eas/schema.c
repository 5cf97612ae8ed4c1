/*
 * Walks a decoded request beside the tables of schema.def. Recursion follows the schema, whose
 * depth is fixed (ten levels), not the input. Faults of one item end the check of that item only.
 *
 * Limits: one pass over the tree; each child is looked up in a row list of at most SCHEMA_ROWS_MAX.
 * Pure.
 */
#include "eas/schema_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define PAGE_AIRSYNCBASE 17u
#define PATH_DEPTH       16u

/* ---- faults ---- */

static const char *local_name(unsigned tag, char *text, size_t size)
{
	const char *colon = strchr(wbxml_tag_to_str(tag, text, size), ':');

	return colon == NULL ? text : colon + 1;
}

/* "Sync/Collections/Collection[2]/WindowSize": numbered where a name comes more than once. */
static void add_path(const struct wbxml_node *node, char *text, size_t size)
{
	const struct wbxml_node *path[PATH_DEPTH];
	size_t depth = 0, used = 0;

	for (; node != NULL && depth < PATH_DEPTH; node = node->parent)
		path[depth++] = node;
	while (depth-- > 0) {
		const struct wbxml_node *at = path[depth], *same;
		unsigned number = 1, count = 0;
		char name[64];
		int n;

		for (same = wbxml_find(at->parent, at->tag); same != NULL;
			same = wbxml_next(same, at->tag)) {
			count++;
			if (same == at)
				number = count;
		}
		n = snprintf(text + used, size - used, "%s%s", used == 0 ? "" : "/",
			local_name(at->tag, name, sizeof(name)));
		used = MIN(used + (size_t)MAX(n, 0), size - 1);
		if (count > 1) {
			n = snprintf(text + used, size - used, "[%u]", number);
			used = MIN(used + (size_t)MAX(n, 0), size - 1);
		}
	}
}

PRINTF_LIKE(3, 0)
static void describe(
	struct schema_checker *c, const struct wbxml_node *at, const char *fmt, va_list ap)
{
	size_t used;

	/* The first item's fault is the one that is told. */
	if (c->fault->text[0] != 0 && c->fault->status == 0)
		return;
	add_path(at, c->fault->text, sizeof(c->fault->text) - 100);
	used = strlen(c->fault->text);
	used += (size_t)snprintf(c->fault->text + used, sizeof(c->fault->text) - used, ": ");
	(void)vsnprintf(c->fault->text + used, sizeof(c->fault->text) - used, fmt, ap);
}

int schema_raise(
	struct schema_checker *c, struct wbxml_node *at, unsigned status, const char *fmt, ...)
{
	unsigned explicit_status = status != 0 ? status : c->within;
	va_list ap;

	va_start(ap, fmt);
	if (c->item != NULL && (explicit_status != 0 || c->item_status != 0)) {
		describe(c, at, fmt, ap);
		c->item->fault =
			(uint16_t)(explicit_status != 0 ? explicit_status : c->item_status);
		c->fault->item_faults++;
	} else {
		c->fault->status = explicit_status != 0 ? explicit_status
				   : c->soft != 0       ? c->soft
							: c->info->bad;
		if (c->command == EAS_CMD_Search && c->fault->status != c->info->bad)
			c->fault->place = EAS_PLACE_STORE;
		describe(c, at, fmt, ap);
	}
	va_end(ap);
	return -1;
}

/*
 * AirSyncBase has Status values of its own ([MS-ASAIRS] 3.2.5.1): Sync answers 6 for a fault in it,
 * apart from some faults of BodyPreference, which are its usual 4; Search answers 2 below Store.
 */
static void set_soft(struct schema_checker *c, unsigned tag, bool usual)
{
	c->soft = 0;
	if (tag >> 8 != PAGE_AIRSYNCBASE)
		return;
	if (c->command == EAS_CMD_Search)
		c->soft = 2;
	else if (c->command == EAS_CMD_Sync && !usual)
		c->soft = 6;
}

/* ---- elements ---- */

static int check_box(struct schema_checker *c, enum schema_shape_id id, struct wbxml_node *node);

static bool in_version(const struct schema_row *row, unsigned version)
{
	return version >= row->since && version <= row->until;
}

static const struct schema_row *find_row(
	const struct schema_shape *shape, unsigned tag, unsigned version, bool *ret_other_version)
{
	for (size_t i = 0; i < shape->count; i++) {
		if (shape->rows[i].tag != tag)
			continue;
		if (in_version(&shape->rows[i], version))
			return &shape->rows[i];
		*ret_other_version = true;
	}
	return NULL;
}

static int raise_stranger(struct schema_checker *c, struct wbxml_node *node, bool other_version)
{
	unsigned status = 0;

	set_soft(c, node->tag, false);
	if (c->command == EAS_CMD_Search) {
		/* [MS-ASEMAIL] 3.2.5.3 and [MS-ASCMD] 2.2.3.27.4: properties, and Class at the
		 * wrong place. */
		if (node->tag == TAG_AirSync_Class || node->tag == TAG_AirSync_CollectionId)
			status = 8;
		else if (schema_class_page(node->tag >> 8))
			status = 2;
	}
	return schema_raise(c, node, status, "%s",
		other_version ? "does not exist in this version" : "cannot stand here");
}

static int check_leaf(
	struct schema_checker *c, const struct schema_row *row, struct wbxml_node *node)
{
	bool all_or_none = node->tag == TAG_AirSyncBase_AllOrNone;
	const char *bad;

	set_soft(c, node->tag, all_or_none);
	if (node->child != NULL && row->type != SCHEMA_IGNORED)
		return schema_raise(c, node, row->status, "has elements in it");
	bad = schema_check_value(row, c->version, node);
	if (bad == NULL)
		return 0;
	switch ((enum schema_type)row->type) {
	case SCHEMA_TEXT:
	case SCHEMA_BLOB:
	case SCHEMA_BASE64:
	case SCHEMA_TIMEZONE:
	case SCHEMA_DOUBLE:
		return schema_raise(c, node, row->status, "%s", bad);
	default:
		if (node->opaque)
			return schema_raise(c, node, row->status, "%s", bad);
		return schema_raise(c, node, row->status, "%.*s %s",
			(int)utf8_floor(node->text, node->len, 24), node->text, bad);
	}
}

static int check_leaves(
	struct schema_checker *c, const struct schema_row *row, struct wbxml_node *node)
{
	for (struct wbxml_node *child = node->child; child != NULL; child = child->next)
		if (!schema_class_page(child->tag >> 8) || child->child != NULL || child->len > 0)
			return schema_raise(c, child, row->status, "is not the name of a property");
	return node->len > 0 ? schema_raise(c, node, row->status, "has text in it") : 0;
}

static int check_value(
	struct schema_checker *c, const struct schema_row *row, struct wbxml_node *node)
{
	unsigned within = c->within;
	int rc;

	switch ((enum schema_type)row->type) {
	case SCHEMA_LEAVES:
		return check_leaves(c, row, node);
	case SCHEMA_DATA:
		return check_box(c, schema_data_shape(node), node);
	case SCHEMA_MIXED:
		if (node->child == NULL)
			return check_leaf(c, row, node);
		return check_box(c, (enum schema_shape_id)row->shape, node);
	case SCHEMA_BOX:
		c->within = row->status != 0 ? row->status : within;
		rc = check_box(c, (enum schema_shape_id)row->shape, node);
		c->within = within;
		return rc;
	default:
		return check_leaf(c, row, node);
	}
}

/* With the scope that the row opens. An item's fault stays with the item: 0. */
static int check_element(
	struct schema_checker *c, const struct schema_row *row, struct wbxml_node *node)
{
	struct wbxml_node *item = c->item;
	unsigned item_status = c->item_status;
	int rc;

	if (row->scope != SCOPE_REQUEST) {
		c->item = row->scope == SCOPE_SELF ? node : node->parent;
		c->item_status = row->item_status;
	}
	rc = check_value(c, row, node);
	c->item = item;
	c->item_status = item_status;
	return rc < 0 && row->scope != SCOPE_REQUEST && c->fault->status == 0 ? 0 : rc;
}

/* ---- boxes ---- */

/* Takes all elements of this tag out but the last. */
static void keep_last(struct wbxml_node *parent, unsigned tag)
{
	struct wbxml_node **link = &parent->child;

	while (*link != NULL) {
		if ((*link)->tag == tag && wbxml_next(*link, tag) != NULL)
			*link = (*link)->next;
		else
			link = &(*link)->next;
	}
}

static int check_children(struct schema_checker *c, const struct schema_shape *shape,
	struct wbxml_node *node, uint32_t *counts)
{
	size_t highest = 0;

	for (struct wbxml_node *child = node->child; child != NULL; child = child->next) {
		bool other_version = false;
		const struct schema_row *row =
			find_row(shape, child->tag, c->version, &other_version);
		size_t i;

		if (row == NULL)
			return raise_stranger(c, child, other_version);
		i = (size_t)(row - shape->rows);
		set_soft(c, child->tag,
			shape == schema_shape(SHAPE_body_preference) &&
				(i < highest || i == 0 || child->tag == TAG_AirSyncBase_AllOrNone));
		if (i < highest && c->version >= shape->ordered)
			return schema_raise(c, child, 0, "stands in the wrong order");
		highest = MAX(highest, i);
		if (++counts[i] > row->max && row->max != SCHEMA_MANY)
			return schema_raise(c, child, row->status, "comes too often");
		if (check_element(c, row, child) < 0)
			return -1;
	}
	return 0;
}

static int check_box(struct schema_checker *c, enum schema_shape_id id, struct wbxml_node *node)
{
	const struct schema_shape *shape = schema_shape(id);
	uint32_t counts[SCHEMA_ROWS_MAX] = {0};
	char name[64];

	assert(shape->count <= SCHEMA_ROWS_MAX);
	if (node->len > 0) {
		set_soft(c, node->tag, false);
		return schema_raise(c, node, 0, "has text in it");
	}
	if (check_children(c, shape, node, counts) < 0)
		return -1;
	for (size_t i = 0; i < shape->count; i++) {
		const struct schema_row *row = &shape->rows[i];

		if (counts[i] < row->min && in_version(row, c->version)) {
			set_soft(c, row->tag, false);
			return schema_raise(c, node, 0, "%s is missing",
				local_name(row->tag, name, sizeof(name)));
		}
		if (row->last_wins && counts[i] > 1)
			keep_last(node, row->tag);
	}
	c->soft = 0;
	return shape->rule == NULL ? 0 : shape->rule(c, node);
}

int schema_check(enum eas_command command, unsigned version, struct wbxml_node *root,
	const struct schema_limits *limits, struct schema_fault *fault)
{
	enum schema_shape_id shape = schema_root_shape(command);
	struct schema_checker c = {.command = command,
		.info = eas_command_info(command),
		.version = version,
		.limits = limits,
		.fault = fault};

	memset(fault, 0, sizeof(*fault));
	if (shape == SHAPE_NONE || root->tag != c.info->root) {
		c.soft = shape == SHAPE_NONE ? EAS_STATUS_INVALID_XML : 0;
		return schema_raise(&c, root, 0, "is not the root of a %s", c.info->name);
	}
	return check_box(&c, shape, root);
}
