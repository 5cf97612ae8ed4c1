/*
 * SIGINT and SIGTERM, noted for work that ends between two steps and leaves nothing half done. The
 * second SIGINT ends the process as usual. Threads: main.
 */
#include <signal.h>

#include "ctl/ctl_internal.h"

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	(void)number;
	caught = 1;
}

void ctl_signal_catch(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

bool ctl_signal_caught(void)
{
	return caught != 0;
}
