/*
 * May this caller do that? The one place where it is decided, for the socket, sessions and tokens
 * alike. Pure.
 *
 * Three questions, in this order. May the caller use the verb at all: from this machine, root and
 * the server's own user; an administrator's session; a token with the verb's scope. Whose data does
 * it concern: who is no administrator, and whoever asks by a path of /me, gets at his own only, and
 * only by verbs that have such a path. So a token never can more than the user behind it.
 *
 * It is asked before the arguments are checked: a stranger learns nothing of what they lack.
 */
#include <stdio.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "base/str.h"

static int local_may(uid_t uid, struct err *err)
{
	if (uid == 0 || uid == geteuid())
		return 0;
	return err_set(err, ERR_DENIED,
		"user %u may not administer this server; root and user %u may", (unsigned)uid,
		(unsigned)geteuid());
}

static bool has_scope(const struct admin_caller *caller, enum admin_scope scope)
{
	return scope != ADMIN_SCOPE_NONE && (caller->scopes & (1u << scope)) != 0;
}

int admin_may(const struct admin_caller *caller, const struct admin_verb *verb, const json_t *args,
	struct err *err)
{
	enum admin_scope scope = caller->for_self ? ADMIN_SCOPE_SELF : verb->scope;
	const char *address;

	if (caller->kind == ADMIN_CALLER_LOCAL)
		return local_may(caller->uid, err);
	if (verb->scope == ADMIN_SCOPE_NONE)
		return err_set(err, ERR_DENIED, "%s is not for the REST API", verb->name);
	if (caller->kind == ADMIN_CALLER_TOKEN && !has_scope(caller, scope))
		return err_set(err, ERR_DENIED, "this token lacks the scope \"%s\"",
			admin_scope_to_str(scope));
	if (!caller->for_self)
		return caller->is_admin
			       ? 0
			       : err_set(err, ERR_DENIED, "only administrators may do that");
	address = json_string_value(json_object_get(args, "address"));
	if (verb->self_path == NULL || caller->user_address == NULL ||
		!str_eq(address, caller->user_address))
		return err_set(err, ERR_DENIED, "that is not yours");
	return 0;
}

/* Those of an administrator; "metrics" is part of "read", "self" is about somebody else. */
static bool has_every_scope(const struct admin_caller *caller)
{
	for (int i = ADMIN_SCOPE_READ; i <= ADMIN_SCOPE_SERVER; i++) {
		if (!has_scope(caller, (enum admin_scope)i))
			return false;
	}
	return true;
}

int admin_may_rule(const struct admin_call *call, struct err *err)
{
	if (call->caller->kind != ADMIN_CALLER_TOKEN || has_every_scope(call->caller))
		return 0;
	return err_set(err, ERR_DENIED,
		"administrators and tokens are for administrators: this token lacks a scope of "
		"read, users, devices, wipe, policies, access, queue, server");
}

/* Whoever asks for himself has proved that he is it. */
int admin_may_change(const struct admin_call *call, const struct user *user, struct err *err)
{
	return !user->admin || call->caller->for_self ? 0 : admin_may_rule(call, err);
}

void admin_caller_local(struct admin_caller *caller, char actor[ADMIN_ACTOR_MAX], uid_t uid)
{
	(void)snprintf(actor, ADMIN_ACTOR_MAX, "admin:uid=%u", (unsigned)uid);
	*caller = (struct admin_caller){
		.kind = ADMIN_CALLER_LOCAL, .uid = uid, .actor = actor, .address = ""};
}
