/* Verbs about the server itself. Threads and transactions: see admin.c. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "admin/admin_internal.h"
#include "base/mem.h"
#include "base/str.h"
#include "conf/settings.h"
#include "store/store_counts.h"
#include "store/store_policy.h"
#include "store/store_queue.h"

#define COUNTERS_MAX 512

/* ---- counters ---- */

static size_t read_counters(struct admin_call *call, struct admin_counter **ret)
{
	const struct admin_options *options = &call->admin->options;

	*ret = arena_x_alloc(call->arena, COUNTERS_MAX * sizeof(**ret));
	return options->counters != NULL ? options->counters(options->owner, *ret, COUNTERS_MAX)
					 : 0;
}

int admin_stats(struct admin_call *call, struct err *err)
{
	struct admin_counter *counters;
	size_t count = read_counters(call, &counters);

	(void)err;
	for (size_t i = 0; i < count; i++)
		admin_put_number(call->result, counters[i].name, counters[i].value);
	return 0;
}

static uint64_t value_of(const struct admin_counter *counters, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_eq(counters[i].name, name))
			return counters[i].value;
	}
	return 0;
}

/* What should be looked at, and how it is put right. */
static void add_warnings(
	struct admin_call *call, const struct admin_counter *counters, size_t count)
{
	char text[320];

	if (value_of(counters, count, "all_heartbeats_short") != 0) {
		(void)snprintf(text, sizeof(text),
			"phones wait only %" PRIu64
			" s on average (all_heartbeat_average_s). When they are not new "
			"here, and still finding out, something on the way cuts idle connections "
			"and empties their batteries: let firewall, NAT, load balancer and proxy "
			"keep idle TCP connections for an hour (docs/PROXIES.md)",
			value_of(counters, count, "all_heartbeat_average_s"));
		admin_put(call->result, "warning_heartbeats", text);
	}
	if (value_of(counters, count, "refused_all_last_hour") != 0)
		admin_put(call->result, "warning_connections",
			"phones were refused in the last hour because server.max_connections are "
			"connected, or a "
			"front "
			"had no descriptors left; bellhop doctor says what this system allows");
	if (value_of(counters, count, "refused_address_last_hour") != 0)
		admin_put(call->result, "warning_addresses",
			"connections were refused in the last hour by "
			"http.connections_per_address; when they were "
			"phones behind one address, put it into http.address_exceptions");
}

int admin_status(struct admin_call *call, struct err *err)
{
	static const char *const shown[] = {"parked", "connections", "fronts", "engine_pid",
		"workers_busy", "all_heartbeat_average_s", "all_paths_limited", "refused"};
	struct admin_counter *counters;
	struct queue_counts queue;
	struct policy_row *policy;
	uint64_t user_count, device_count;
	const char **domains;
	size_t domain_count, count;

	if (store_count_all(call->rd, &user_count, &device_count, err) < 0 ||
		store_domain_list(call->rd, call->arena, &domains, &domain_count, err) < 0 ||
		store_policy_find(call->rd, NULL, call->arena, &policy, err) < 0 ||
		store_queue_count(call->rd, &queue, err) < 0)
		return -1;
	admin_put(call->result, "version", BELLHOP_VERSION);
	admin_put_number(call->result, "users", user_count);
	admin_put_number(call->result, "domains", domain_count);
	admin_put_number(call->result, "devices", device_count);
	admin_put_number(call->result, "policy_version", policy->version);
	admin_put_number(call->result, "queue_messages", queue.mails);
	admin_put_number(call->result, "queue_recipients", queue.recipients);
	admin_put_number(call->result, "queue_held", queue.held);
	admin_put_number(call->result, "queue_bytes", queue.bytes);
	count = read_counters(call, &counters);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < ARRAY_LEN(shown); k++) {
			if (str_eq(counters[i].name, shown[k]))
				admin_put_number(call->result, shown[k], counters[i].value);
		}
	}
	add_warnings(call, counters, count);
	return 0;
}

/* ---- what the supervisor does for us ---- */

static int ask_supervisor(struct admin_call *call, char what, struct err *err)
{
	if (call->admin->options.control_fd < 0)
		return err_set(err, ERR_BUSY, "this engine has no supervisor");
	if (send(call->admin->options.control_fd, &what, 1, MSG_NOSIGNAL) != 1)
		return err_set_errno(err, errno, "asking the supervisor");
	return 0;
}

/* The supervisor checks again, and certificates too; we do because it names only the first error.
 */
int admin_reload(struct admin_call *call, struct err *err)
{
	const struct settings *settings = NULL;
	struct settings_report report = SETTINGS_REPORT_INIT;
	int status;

	if (call->admin->config_path == NULL)
		return err_set(err, ERR_BUSY, "this engine has no configuration file");
	status = settings_parse_file(call->admin->config_path, &settings, &report, err);
	if (status < 0 && report.errors > 1)
		(void)err_wrap(err, "%u errors, the first", report.errors);
	if (status == 0)
		admin_put(call->result, "warnings", buf_cstr(&report.text));
	settings_report_deinit(&report);
	settings_unref(&settings);
	if (status < 0)
		return -1;
	if (call->admin->options.control_fd >= 0 && call->admin->options.reload != NULL)
		return call->admin->options.reload(call->admin->options.owner, err);
	return ask_supervisor(call, 'R', err);
}

int admin_upgrade(struct admin_call *call, struct err *err)
{
	const struct admin_options *o = &call->admin->options;

	if (o->control_fd < 0 || o->upgrade == NULL)
		return err_set(err, ERR_BUSY, "this engine has no supervisor");
	return o->upgrade(o->owner, err);
}

int admin_restart(struct admin_call *call, struct err *err)
{
	const char *part = admin_text(call, "part");

	if (!str_eq(part, "engine"))
		return err_set(err, ERR_BAD_INPUT,
			"\"%.40s\" cannot be restarted; what can: engine", part);
	admin_put(call->result, "part", part);
	return ask_supervisor(call, 'E', err);
}
