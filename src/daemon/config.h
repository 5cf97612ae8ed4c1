#ifndef BELLHOP_DAEMON_CONFIG_H
#define BELLHOP_DAEMON_CONFIG_H

#include <stdbool.h>

#include "base/err.h"

struct settings;

/*
 * The configuration's way through the processes. The administrator edits the source file. The
 * supervisor reads and checks it, and writes what it accepted to runtime_dir/active.conf; the
 * children read only that. So a child that is started while the source is being edited, or is
 * broken, still gets the configuration that the others run with.
 */

/* Reads the source. Every error and warning is a log line. Blocks. */
NODISCARD int config_load(const char *source_path, const struct settings **ret, struct err *err);
/*
 * Makes sure that there is a certificate: where none is configured, a self-signed one in data_dir,
 * made at the first start and said so in the log; and checks that certificate and key fit. *ret
 * names the files. Does nothing without HTTPS. Blocks.
 */
NODISCARD int config_ensure_certificate(
	const struct settings *s, bool have_https, const struct settings **ret, struct err *err);
/* That server.user can read what signs profiles, and certificate and key fit: here, not when
 * somebody sets up a phone. The error names the setting and the file. Blocks. */
NODISCARD int config_check_signer(const struct settings *s, struct err *err);
/* Writes runtime_dir/active.conf, whole or not at all; its path is mem_free()d by the caller. */
NODISCARD int config_activate(const struct settings *s, char **ret_path, struct err *err);

#endif
