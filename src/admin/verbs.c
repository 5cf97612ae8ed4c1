/*
 * The table of verbs. Constant; no threads, no limits of its own.
 */
#include "admin/verbs.h"

#include <string.h>

#define ADDRESS(what)                                                                              \
	{                                                                                          \
		"address", ADMIN_ARG_ADDRESS, true, true, what                                     \
	}
#define DEVICE                                                                                     \
	{                                                                                          \
		"device", ADMIN_ARG_TEXT, true, true,                                              \
			"the phone's DeviceId, as device list shows it"                            \
	}
/* Left out where one DeviceId says it. */
#define OWNER                                                                                      \
	{                                                                                          \
		"address", ADMIN_ARG_ADDRESS, false, true,                                         \
			"whose; needed when several users have a phone of that DeviceId"           \
	}
#define YES                                                                                        \
	{                                                                                          \
		"yes", ADMIN_ARG_FLAG, true, false, "do it: this cannot be taken back"             \
	}
#define GROUP                                                                                      \
	{                                                                                          \
		"group", ADMIN_ARG_TEXT, true, true, "the name of the group"                       \
	}
#define RANK(must)                                                                                 \
	{                                                                                          \
		"rank", ADMIN_ARG_INT, must, must, "0 to 9999; the smallest counts first (100)"    \
	}
#define POLICY(what)                                                                               \
	{                                                                                          \
		"policy", ADMIN_ARG_TEXT, true, true, what                                         \
	}
#define POLICY_OPTIONS                                                                             \
	{                                                                                          \
		"options", ADMIN_ARG_JSON, false, false,                                           \
			"a JSON object: required, refresh_interval_h, allow_non_provisionable, "   \
			"allow_partial, allow_refused, allow_other; null for the default"          \
	}
#define DESCRIPTION                                                                                \
	{                                                                                          \
		"description", ADMIN_ARG_TEXT, false, false, "what it is for"                      \
	}
#define SCOPE_ARGS                                                                                 \
	{"address", ADMIN_ARG_ADDRESS, false, false, "a user"},                                    \
		{"group", ADMIN_ARG_TEXT, false, false, "a group"},                                \
	{                                                                                          \
		"domain", ADMIN_ARG_DOMAIN, false, false, "a domain"                               \
	}
#define SERVICE_NAME                                                                               \
	{                                                                                          \
		"service", ADMIN_ARG_TEXT, true, true, "the switch, as service list shows it"      \
	}
#define SERVICE_SCOPE                                                                              \
	{"address", ADMIN_ARG_ADDRESS, false, false, "for this user"},                             \
		{"group", ADMIN_ARG_TEXT, false, false, "for the users of this group"},            \
	{                                                                                          \
		"domain", ADMIN_ARG_DOMAIN, false, false, "for the users of this domain"           \
	}
#define PASSWORD                                                                                   \
	{                                                                                          \
		"password", ADMIN_ARG_SECRET, true, false, "the password"                          \
	}

/* clang-format off */
#define PAGE(what, columns)                                                                        \
	{"search", ADMIN_ARG_TEXT, false, false, "only with this in " what},                       \
		{"sort", ADMIN_ARG_TEXT, false, false,                                             \
			"by " columns "; a hyphen in front puts the largest first"},               \
		PIECE

#define PIECE                                                                                      \
	{"limit", ADMIN_ARG_INT, false, false, "at most so many (all)"},                           \
		{"offset", ADMIN_ARG_INT, false, false, "leave out so many first (0)"}

#define LOG_FILTER                                                                                 \
	{"since", ADMIN_ARG_TEXT, false, false,                                                    \
		"not before that time: 2026-11-22, \"2026-11-22 20:15\" (UTC), or seconds since "  \
		"1970"},                                                                           \
		{"until", ADMIN_ARG_TEXT, false, false, "before that time"},                       \
		{"actor", ADMIN_ARG_TEXT, false, false, "only what this one did, for example admin:uid=0"}, \
		{"user", ADMIN_ARG_TEXT, false, false, "only events of this user's address"},      \
		{"device", ADMIN_ARG_TEXT, false, false, "only of the phone of this DeviceId"},    \
		{"action", ADMIN_ARG_TEXT, false, false, "only this, as log actions lists them"},  \
		{"result", ADMIN_ARG_TEXT, false, false, "only what ended so"},                    \
		{"text", ADMIN_ARG_TEXT, false, false, "only with this somewhere in it"}

/* clang-format on */

#define REST(scope_, method_, path_)                                                               \
	.scope = ADMIN_SCOPE_##scope_, .method = (method_), .path = (path_)
#define REST_SELF(scope_, method_, path_, self_) REST(scope_, method_, path_), .self_path = (self_)

