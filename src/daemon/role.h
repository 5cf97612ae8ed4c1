#ifndef BELLHOP_DAEMON_ROLE_H
#define BELLHOP_DAEMON_ROLE_H

/* main() of a child of the supervisor: its command line is what child_start() wrote. Returns the
 * exit status. */
int role_main(int argc, char **argv);

#endif
