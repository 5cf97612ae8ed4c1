/*
 * The command line of bellhop-phone.
 */
#include "phone/options.h"

#include <getopt.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "client/version.h"

enum option_id {
	OPT_SERVER = 256,
	OPT_USER,
	OPT_PASSWORD_FILE,
	OPT_DATA,
	OPT_FOLDER,
	OPT_ONCE,
	OPT_WAIT_ONE,
	OPT_SEND,
	OPT_JSON,
	OPT_QUIET,
	OPT_DEBUG,
	OPT_INSECURE,
	OPT_CACERT,
	OPT_PIN,
	OPT_VERSION_EAS,
	OPT_BASE64,
	OPT_DEVICE_ID,
	OPT_DEVICE_TYPE,
	OPT_FILTER,
	OPT_WINDOW,
	OPT_HEARTBEAT,
	OPT_BODY,
	OPT_CLAIM_POLICY,
	OPT_NO_SAVE,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option long_options[] = {
	{"server", required_argument, NULL, OPT_SERVER},
	{"user", required_argument, NULL, OPT_USER},
	{"password-file", required_argument, NULL, OPT_PASSWORD_FILE},
	{"data", required_argument, NULL, OPT_DATA},
	{"folder", required_argument, NULL, OPT_FOLDER},
	{"once", no_argument, NULL, OPT_ONCE},
	{"wait-one", no_argument, NULL, OPT_WAIT_ONE},
	{"send", no_argument, NULL, OPT_SEND},
	{"no-save-in-sent", no_argument, NULL, OPT_NO_SAVE},
	{"json", no_argument, NULL, OPT_JSON},
	{"quiet", no_argument, NULL, OPT_QUIET},
	{"debug", no_argument, NULL, OPT_DEBUG},
	{"insecure", no_argument, NULL, OPT_INSECURE},
	{"cacert", required_argument, NULL, OPT_CACERT},
	{"pin", required_argument, NULL, OPT_PIN},
	{"version-eas", required_argument, NULL, OPT_VERSION_EAS},
	{"base64", no_argument, NULL, OPT_BASE64},
	{"device-id", required_argument, NULL, OPT_DEVICE_ID},
	{"device-type", required_argument, NULL, OPT_DEVICE_TYPE},
	{"filter", required_argument, NULL, OPT_FILTER},
	{"window", required_argument, NULL, OPT_WINDOW},
	{"heartbeat", required_argument, NULL, OPT_HEARTBEAT},
	{"body", required_argument, NULL, OPT_BODY},
	{"claim-policy", no_argument, NULL, OPT_CLAIM_POLICY},
	{"help", no_argument, NULL, OPT_HELP},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

const char *options_help(void)
{
	return "Usage: bellhop-phone --server URL --user USER [options]\n"
	       "\n"
	       "An Exchange ActiveSync phone: keeps a Maildir in step with a mailbox, both ways, "
	       "by Direct\n"
	       "Push. Works with any ActiveSync server.\n"
	       "\n"
	       "Account:\n"
	       "  --server URL          host, host:port or https://host/path\n"
	       "  --user USER           user, user@domain or DOMAIN\\user\n"
	       "  --password-file FILE  its first line is the password (else it is asked for)\n"
	       "  --cacert FILE         trust the certificates in this PEM file\n"
	       "  --pin sha256//KEY     trust exactly this public key (for self-signed "
	       "certificates)\n"
	       "  --insecure            check no certificate; allow plain http\n"
	       "\n"
	       "What to do (default: sync, then wait for changes until stopped):\n"
	       "  --once                one full sync, then exit\n"
	       "  --wait-one            sync, wait until one change was pushed and synced, then "
	       "exit\n"
	       "  --send                send the message on standard input, then exit\n"
	       "  --no-save-in-sent     with --send: keep no copy in the Sent folder\n"
	       "\n"
	       "Mail:\n"
	       "  --data DIR            where mail (DIR/Maildir) and state (DIR/state) are kept\n"
	       "  --folder NAME         only this folder; may be given several times\n"
	       "  --filter N            look back: 0 all, 1 a day, 2 three days, 3 a week, 4 two "
	       "weeks,\n"
	       "                        5 a month (default 0)\n"
	       "  --window N            changes per answer, 1 to 512 (default 100)\n"
	       "  --body N              1 text, 2 HTML, 4 the whole message (default 4)\n"
	       "\n"
	       "Protocol:\n"
	       "  --version-eas V       2.5, 12.0, 12.1, 14.0, 14.1, 16.0 or 16.1 (default: the "
	       "highest common)\n"
	       "  --base64              the base64 form of the query (12.1 and later)\n"
	       "  --device-id ID        1 to 32 letters and digits (default: made once, then "
	       "kept)\n"
	       "  --device-type TYPE    default: BellhopPhone\n"
	       "  --heartbeat N         first heartbeat in seconds (default 480); adapts from "
	       "there\n"
	       "  --claim-policy        report policies as applied which cannot be enforced here\n"
	       "\n"
	       "Output:\n"
	       "  --json                events on standard output, one JSON object a line\n"
	       "  --quiet               errors only\n"
	       "  --debug               log requests and answers' outlines on standard error\n"
	       "  --help, --version\n"
	       "\n"
	       "Exit status: 0 done, 1 failed, 2 wrong usage, 3 password refused, 4 wiped by the "
	       "server.\n"
	       "See bellhop-phone(1).\n";
}

static int parse_number(
	const char *name, unsigned min, unsigned max, unsigned *ret, struct err *err)
{
	struct err ignored;
	uint64_t v;

	if (str_parse_u64(optarg, max, &v, &ignored) < 0 || v < min)
		return err_set(err, ERR_BAD_INPUT, "--%s takes a number from %u to %u, not \"%s\"",
			name, min, max, optarg);
	*ret = (unsigned)v;
	return 0;
}

static int set_mode(struct options *o, enum options_mode mode, struct err *err)
{
	if (o->mode != OPTIONS_STAY && o->mode != mode)
		return err_set(err, ERR_BAD_INPUT,
			"only one of --once, --wait-one, --send, --help and --version can be "
			"given");
	o->mode = mode;
	return 0;
}

static int set_device_id(struct options *o, struct err *err)
{
	size_t len = strlen(optarg);

	for (size_t i = 0; i < len; i++) {
		char c = optarg[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
			len = 0;
	}
	if (len < 1 || len > 32)
		return err_set(err, ERR_BAD_INPUT,
			"--device-id takes 1 to 32 letters and digits, not \"%s\"", optarg);
	o->device_id = optarg;
	return 0;
}

static int set_body(struct options *o, struct err *err)
{
	if (strcmp(optarg, "1") != 0 && strcmp(optarg, "2") != 0 && strcmp(optarg, "4") != 0)
		return err_set(err, ERR_BAD_INPUT,
			"--body takes 1 (text), 2 (HTML) or 4 (the whole message), not \"%s\"",
			optarg);
	o->body_type = (unsigned)(*optarg - '0');
	return 0;
}

static int set_version(struct options *o, struct err *err)
{
	o->version = version_parse(optarg);
	if (o->version == 0)
		return err_set(err, ERR_BAD_INPUT,
			"--version-eas takes 2.5, 12.0, 12.1, 14.0, 14.1, 16.0 or 16.1, not \"%s\"",
			optarg);
	return 0;
}

static int add_folder(struct options *o, struct err *err)
{
	if (o->folder_count == ARRAY_LEN(o->folders))
		return err_set(err, ERR_BAD_INPUT, "--folder can be given %zu times",
			ARRAY_LEN(o->folders));
	o->folders[o->folder_count++] = optarg;
	return 0;
}

/* Options that have a value to be checked. */
static int take_checked(struct options *o, int id, struct err *err)
{
	switch (id) {
	case OPT_FOLDER:
		return add_folder(o, err);
	case OPT_VERSION_EAS:
		return set_version(o, err);
	case OPT_DEVICE_ID:
		return set_device_id(o, err);
	case OPT_FILTER:
		return parse_number("filter", 0, 5, &o->filter, err);
	case OPT_WINDOW:
		return parse_number("window", 1, 512, &o->window, err);
	case OPT_HEARTBEAT:
		return parse_number("heartbeat", 1, 3540, &o->heartbeat_s, err);
	case OPT_BODY:
		return set_body(o, err);
	case OPT_ONCE:
		return set_mode(o, OPTIONS_ONCE, err);
	case OPT_WAIT_ONE:
		return set_mode(o, OPTIONS_WAIT_ONE, err);
	case OPT_SEND:
		return set_mode(o, OPTIONS_SEND, err);
	case OPT_HELP:
		return set_mode(o, OPTIONS_HELP, err);
	case OPT_VERSION:
		return set_mode(o, OPTIONS_VERSION, err);
	default:
		return err_set(err, ERR_INTERNAL, "option %d has no code", id);
	}
}

/* True: taken. */
static bool take_plain(struct options *o, int id)
{
	const struct {
		int id;
		const char **text;
		bool *on;
	} plain[] = {
		{OPT_SERVER, &o->server, NULL},
		{OPT_USER, &o->user, NULL},
		{OPT_PASSWORD_FILE, &o->password_file, NULL},
		{OPT_DATA, &o->data_dir, NULL},
		{OPT_CACERT, &o->cacert, NULL},
		{OPT_PIN, &o->pin, NULL},
		{OPT_DEVICE_TYPE, &o->device_type, NULL},
		{OPT_JSON, NULL, &o->json},
		{OPT_QUIET, NULL, &o->quiet},
		{OPT_DEBUG, NULL, &o->debug},
		{OPT_INSECURE, NULL, &o->insecure},
		{OPT_BASE64, NULL, &o->base64},
		{OPT_CLAIM_POLICY, NULL, &o->claim_policy},
		{OPT_NO_SAVE, NULL, &o->no_save_in_sent},
	};

	for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
		if (plain[i].id != id)
			continue;
		if (plain[i].text != NULL)
			*plain[i].text = optarg;
		else
			*plain[i].on = true;
		return true;
	}
	return false;
}

static int check_together(const struct options *o, struct err *err)
{
	if (o->mode == OPTIONS_HELP || o->mode == OPTIONS_VERSION)
		return 0;
	if (o->server == NULL || *o->server == 0)
		return err_set(
			err, ERR_BAD_INPUT, "--server is missing (--help shows all options)");
	if (o->user == NULL || *o->user == 0)
		return err_set(err, ERR_BAD_INPUT, "--user is missing (--help shows all options)");
	if (o->pin != NULL && !str_starts(o->pin, "sha256//"))
		return err_set(err, ERR_BAD_INPUT,
			"--pin takes sha256// and the base64 hash of the public key, not \"%s\"",
			o->pin);
	if (o->pin != NULL && (o->cacert != NULL || o->insecure))
		return err_set(err, ERR_BAD_INPUT, "--pin goes without --cacert and --insecure");
	if (o->base64 && o->version != 0 && o->version < VERSION_121)
		return err_set(err, ERR_BAD_INPUT, "--base64 needs version 12.1 or later");
	if (o->device_type != NULL && (*o->device_type == 0 || strlen(o->device_type) > 64))
		return err_set(err, ERR_BAD_INPUT, "--device-type takes 1 to 64 characters");
	return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
	struct options o = {.window = 100, .body_type = 4};
	int id;

	optind = 0; /* so that tests can parse again */
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
		if (id == ':')
			return err_set(err, ERR_BAD_INPUT, "%s needs a value", argv[optind - 1]);
		if (id == '?')
			return err_set(err, ERR_BAD_INPUT,
				"%s is no option, or takes no value (--help shows all options)",
				argv[optind - 1]);
		if (!take_plain(&o, id) && take_checked(&o, id, err) < 0)
			return -1;
	}
	if (optind < argc)
		return err_set(
			err, ERR_BAD_INPUT, "\"%s\": all arguments are options", argv[optind]);
	if (check_together(&o, err) < 0)
		return -1;
	*ret = o;
	return 0;
}
