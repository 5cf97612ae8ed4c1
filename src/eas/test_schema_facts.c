/* The schema against the published element tables. */
#include "eas/test_schema_util.h"

struct fact {
	const char *command, *parent, *element;
	unsigned min, since, until;
};

static const struct fact facts[] = {
#define FACT(...) {__VA_ARGS__},
#include "eas/test_schema_facts.def"
#undef FACT
};

static const char *name_of(unsigned tag, char *text, size_t size)
{
	return strchr(wbxml_tag_to_str(tag, text, size), ':') + 1;
}

/* Shapes that elements called `parent` can have, below this one. */
static void collect(
	enum schema_shape_id id, const char *called, const char *parent, bool *seen, bool *found)
{
	const struct schema_shape *shape = schema_shape(id);
	char name[64];

	if (str_eq_nocase(called, parent))
		found[id] = true;
	if (seen[id])
		return;
	seen[id] = true;
	for (size_t i = 0; i < shape->count; i++) {
		const struct schema_row *row = &shape->rows[i];

		if (row->shape != SHAPE_NONE)
			collect((enum schema_shape_id)row->shape,
				name_of(row->tag, name, sizeof(name)), parent, seen, found);
	}
}

static void start_shapes(const struct fact *fact, bool *seen, bool *found)
{
	static const struct {
		const char *name;
		enum schema_shape_id id;
	} classes[] = {
		{"class Email", SHAPE_email},
		{"class Calendar", SHAPE_calendar},
		{"class Contacts", SHAPE_contacts},
		{"class Tasks", SHAPE_tasks},
		{"class Notes", SHAPE_notes},
		{"class AirSyncBase", SHAPE_calendar},
	};
	bool any = strcmp(fact->command, "class RightsManagement") == 0;

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (strcmp(fact->command, classes[i].name) == 0)
			collect(classes[i].id, "ApplicationData", fact->parent, seen, found);
	for (unsigned c = 0; c < EAS_CMD_COUNT; c++) {
		enum schema_shape_id root = schema_root_shape((enum eas_command)c);
		const char *name = eas_command_info((enum eas_command)c)->name;

		if (root != SHAPE_NONE && (any || strcmp(fact->command, name) == 0))
			collect(root, name, fact->parent, seen, found);
	}
}

/* The row for an element in a version, in any of the shapes. */
static const struct schema_row *find_fact_row(
	const bool *found, const char *element, unsigned version)
{
	char name[64];

	for (unsigned id = 1; id < SHAPE_COUNT; id++) {
		const struct schema_shape *shape = schema_shape((enum schema_shape_id)id);

		for (size_t i = 0; found[id] && i < shape->count; i++) {
			const struct schema_row *row = &shape->rows[i];

			if (row->type != SCHEMA_FORBIDDEN && version >= row->since &&
				version <= row->until &&
				str_eq_nocase(name_of(row->tag, name, sizeof(name)), element))
				return row;
		}
	}
	return NULL;
}

/* What stands in one place may come from several rows of the table, for different versions. */
static const struct fact *find_fact(const struct fact *like, unsigned version)
{
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		if (strcmp(facts[i].command, like->command) == 0 &&
			strcmp(facts[i].parent, like->parent) == 0 &&
			strcmp(facts[i].element, like->element) == 0 && version >= facts[i].since &&
			version <= facts[i].until)
			return &facts[i];
	return NULL;
}

static void check_fact(const struct fact *like, unsigned version, const bool *found)
{
	const struct fact *fact = find_fact(like, version);
	const struct schema_row *row = find_fact_row(found, like->element, version);

	if ((fact != NULL) != (row != NULL))
		test_fail_(__FILE__, __LINE__, "%s: %s/%s in %s is %s", like->command, like->parent,
			like->element, eas_version_to_str(version),
			row != NULL ? "there" : "missing");
	else if (fact != NULL && fact->min != 9 && (row->min > 0) != (fact->min > 0))
		test_fail_(__FILE__, __LINE__, "%s: %s/%s at least %u, not %u", like->command,
			like->parent, like->element, row->min, fact->min);
}

static void test_all_published_elements_are_there(void)
{
	CHECK(ARRAY_LEN(facts) > 300);
	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		bool seen[SHAPE_COUNT] = {false}, found[SHAPE_COUNT] = {false};

		start_shapes(&facts[i], seen, found);
		for (const uint8_t *v = eas_versions(); *v != 0; v++)
			check_fact(&facts[i], *v, found);
	}
}

TEST_MAIN(TEST(test_all_published_elements_are_there))