/* clang-format off */
const struct admin_verb admin_verbs[ADMIN_VERB_COUNT] = {
	[ADMIN_USER_ADD] = {"user add", "Create a user with an empty mailbox. The domain is created when it is new.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("the mail address, which is also the login"), PASSWORD,
			{"name", ADMIN_ARG_TEXT, false, false, "full name"}}, "",
		REST(USERS, "POST", "/users")},
	[ADMIN_USER_PASSWD] = {"user passwd", "Set a user's password. It takes effect at the next request, also of waiting phones.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), PASSWORD}, "",
		REST_SELF(USERS, "PUT", "/users/{address}/password", "/me/password")},
	[ADMIN_USER_LIST] = {"user list", "List the users. eas: whether they may synchronize, device_limit: how many phones they may have (service set sync and devices_per_user).",
		false, false, ADMIN_CONFIRM_NONE, {PAGE("an address or the name", "address, name, created_at or used_bytes")},
		"address name enabled eas admin device_count device_limit last_seen_at used_bytes quota_bytes created_at",
		REST(READ, "GET", "/users")},
	[ADMIN_USER_SHOW] = {"user show", "Show one user: addresses, phones, size, whether he may synchronize, and how many phones he may have.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("who")}, "",
		REST_SELF(READ, "GET", "/users/{address}", "/me/user")},
	[ADMIN_USER_DISABLE] = {"user disable", "Lock a user out: logins are refused, mail is still taken.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("who")}, "",
		REST(USERS, "POST", "/users/{address}/disable")},
	[ADMIN_USER_ENABLE] = {"user enable", "Let a disabled user in again.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("who")}, "",
		REST(USERS, "POST", "/users/{address}/enable")},
	[ADMIN_USER_QUOTA] = {"user quota", "Bound what a user's mail may take. What is there stays; new mail is refused when it does not fit.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"),
			{"size", ADMIN_ARG_TEXT, true, true, "bytes, or with K, M, G or T, for example 500M; none for no bound"}}, "",
		REST(USERS, "PUT", "/users/{address}/quota")},
	[ADMIN_USER_EXPIRY] = {"user expiry", "Say how long a user's Junk E-mail and Deleted Items keep what came there, instead of mail.junk_days and mail.deleted_days.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"),
			{"junk", ADMIN_ARG_TEXT, false, false, "days, never, or default for what the configuration says"},
			{"deleted", ADMIN_ARG_TEXT, false, false, "the same for Deleted Items"}}, "",
		REST(USERS, "PUT", "/users/{address}/expiry")},
	[ADMIN_USER_DEL] = {"user del", "Delete a user with all mail and phones.",
		true, false, ADMIN_CONFIRM_ASK, {ADDRESS("who"), YES}, "",
		REST(USERS, "DELETE", "/users/{address}")},
	[ADMIN_USER_ADMIN] = {"user admin", "Let a user administer the server on the web pages, or no more. Ends his web sessions.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("who"), {"on", ADMIN_ARG_FLAG, false, false, "an administrator from now on"},
			{"off", ADMIN_ARG_FLAG, false, false, "one no more"}}, "", false,
		{"on", "off", "user admin needs --on or --off", "user admin takes --on or --off, not both"},
		REST(USERS, "PUT", "/users/{address}/admin")},
	[ADMIN_APP_PASSWORD_ADD] = {"app-password add", "Make a password for one phone of a user. It is shown once, and can be revoked without a change of the user's own.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), {"name", ADMIN_ARG_TEXT, true, true, "what it is for, for example \"Anna's tablet\""},
			{"bind", ADMIN_ARG_TEXT, false, false, "only for the phone of this DeviceId"},
			{"first_use", ADMIN_ARG_FLAG, false, false, "only for the first phone that uses it"}}, "",
		REST_SELF(USERS, "POST", "/users/{address}/app-passwords", "/me/app-passwords")},
	[ADMIN_APP_PASSWORD_LIST] = {"app-password list", "List a user's app passwords: for which phone, and when they were used last.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose")}, "id name binding device last_used_at last_device last_address created_at",
		REST_SELF(READ, "GET", "/users/{address}/app-passwords", "/me/app-passwords")},
	[ADMIN_APP_PASSWORD_REVOKE] = {"app-password revoke", "Take an app password back. It ends at once, also for waiting phones.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), {"id", ADMIN_ARG_INT, true, true, "its number, as app-password list shows it"}}, "",
		REST_SELF(USERS, "DELETE", "/users/{address}/app-passwords/{id}", "/me/app-passwords/{id}")},
	[ADMIN_OOF_SHOW] = {"oof show", "Show a user's out-of-office: state, times, and the message for each audience.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose")}, "",
		REST_SELF(READ, "GET", "/users/{address}/oof", "/me/oof")},
	[ADMIN_OOF_SET] = {"oof set", "Change a user's out-of-office, as his phones can. What is not named stays.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"),
			{"settings", ADMIN_ARG_JSON, true, true, "for example '{\"state\": \"on\", \"internal\": {\"enabled\": true, \"text\": \"Back on Monday.\"}}'; state is off, on or timed (with start_at and end_at), audiences are internal, external_known and external_unknown"}}, "",
		REST_SELF(USERS, "PUT", "/users/{address}/oof", "/me/oof")},
	[ADMIN_SESSION_LIST] = {"session list", "List where a user is signed in on the web pages.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose")}, "created_at last_seen_at expires_at from user_agent",
		REST_SELF(READ, "GET", "/users/{address}/sessions", "/me/sessions")},
	[ADMIN_SESSION_END] = {"session end", "Sign a user out of the web pages, everywhere.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("who")}, "",
		REST_SELF(USERS, "DELETE", "/users/{address}/sessions", "/me/sessions")},
	[ADMIN_TOKEN_ADD] = {"token add", "Make a token for scripts that use the REST API. It is shown once.",
		true, false, ADMIN_CONFIRM_NONE, {{"name", ADMIN_ARG_TEXT, true, true, "what it is for, for example monitoring"},
			{"scopes", ADMIN_ARG_TEXT, true, true, "what it may do: words of read, users, devices, wipe, policies, access, queue, server, metrics, self"},
			{"days", ADMIN_ARG_INT, false, false, "how long it is good (for ever)"},
			{"for", ADMIN_ARG_ADDRESS, false, false, "the user who it stands for, and who it can never do more than (an administrator of this machine)"}}, "",
		REST(SERVER, "POST", "/tokens")},
	[ADMIN_TOKEN_LIST] = {"token list", "List the tokens: what they may do, and when they were used last.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "name scopes for expires_at last_used_at last_address created_by",
		REST(READ, "GET", "/tokens")},
	[ADMIN_TOKEN_REVOKE] = {"token revoke", "Take a token back.",
		true, false, ADMIN_CONFIRM_NONE, {{"name", ADMIN_ARG_TEXT, true, true, "as token list shows it"}}, "",
		REST(SERVER, "DELETE", "/tokens/{name}")},
	[ADMIN_ALIAS_ADD] = {"alias add", "Give a user one more address.",
		true, false, ADMIN_CONFIRM_NONE, {{"alias", ADMIN_ARG_ADDRESS, true, true, "the new address"}, ADDRESS("the user who gets it")}, "",
		REST(USERS, "POST", "/aliases")},
	[ADMIN_ALIAS_DEL] = {"alias del", "Take an alias away.",
		true, false, ADMIN_CONFIRM_NONE, {{"alias", ADMIN_ARG_ADDRESS, true, true, "the address"}}, "",
		REST(USERS, "DELETE", "/aliases/{alias}")},
	[ADMIN_ALIAS_LIST] = {"alias list", "List the aliases, of everybody or of one user.",
		false, false, ADMIN_CONFIRM_NONE, {{"address", ADMIN_ARG_ADDRESS, false, true, "whose"},
			{"search", ADMIN_ARG_TEXT, false, false, "only with this in the alias"}, PIECE}, "alias address",
		REST(READ, "GET", "/aliases")},
	[ADMIN_DOMAIN_ADD] = {"domain add", "Take mail for a domain.",
		true, false, ADMIN_CONFIRM_NONE, {{"domain", ADMIN_ARG_DOMAIN, true, true, "the domain"}}, "",
		REST(USERS, "POST", "/domains")},
	[ADMIN_DOMAIN_DEL] = {"domain del", "Remove a domain that has no users.",
		true, false, ADMIN_CONFIRM_NONE, {{"domain", ADMIN_ARG_DOMAIN, true, true, "the domain"}}, "",
		REST(USERS, "DELETE", "/domains/{domain}")},
	[ADMIN_DOMAIN_LIST] = {"domain list", "List the domains, and what service set lays down for their users.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "domain eas device_limit",
		REST(READ, "GET", "/domains")},
	[ADMIN_GROUP_ADD] = {"group add", "Make a group of users, for which policies and rules can be laid down.",
		true, false, ADMIN_CONFIRM_NONE, {GROUP, RANK(false)}, "",
		REST(POLICIES, "POST", "/groups")},
	[ADMIN_GROUP_RANK] = {"group rank", "Say which of a user's groups counts when several say something: the one of the smallest rank.",
		true, false, ADMIN_CONFIRM_NONE, {GROUP, RANK(true)}, "",
		REST(POLICIES, "PUT", "/groups/{group}")},
	[ADMIN_GROUP_DEL] = {"group del", "Delete a group, with what is laid down for it. Its members stay.",
		true, false, ADMIN_CONFIRM_ASK, {GROUP, YES}, "",
		REST(POLICIES, "DELETE", "/groups/{group}")},
	[ADMIN_GROUP_LIST] = {"group list", "List the groups.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "group rank members",
		REST(READ, "GET", "/groups")},
	[ADMIN_GROUP_SHOW] = {"group show", "Show one group and who is in it.",
		false, false, ADMIN_CONFIRM_NONE, {GROUP, {"search", ADMIN_ARG_TEXT, false, false, "only with this in a member's address"}, PIECE}, "",
		REST(READ, "GET", "/groups/{group}")},
	[ADMIN_GROUP_JOIN] = {"group join", "Take a user into a group.",
		true, false, ADMIN_CONFIRM_NONE, {GROUP, ADDRESS("who")}, "",
		REST(POLICIES, "PUT", "/groups/{group}/members/{address}")},
	[ADMIN_GROUP_LEAVE] = {"group leave", "Take a user out of a group.",
		true, false, ADMIN_CONFIRM_NONE, {GROUP, ADDRESS("who")}, "",
		REST(POLICIES, "DELETE", "/groups/{group}/members/{address}")},
	[ADMIN_DEVICE_LIST] = {"device list", "List the phones, of everybody or of one user.",
		false, false, ADMIN_CONFIRM_NONE, {{"address", ADMIN_ARG_ADDRESS, false, true, "whose"},
			{"state", ADMIN_ARG_TEXT, false, false, "only those whose state begins so, for example blocked or wipe"},
			{"policy_status", ADMIN_ARG_TEXT, false, false, "only those that answered their policy so: none, full, partial, refused or other"},
			PAGE("the user's address, or what a phone says of itself", "address, last_seen_at, first_seen_at, model, type or version")},
		"address device type model version last_seen_at state policy policy_status",
		REST_SELF(READ, "GET", "/devices", "/me/devices")},
	[ADMIN_DEVICE_SHOW] = {"device show", "Show all that is known of one phone.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST_SELF(READ, "GET", "/users/{address}/devices/{device}", "/me/devices/{device}")},
	[ADMIN_DEVICE_WIPE] = {"device wipe", "Order a phone to erase itself when it next calls; a waiting one is woken for it. Needs wipe.device = yes; --account does not.",
		true, false, ADMIN_CONFIRM_YES, {ADDRESS("whose"), DEVICE,
			{"account", ADMIN_ARG_FLAG, false, false, "erase what this account brought, and leave the rest of the phone (16.1 alone)"}, YES}, "",
		REST_SELF(WIPE, "POST", "/users/{address}/devices/{device}/wipe", "/me/devices/{device}/wipe")},
	[ADMIN_DEVICE_CANCEL] = {"device cancel", "Take back a wipe that the phone has not acknowledged.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST_SELF(WIPE, "DELETE", "/users/{address}/devices/{device}/wipe", "/me/devices/{device}/wipe")},
	[ADMIN_DEVICE_CLEAR] = {"device clear", "Let a phone that was wiped in again. It starts anew.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST_SELF(WIPE, "POST", "/users/{address}/devices/{device}/clear", "/me/devices/{device}/clear")},
	[ADMIN_DEVICE_WIPES] = {"device wipes", "List the wipes of everybody's phones or of one user's, newest first, with their times.",
		false, false, ADMIN_CONFIRM_NONE, {{"address", ADMIN_ARG_ADDRESS, false, true, "whose"}, PIECE},
		"address device model wipe wipe_kind wipe_asked_by wipe_asked_at wipe_sent_at wipe_answered_at wipe_ended_at",
		REST_SELF(READ, "GET", "/wipes", "/me/wipes")},
	[ADMIN_DEVICE_BLOCK] = {"device block", "Refuse a phone.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST(DEVICES, "POST", "/users/{address}/devices/{device}/block")},
	[ADMIN_DEVICE_UNBLOCK] = {"device unblock", "Let a blocked phone in again.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST(DEVICES, "POST", "/users/{address}/devices/{device}/unblock")},
	[ADMIN_DEVICE_DEL] = {"device del", "Forget a phone. It starts anew when it calls again.",
		true, false, ADMIN_CONFIRM_ASK, {ADDRESS("whose"), DEVICE, YES}, "",
		REST_SELF(DEVICES, "DELETE", "/users/{address}/devices/{device}", "/me/devices/{device}")},
	[ADMIN_DEVICE_ALLOW] = {"device allow", "Let a phone in, whatever rules say: the way out of quarantine. It is told at once when it waits.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST(DEVICES, "POST", "/users/{address}/devices/{device}/allow")},
	[ADMIN_DEVICE_QUARANTINE] = {"device quarantine", "Give a phone its folders and one message that explains it, and nothing else, until it is allowed.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE}, "",
		REST(DEVICES, "POST", "/users/{address}/devices/{device}/quarantine")},
	[ADMIN_DEVICE_CEILING] = {"device ceiling", "Say which protocol version is the highest that a phone may use.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), DEVICE,
			{"version", ADMIN_ARG_TEXT, true, true, "2.5, 12.0, 12.1, 14.0, 14.1, 16.0 or 16.1; none for any"}}, "",
		REST(DEVICES, "PUT", "/users/{address}/devices/{device}/ceiling")},
	[ADMIN_ACCESS_LIST] = {"access list", "List what is laid down about access beside the rules: for organisation, domains, groups, users and single devices.",
		false, false, ADMIN_CONFIRM_NONE, {{"search", ADMIN_ARG_TEXT, false, false, "only with this in the name or the DeviceId"}, PIECE}, "scope name device access seen",
		REST(READ, "GET", "/access")},
	[ADMIN_ACCESS_SET] = {"access set", "Allow, block or quarantine: the phones of a user, one device of a user (also before it was first seen), or what no rule decides for a group, a domain or everybody.",
		true, false, ADMIN_CONFIRM_NONE, {
			{"access", ADMIN_ARG_TEXT, true, true, "allow, block, quarantine; none takes back what was laid down"},
			{"address", ADMIN_ARG_ADDRESS, false, false, "a user"},
			{"device", ADMIN_ARG_TEXT, false, false, "a DeviceId of that user"},
			{"group", ADMIN_ARG_TEXT, false, false, "a group"},
			{"domain", ADMIN_ARG_DOMAIN, false, false, "a domain"}}, "",
		REST(ACCESS, "PUT", "/access")},
	[ADMIN_ACCESS_RULES] = {"access rules", "List the access rules in the order in which they are asked.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "position id access rule note",
		REST(READ, "GET", "/access/rules")},
	[ADMIN_ACCESS_ADD] = {"access add", "Add an access rule, such as 'type = iPhone and os = \"iOS 12*\"'. The first rule that holds decides.",
		true, false, ADMIN_CONFIRM_NONE, {
			{"access", ADMIN_ARG_TEXT, true, true, "allow, block or quarantine"},
			{"rule", ADMIN_ARG_TEXT, true, true, "FIELD = PATTERN and ...; fields: type, model, os, agent, device, version"},
			{"position", ADMIN_ARG_INT, false, false, "where, from 1 on; at the end when left out"},
			{"note", ADMIN_ARG_TEXT, false, false, "for people"}}, "",
		REST(ACCESS, "POST", "/access/rules")},
	[ADMIN_ACCESS_MOVE] = {"access move", "Put an access rule at another position.",
		true, false, ADMIN_CONFIRM_NONE, {
			{"id", ADMIN_ARG_INT, true, true, "of the rule, as access rules shows it"},
			{"position", ADMIN_ARG_INT, true, false, "where, from 1 on"}}, "",
		REST(ACCESS, "PUT", "/access/rules/{id}")},
	[ADMIN_ACCESS_DEL] = {"access del", "Delete an access rule.",
		true, false, ADMIN_CONFIRM_ASK, {
			{"id", ADMIN_ARG_INT, true, true, "of the rule, as access rules shows it"}, YES}, "",
		REST(ACCESS, "DELETE", "/access/rules/{id}")},
	[ADMIN_ACCESS_TEST] = {"access test", "Say what a device would get, and why. What is left out is as it is known of the device.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"),
			{"device", ADMIN_ARG_TEXT, false, false, "a DeviceId"},
			{"type", ADMIN_ARG_TEXT, false, false, "a device type"},
			{"model", ADMIN_ARG_TEXT, false, false, "a model"},
			{"os", ADMIN_ARG_TEXT, false, false, "an operating system"},
			{"agent", ADMIN_ARG_TEXT, false, false, "a User-Agent"},
			{"protocol", ADMIN_ARG_TEXT, false, false, "a protocol version, such as 14.1"}}, "",
		REST(READ, "GET", "/users/{address}/access")},
	[ADMIN_ACCESS_MESSAGE] = {"access message", "Show the message that a phone in quarantine gets.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(READ, "GET", "/access/message")},
	[ADMIN_ACCESS_SET_MESSAGE] = {"access set-message", "Write the message that a phone in quarantine gets. {user}, {device}, {type}, {model}, {os}, {agent} and {version} stand for the phone's. An empty text brings the built-in one back.",
		true, false, ADMIN_CONFIRM_NONE, {
			{"subject", ADMIN_ARG_TEXT, false, false, "its subject"},
			{"text", ADMIN_ARG_TEXT, false, false, "its text"}}, "",
		REST(ACCESS, "PUT", "/access/message")},
	[ADMIN_SERVICE_LIST] = {"service list", "List the switches of mobile services: what holds, where it is said, and what it means.",
		false, false, ADMIN_CONFIRM_NONE, {SERVICE_SCOPE}, "service value from own warning",
		REST(READ, "GET", "/services")},
	[ADMIN_SERVICE_SHOW] = {"service show", "Show one switch of mobile services.",
		false, false, ADMIN_CONFIRM_NONE, {SERVICE_NAME, SERVICE_SCOPE}, "",
		REST(READ, "GET", "/services/{service}")},
	[ADMIN_SERVICE_SET] = {"service set", "Set a switch of mobile services, for everybody or for a domain, a group or a user. It takes effect at once, also for phones that wait.",
		true, false, ADMIN_CONFIRM_NONE, {SERVICE_NAME,
			{"value", ADMIN_ARG_TEXT, true, true, "on or off, a number, or versions such as 12.1,14.1"}, SERVICE_SCOPE}, "",
		REST(ACCESS, "PUT", "/services/{service}")},
	[ADMIN_SERVICE_UNSET] = {"service unset", "Take back what is said of a switch for everybody, a domain, a group or a user: what is above counts again.",
		true, false, ADMIN_CONFIRM_NONE, {SERVICE_NAME, SERVICE_SCOPE}, "",
		REST(ACCESS, "DELETE", "/services/{service}")},
	[ADMIN_DEVICE_CHECK] = {"device check", "Compare what a phone should hold with what is there, folder by folder.",
		false, false, ADMIN_CONFIRM_NONE, {OWNER, DEVICE}, "",
		REST(READ, "GET", "/users/{address}/devices/{device}/check")},
	[ADMIN_DEVICE_REPAIR] = {"device repair", "Let the next Sync of a folder compare everything and send the difference. The phone keeps its keys and its mail.",
		true, true, ADMIN_CONFIRM_NONE, {OWNER, DEVICE,
			{"folder", ADMIN_ARG_TEXT, false, true, "its name or number, as device check shows them; 0 is the list of folders"},
			{"all", ADMIN_ARG_FLAG, false, false, "every folder that the phone has synchronized, instead of one"}}, "", false,
		{"folder", "all", "device repair needs a folder, its name or its number, or --all",
			"device repair takes a folder or --all, not both"},
		REST(DEVICES, "POST", "/users/{address}/devices/{device}/repair")},
	[ADMIN_DEVICE_RESYNC] = {"device resync", "Let a phone start over with a folder: it forgets what it holds of it, and gets everything again. device repair sends only what differs; resync is for a phone whose own copy is broken.",
		true, true, ADMIN_CONFIRM_NONE, {OWNER, DEVICE,
			{"folder", ADMIN_ARG_TEXT, false, true, "its name or number, as device folders shows them; 0 is the list of folders"},
			{"all", ADMIN_ARG_FLAG, false, false, "every folder that the phone has synchronized, instead of one"}}, "", false,
		{"folder", "all", "device resync needs a folder, its name or its number, or --all",
			"device resync takes a folder or --all, not both"},
		REST(DEVICES, "POST", "/users/{address}/devices/{device}/resync")},
	[ADMIN_DEVICE_FOLDERS] = {"device folders", "List the folders that a phone synchronizes, with how many items it should hold of each, and how many changes it has yet to get.",
		false, false, ADMIN_CONFIRM_NONE, {OWNER, DEVICE}, "folder name class held pending withheld items",
		REST(READ, "GET", "/users/{address}/devices/{device}/folders")},
	[ADMIN_DEVICE_WAITS] = {"device waits", "Show how the last waits of a phone went, newest first: what it asked for, how long it was, how it ended (expired, woken, closed by the phone, cut on the way). Since the engine's start.",
		false, false, ADMIN_CONFIRM_NONE, {OWNER, DEVICE,
			{"limit", ADMIN_ARG_INT, false, false, "at most so many (50)"}}, "ended_at asked_s lasted_s end",
		REST(READ, "GET", "/users/{address}/devices/{device}/waits")},
	[ADMIN_DEVICE_ERRORS] = {"device errors", "Show the last answers to a phone that were not success, newest first, with their reasons. Since the engine's start.",
		false, false, ADMIN_CONFIRM_NONE, {OWNER, DEVICE,
			{"limit", ADMIN_ARG_INT, false, false, "at most so many (50)"}}, "at command version http status from text",
		REST(READ, "GET", "/users/{address}/devices/{device}/errors")},
	[ADMIN_TRACE] = {"trace", "Show the last requests of a phone and their answers, without anything that people wrote: only keys, ids, numbers and fixed words are shown, everything else by its length.",
		false, false, ADMIN_CONFIRM_NONE, {OWNER, DEVICE,
			{"after", ADMIN_ARG_INT, false, false, "only those with a greater number"},
			{"follow", ADMIN_ARG_FLAG, false, false, "go on and show further ones as they come (command line only)"}}, "",
		REST(READ, "GET", "/users/{address}/devices/{device}/trace")},
	[ADMIN_ITEM_LIST] = {"item list", "List what the server keeps from phones: items and requests on which the engine crashed twice; for one user also what single phones withhold.",
		false, false, ADMIN_CONFIRM_NONE, {{"address", ADMIN_ARG_ADDRESS, false, true, "whose"}},
		"address item kind folder device since_at reason",
		REST(READ, "GET", "/items")},
	[ADMIN_ITEM_RELEASE] = {"item release", "Give what item list shows back: an item that was set aside, and its copies, to all phones; one that single phones withhold to those; or let a refused request in. Should the engine crash on it twice more, it is set aside again.",
		true, true, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), {"item", ADMIN_ARG_TEXT, true, true, "as item list shows it, for example 5:17"}}, "",
		REST(DEVICES, "POST", "/users/{address}/items/{item}/release")},
	[ADMIN_QUEUE_LIST] = {"queue list", "List the mail that waits for the relay, with what it said last.",
		false, false, ADMIN_CONFIRM_NONE, {{"address", ADMIN_ARG_ADDRESS, false, true, "only what this user sent"}},
		"mail sender recipient state attempts queued_at next_at answer",
		REST(READ, "GET", "/queue")},
	[ADMIN_QUEUE_RETRY] = {"queue retry", "Try queued mail now, also what was held after a restore.",
		true, true, ADMIN_CONFIRM_NONE, {{"mail", ADMIN_ARG_INT, false, true, "its number, as queue list shows it; without: everything"}}, "",
		REST(QUEUE, "POST", "/queue/retry")},
	[ADMIN_QUEUE_DROP] = {"queue drop", "Forget queued mail. Nobody gets it, and its sender gets no report.",
		true, false, ADMIN_CONFIRM_ASK, {{"mail", ADMIN_ARG_INT, true, true, "its number, as queue list shows it"},
			{"recipient", ADMIN_ARG_TEXT, false, true, "only for this address"}, YES}, "",
		REST(QUEUE, "DELETE", "/queue/{mail}")},
	[ADMIN_POLICY_LIST] = {"policy list", "List the policies; phones have the default one unless something else is laid down for them. With how many phones each is for, and what they answered: full, partial, refused, other (somebody else manages the phone); waiting: they have not answered it as it is now.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "policy default settings required assigned devices full partial refused other waiting description",
		REST(READ, "GET", "/policies")},
	[ADMIN_POLICY_SHOW] = {"policy show", "Show a policy: what phones must do, and whom it is for.",
		false, false, ADMIN_CONFIRM_NONE, {{"policy", ADMIN_ARG_TEXT, false, true, "its name; without: the default policy"}}, "",
		REST(READ, "GET", "/policies/{policy}")},
	[ADMIN_POLICY_SETTINGS] = {"policy settings", "List what a policy can say, the classic settings first, and what kinds of phones really do with each.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "setting type minimum maximum default unit since ios ios_confirmed android android_confirmed windows_mobile windows_mobile_confirmed text",
		REST(READ, "GET", "/policy-settings")},
	[ADMIN_POLICY_SET] = {"policy set", "Replace what a policy says: a JSON object of EASProvisionDoc settings. Phones whose own policy became another one provision again.",
		true, false, ADMIN_CONFIRM_NONE, {{"settings", ADMIN_ARG_JSON, false, true, "for example '{\"DevicePasswordEnabled\": true}'; {} for nothing; see policy settings"},
			{"policy", ADMIN_ARG_TEXT, false, false, "its name; without: the default policy"},
			POLICY_OPTIONS, {"merge", ADMIN_ARG_FLAG, false, false, "change only what is given, keep the rest"}, DESCRIPTION}, "",
		REST(POLICIES, "PUT", "/policies/{policy}")},
	[ADMIN_POLICY_CREATE] = {"policy create", "Make a policy.",
		true, false, ADMIN_CONFIRM_NONE, {POLICY("its name"),
			{"settings", ADMIN_ARG_JSON, false, true, "a JSON object of settings; see policy settings"}, POLICY_OPTIONS, DESCRIPTION}, "",
		REST(POLICIES, "POST", "/policies")},
	[ADMIN_POLICY_COPY] = {"policy copy", "Make a policy that says what another one says.",
		true, false, ADMIN_CONFIRM_NONE, {POLICY("the one that is there"), {"new", ADMIN_ARG_TEXT, true, true, "the name of the copy"}, DESCRIPTION}, "",
		REST(POLICIES, "POST", "/policies/{policy}/copies")},
	[ADMIN_POLICY_DELETE] = {"policy delete", "Delete a policy that is for nobody any more.",
		true, false, ADMIN_CONFIRM_ASK, {POLICY("its name"), YES}, "",
		REST(POLICIES, "DELETE", "/policies/{policy}")},
	[ADMIN_POLICY_DEFAULT] = {"policy default", "Make a policy the default one: for everybody for whom nothing else is laid down.",
		true, false, ADMIN_CONFIRM_NONE, {POLICY("its name")}, "",
		REST(POLICIES, "PUT", "/policies/{policy}/default")},
	[ADMIN_POLICY_ASSIGN] = {"policy assign", "Give a policy to a domain, a group or a user. The user's own counts first, then the group's, then the domain's.",
		true, false, ADMIN_CONFIRM_NONE, {POLICY("its name"), SCOPE_ARGS}, "",
		REST(POLICIES, "PUT", "/policy-assignments")},
	[ADMIN_POLICY_UNASSIGN] = {"policy unassign", "Take the policy of a domain, a group or a user away again.",
		true, false, ADMIN_CONFIRM_NONE, {SCOPE_ARGS}, "",
		REST(POLICIES, "DELETE", "/policy-assignments")},
	[ADMIN_POLICY_ASSIGNMENTS] = {"policy assignments", "List whom policies are given to.",
		false, false, ADMIN_CONFIRM_NONE, {{"policy", ADMIN_ARG_TEXT, false, false, "only of this policy"}, {"search", ADMIN_ARG_TEXT, false, false, "only with this in the name"}, PIECE}, "kind name policy",
		REST(READ, "GET", "/policy-assignments")},
	[ADMIN_POLICY_EXCEPT] = {"policy except", "Put a user, or one phone, on the list of exceptions: exempt from every policy, or with another one. It goes before all assignments.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("who"), {"device", ADMIN_ARG_TEXT, false, true, "only this phone of the user"},
			{"policy", ADMIN_ARG_TEXT, false, false, "the policy to have instead; without: exempt"}}, "",
		REST(POLICIES, "PUT", "/policy-exceptions")},
	[ADMIN_POLICY_UNEXCEPT] = {"policy unexcept", "Take a user, or a phone, off the list of exceptions.",
		true, false, ADMIN_CONFIRM_NONE, {ADDRESS("who"), {"device", ADMIN_ARG_TEXT, false, true, "the phone"}}, "",
		REST(POLICIES, "DELETE", "/policy-exceptions")},
	[ADMIN_POLICY_EXCEPTIONS] = {"policy exceptions", "List the exceptions.",
		false, false, ADMIN_CONFIRM_NONE, {{"policy", ADMIN_ARG_TEXT, false, false, "only of this policy"}, {"search", ADMIN_ARG_TEXT, false, false, "only with this in the name"}, PIECE}, "kind name exempt policy",
		REST(READ, "GET", "/policy-exceptions")},
	[ADMIN_POLICY_EFFECTIVE] = {"policy effective", "Show which policy a user or a phone has, why, what it said of it, and what comes of each setting there.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), {"device", ADMIN_ARG_TEXT, false, true, "the phone; without: of the user, for each kind of phone"},
			{"all", ADMIN_ARG_FLAG, false, false, "also settings that demand nothing"}}, "",
		REST(READ, "GET", "/users/{address}/policy")},
	[ADMIN_LOG_LIST] = {"log list", "Show the event log, newest first.",
		false, false, ADMIN_CONFIRM_NONE, {LOG_FILTER,
			{"limit", ADMIN_ARG_INT, false, false, "at most so many (100)"},
			{"before", ADMIN_ARG_INT, false, false, "only events older than the one with this id"}},
		"id at actor action result user device device_type address",
		REST(READ, "GET", "/log")},
	[ADMIN_LOG_ACTIONS] = {"log actions", "List what the event log tells of, and what it means.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "action text",
		REST(READ, "GET", "/log/actions")},
	[ADMIN_LOG_EXPORT] = {"log export", "Write the event log, or what of it is searched for, as a file for other programs.",
		false, false, ADMIN_CONFIRM_NONE, {LOG_FILTER,
			{"format", ADMIN_ARG_TEXT, false, false, "csv or jsonl, JSON lines (csv)"},
			{"before", ADMIN_ARG_INT, false, false, "only events older than the one with this id"}}, "",
		REST(READ, "GET", "/log/export")},
	[ADMIN_STATUS] = {"status", "Show whether the server is well: users, phones, waiting phones, processes.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(READ, "GET", "/status")},
	[ADMIN_STATS] = {"stats", "Show all counters.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(READ, "GET", "/stats")},
	[ADMIN_METRICS] = {"metrics", "Show all metrics as Prometheus reads them at /metrics (docs/MONITORING.md).",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(READ, "GET", "/metrics")},
	[ADMIN_OVERVIEW] = {"overview", "Show how the server does: numbers of now and of the last hour and day, and what should be looked at, with its remedy.",
		false, false, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(READ, "GET", "/overview")},
	[ADMIN_RELOAD] = {"reload", "Check the configuration and take it over, certificates included. No phone is disturbed.",
		true, true, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(SERVER, "POST", "/server/reload")},
	[ADMIN_RESTART] = {"restart", "Restart a part of the server. Waiting phones stay connected.",
		true, true, ADMIN_CONFIRM_NONE, {{"part", ADMIN_ARG_TEXT, true, true, "engine"}}, "",
		REST(SERVER, "POST", "/server/restart")},
	[ADMIN_UPGRADE] = {"upgrade", "Replace all processes by the program that is installed now. Waiting phones stay connected.",
		true, true, ADMIN_CONFIRM_NONE, {{NULL}}, "",
		REST(SERVER, "POST", "/server/upgrade")},
	[ADMIN_IMPORT_BEGIN] = {"import begin", "Begin an import.",
		true, true, ADMIN_CONFIRM_NONE, {ADDRESS("whose")}, "", true},
	[ADMIN_IMPORT_BATCH] = {"import batch", "Take in some messages; their bytes follow the request.",
		false, true, ADMIN_CONFIRM_NONE, {ADDRESS("whose"), {"batch", ADMIN_ARG_JSON, true, false, "folder, messages"}}, "", true},
};

const struct admin_verb admin_local_verbs[ADMIN_LOCAL_COUNT] = {
	[ADMIN_LOCAL_BACKUP] = {"backup", "Copy users, mail and phones into a new folder, while the server runs. Without configuration and TLS keys.",
		false, false, ADMIN_CONFIRM_NONE, {{"dir", ADMIN_ARG_TEXT, true, true, "the folder to make; it must not be there, or be empty"},
			{"verify", ADMIN_ARG_FLAG, false, false, "make nothing: read this backup and compare it with its manifest"},
			{"damaged", ADMIN_ARG_FLAG, false, false, "go on when message bodies are missing or damaged; the manifest names them"}}, ""},
	[ADMIN_LOCAL_RESTORE] = {"restore", "Put a backup in the place of the data, which are kept under another name. The server must be stopped. Phones start over.",
		false, false, ADMIN_CONFIRM_NONE, {{"dir", ADMIN_ARG_TEXT, true, true, "the backup"},
			{"inside", ADMIN_ARG_FLAG, false, false, "exchange what is in the data folder, not the folder; done anyhow where that cannot be renamed"}}, ""},
	[ADMIN_LOCAL_CHECK] = {"check", "Check the whole store: the database, rows against each other, message bodies, what is known of phones.",
		false, false, ADMIN_CONFIRM_NONE, {{"quick", ADMIN_ARG_FLAG, false, false, "do not read message bodies and indexes"},
			{"repair", ADMIN_ARG_FLAG, false, false, "count anew what can be counted, and remove what is left of phones and folders that are gone; the server must be stopped"}}, ""},
	[ADMIN_LOCAL_IMPORT] = {"import", "Bring mail into a mailbox from an mbox file, a Maildir, .eml files, or a folder of any of these. Run it again to go on after an interruption: nothing comes in twice.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose mailbox"),
			{"source", ADMIN_ARG_TEXT, true, true, "the file or folder"},
			{"folder", ADMIN_ARG_TEXT, false, false, "into this folder, for example Archive/2019; made when it is not there (Inbox)"},
			{"format", ADMIN_ARG_TEXT, false, false, "what the source is: auto, mbox, mboxrd, mboxo, mboxcl, mboxcl2, maildir or eml (auto)"},
			{"quiet", ADMIN_ARG_FLAG, false, false, "no progress bar, and nothing said at the end but what failed"}}, ""},
	[ADMIN_LOCAL_DOCTOR] = {"doctor", "Look at system, configuration and server, and say what is not as it should be: how many phones the limits of descriptors, files, memory and the network allow, whether certificate, names and clock are well, with --url also how phones come here and how long the proxy in front lets them wait; and what to change.",
		false, false, ADMIN_CONFIRM_NONE, {
			{"url", ADMIN_ARG_TEXT, false, false, "where phones come to, https://mail.example.org: goes there, and holds a request to measure what the way allows"},
			{"hold", ADMIN_ARG_INT, false, false, "so many seconds (100; 1800 makes sure of the longest heartbeats)"},
			{"ca", ADMIN_ARG_TEXT, false, false, "PEM file with authorities to trust beside the system's"}}, ""},
	[ADMIN_LOCAL_EXPORT] = {"export", "Write the mail of a mailbox into a new folder, as a Maildir or as mbox files.",
		false, false, ADMIN_CONFIRM_NONE, {ADDRESS("whose mailbox"),
			{"dir", ADMIN_ARG_TEXT, true, true, "the folder to make; it must not be there, or be empty"},
			{"folder", ADMIN_ARG_TEXT, false, false, "only this folder of the mailbox, for example Archive/2019"},
			{"format", ADMIN_ARG_TEXT, false, false, "maildir or mbox (maildir)"},
			{"quiet", ADMIN_ARG_FLAG, false, false, "no progress bar, and nothing said at the end but what failed"}}, ""},
};
/* clang-format on */

