/*
 * bellhop-bench: which of its modes, and the command line of each.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "fleet/modes.h"

static const char help[] =
	"bellhop-bench run SCENARIO --url URL --user PATTERN --password-file FILE [options]\n"
	"bellhop-bench check SCENARIO\n"
	"bellhop-bench compare [options]\n"
	"\n"
	"run: simulated phones against any ActiveSync server; docs/FLEETS.md has the scenarios.\n"
	"  --url URL             http://host:port/path or https://; no path: the usual one\n"
	"  --user PATTERN        %u in it is the number of the user: user%u@example.org\n"
	"  --password-file FILE  its first line is the password; %u as above\n"
	"  --lmtp HOST:PORT      where the scenario's mail goes in\n"
	"  --phones N, --users N, --duration TIME, --rate N   instead of what the scenario says\n"
	"  --worker-phones N     phones of one process, 19000 at most\n"
	"  --server-pid PID      measure memory and CPU of that process and its children\n"
	"  --json FILE           results as JSON\n"
	"  --plots FOLDER        parked.svg, latency.svg, memory.svg\n"
	"  --quiet               no progress line\n"
	"compare: what Direct Push costs and brings beside polling and SMS, on virtual time;\n"
	"docs/PUSH-ECONOMY.md.\n"
	"  --days N              of virtual time (30)\n"
	"  --mail-per-day N      messages that arrive on a working day (40)\n"
	"  --weekend SHARE       of them on another day (0.3)\n"
	"  --seed N              other news (1)\n"
	"  --sms-delay S, --sms-fee MONEY, --sms-bytes N    of each SMS (6, 0.05, 200)\n"
	"  --radio-wake S, --radio-wake-watts W   until the radio is awake (0.26, 1.2)\n"
	"  --radio-watts W, --radio-tail S        and until it sleeps again (1.06, 11.6)\n"
	"  --radio-rtt S, --radio-rate BYTES/S    round trip and speed (0.07, 500000)\n"
	"  --battery WH          of the phone (12.8)\n"
	"  --url URL, --plain-url URL   measure the bytes of that server, with and without TLS; "
	"needs\n"
	"                        --user, --password-file and --lmtp; --heartbeat TIME (60s) and\n"
	"                        --mail-bytes N (2000) as well\n"
	"  --json FILE, --plots FOLDER  push-delay.svg, push-data.svg, push-wakeups.svg\n"
	"check: reads a scenario and says what is in it.\n"
	"\n--help and --version print this, and the version.\n";

int main(int argc, char **argv)
{
	log_setup("bellhop-bench", LOG_LEVEL_WARN);
	for (int i = 1; i < argc; i++) {
		if (!str_eq(argv[i], "--help"))
			continue;
		(void)fputs(help, stdout);
		return 0;
	}
	if (argc >= 2 && str_eq(argv[1], "run"))
		return modes_run(argc - 1, argv + 1);
	if (argc >= 2 && str_eq(argv[1], "check"))
		return modes_check(argc - 1, argv + 1);
	if (argc >= 2 && str_eq(argv[1], "compare"))
		return modes_compare(argc - 1, argv + 1);
	if (argc >= 2 && str_eq(argv[1], "--version")) {
		(void)puts("bellhop-bench " BELLHOP_VERSION);
		return 0;
	}
	if (argc >= 2)
		(void)fprintf(stderr,
			"bellhop-bench: \"%s\" is none of run, check, compare, --help, --version\n",
			argv[1]);
	else
		(void)fputs(help, stderr);
	return MODES_USAGE;
}
