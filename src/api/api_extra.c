/* The table of what is no verb. Constant. */
#include "api/api_extra.h"

/* clang-format off */
const struct api_extra api_extras[] = {
	{{.name = "me", .help = "Who is asking: address, whether an administrator, the scopes of a token.",
		.scope = ADMIN_SCOPE_SELF, .method = "GET", .self_path = "/me", .columns = ""}, api_me_show, "application/json", NULL},
	{{.name = "me password", .help = "Change the own password, which must be said once more. Ends all sessions but this one.", .changes = true,
		.args = {{"old", ADMIN_ARG_SECRET, true, false, "the password so far"}, {"password", ADMIN_ARG_SECRET, true, false, "the new one"}},
		.scope = ADMIN_SCOPE_SELF, .method = "PUT", .self_path = "/me/password", .columns = ""}, api_login_change_password, "application/json", NULL},
	{{.name = "me setup", .help = "What a phone needs to be set up: server, port, user, the certificate, steps by system.",
		.scope = ADMIN_SCOPE_SELF, .method = "GET", .self_path = "/me/setup", .columns = ""}, api_me_setup, "application/json", NULL},
	{{.name = "me setup code", .help = "A QR code with the address of the page for setting up a phone.",
		.scope = ADMIN_SCOPE_SELF, .method = "GET", .self_path = "/me/setup.svg", .columns = ""}, api_me_qr, "image/svg+xml", NULL},
	{{.name = "me certificate", .help = "The certificate that a phone must be told to trust, as DER; none where phones trust the server's by themselves.",
		.scope = ADMIN_SCOPE_SELF, .method = "GET", .self_path = "/me/certificate.cer", .columns = ""}, api_me_certificate, "application/x-x509-ca-cert", NULL},
	{{.name = "me profile", .help = "A signed configuration profile for iOS; the phone asks for the password.",
		.scope = ADMIN_SCOPE_SELF, .method = "GET", .self_path = "/me/profile.mobileconfig", .columns = ""},
		api_profile_get, "application/x-apple-aspen-config", NULL},
	{{.name = "me profile with app password", .help = "The same with a new app password in it, made for this profile.", .changes = true,
		.scope = ADMIN_SCOPE_SELF, .method = "POST", .self_path = "/me/profile.mobileconfig", .columns = ""},
		api_profile_get, "application/x-apple-aspen-config", API_APP_PASSWORD_VERB},
	{{.name = "log csv", .help = "The event log as CSV, newest first.",
		.scope = ADMIN_SCOPE_READ, .method = "GET", .path = "/log.csv", .columns = ""}, api_export_csv, "text/csv", "log export"},
	{{.name = "log lines", .help = "The event log as lines of JSON, newest first.",
		.scope = ADMIN_SCOPE_READ, .method = "GET", .path = "/log.jsonl", .columns = ""}, api_export_lines, "application/jsonl", "log export"},
	{{.name = "settings", .help = "The settings of the running server, with their documentation.",
		.scope = ADMIN_SCOPE_READ, .method = "GET", .path = "/settings",
		.columns = "section name value default changed unit range reloadable text"}, api_export_settings, "application/json", NULL},
};
/* clang-format on */
const size_t api_extra_count = sizeof(api_extras) / sizeof(api_extras[0]);