static const char *const scope_names[ADMIN_SCOPE_COUNT] = {
	[ADMIN_SCOPE_READ] = "read",
	[ADMIN_SCOPE_USERS] = "users",
	[ADMIN_SCOPE_DEVICES] = "devices",
	[ADMIN_SCOPE_WIPE] = "wipe",
	[ADMIN_SCOPE_POLICIES] = "policies",
	[ADMIN_SCOPE_ACCESS] = "access",
	[ADMIN_SCOPE_QUEUE] = "queue",
	[ADMIN_SCOPE_SERVER] = "server",
	[ADMIN_SCOPE_METRICS] = "metrics",
	[ADMIN_SCOPE_SELF] = "self",
};

const char *admin_scope_to_str(enum admin_scope scope)
{
	return scope_names[scope];
}

enum admin_scope admin_scope_find(const char *name)
{
	for (int i = ADMIN_SCOPE_NONE + 1; i < ADMIN_SCOPE_COUNT; i++) {
		if (strcmp(scope_names[i], name) == 0)
			return (enum admin_scope)i;
	}
	return ADMIN_SCOPE_NONE;
}

enum admin_verb_id admin_verb_find(const char *name)
{
	for (int i = 0; i < ADMIN_VERB_COUNT; i++) {
		if (strcmp(admin_verbs[i].name, name) == 0)
			return (enum admin_verb_id)i;
	}
	return ADMIN_VERB_COUNT;
}

size_t admin_verb_arg_count(const struct admin_verb *verb)
{
	size_t n = 0;

	while (n < ADMIN_ARGS_MAX && verb->args[n].name != NULL)
		n++;
	return n;
}

const char *admin_verb_choice(const struct admin_verb *verb, bool has_first, bool has_second)
{
	if (verb->choice.first == NULL || has_first != has_second)
		return NULL;
	return has_first ? verb->choice.both : verb->choice.neither;
}
