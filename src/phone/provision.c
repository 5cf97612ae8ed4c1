/*
 * Provisioning: fetch the policy, answer for it, keep the final key. Or: the server orders a wipe,
 * and what it has given us is erased before we say so.
 */
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "phone/durable.h"
#include "phone/phone.h"

static int ask(
	struct phone *p, const struct buf *body, struct answer_provision *ret, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct exchange x = {
		.command = REQUEST_PROVISION, .body = body->data, .body_len = body->len};
	struct wbxml_node *root = NULL;
	int rc = exchange_run(p, &x, arena, &root, err);

	if (rc == 0)
		rc = answer_provision(root, ret, err);
	arena_free(&arena);
	return rc;
}

/* ---- the wipe ---- */

/* What is to be erased, and how to tell of it, lies beside until it is done: being killed in the
 * middle changes nothing. */
static char *note_dir(const struct phone *p)
{
	return x_printf("%s/wiping", p->data_dir);
}

int provision_wipe_note(struct phone *p, struct err *err)
{
	CLEANUP(mem_freep) char *dir = note_dir(p);

	return profile_load(dir, &p->profile, err);
}

/* The account's file comes last: it is what says that the note is whole. */
static int write_note(const struct phone *p, bool account_only, struct err *err)
{
	CLEANUP(mem_freep) char *dir = note_dir(p);
	CLEANUP(mem_freep) char *kind = x_printf("%s/account_only", dir);

	if (durable_mkdirs(dir, err) < 0 ||
		(account_only && durable_write(dir, kind, "1", 1, err) < 0))
		return -1;
	return profile_save(dir, p->profile, err);
}

static bool passes(const struct err *err)
{
	return err->code == ERR_TIMEOUT || err->code == ERR_BACKEND || err->code == ERR_BUSY;
}

/* Not being able to tell changes nothing: it is told at the next start, or ordered again. */
static void tell(struct phone *p, bool account_only, bool gone)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	CLEANUP(mem_freep) char *dir = note_dir(p);
	struct answer_provision ignored;
	struct err told = ERR_INIT;

	request_wipe_ack(account_only, gone ? 1 : 2, &body);
	if (ask(p, &body, &ignored, &told) < 0 && passes(&told))
		return;
	if (gone && durable_remove_tree(dir, &told) == 0)
		(void)rmdir(p->data_dir); /* only if nobody else keeps anything there */
}

/* Erases everything that the server has given us for this account, then tells it. */
static int wipe(struct phone *p, bool account_only, struct err *err)
{
	struct err erased = ERR_INIT;
	bool gone;

	/* A full disk must not keep us from it. */
	if (write_note(p, account_only, &erased) < 0)
		events_error(&p->events, err_code_to_str(erased.code), erased.text);
	gone = durable_remove_tree(p->maildir, &erased) == 0 &&
	       durable_remove_tree(p->state_dir, &erased) == 0;
	p->wiped = gone;
	tell(p, account_only, gone);
	events_emit(&p->events, 0, "The server ordered a wipe: mail and state are erased.", "wiped",
		EV_STR("kind", account_only ? "account" : "device"), EV_INT("done", gone));
	if (!gone)
		return err_set(err, ERR_DENIED, "the server ordered a wipe, which failed: %s",
			erased.text);
	return err_set(err, ERR_DENIED, "wiped by order of the server");
}

int provision_wipe_resume(struct phone *p, struct err *err)
{
	CLEANUP(mem_freep) char *dir = note_dir(p);
	CLEANUP(mem_freep) char *kind = x_printf("%s/account_only", dir);

	return wipe(p, access(kind, F_OK) == 0, err);
}

/* ---- the policy ---- */

static int first_phase(struct phone *p, struct answer_provision *ret, struct err *err)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	struct utsname system = {.sysname = "Linux"};
	CLEANUP(mem_freep) char *os = NULL;
	struct request_device_info info = {
		.model = "bellhop-phone",
		.user_agent = "Bellhop-Phone/" BELLHOP_VERSION,
		.os_language = "en",
	};

	(void)uname(&system);
	os = x_printf("%s %s", system.sysname, system.release);
	info.os = os;
	info.friendly_name = system.nodename;
	p->profile->policy_key = 0;
	request_provision(p->profile->version, &info, &body);
	return ask(p, &body, ret, err);
}

/* 1 applied, 2 in part: what we cannot enforce by ourselves is said, unless the user claims it. */
static unsigned judge_policy(const struct phone *p, const struct answer_provision *policy)
{
	bool beyond = policy->wants_password || policy->wants_encryption || policy->wants_smime ||
		      policy->wants_other;

	return beyond && !p->options->claim_policy ? 2 : 1;
}

static int second_phase(struct phone *p, const struct answer_provision *policy, struct err *err)
{
	CLEANUP(buf_deinit) struct buf body = BUF_INIT;
	unsigned status = judge_policy(p, policy);
	struct answer_provision final;

	p->profile->policy_key = policy->policy_key;
	request_provision_ack(p->profile->version, policy->policy_key, status, &body);
	if (ask(p, &body, &final, err) < 0)
		return -1;
	if (final.status == 139 || final.status == 145)
		return err_set(err, ERR_DENIED,
			"the server's policy demands what cannot be enforced here (Status "
			"%u%s%s%s%s); "
			"--claim-policy says that you take care of it",
			final.status, policy->wants_password ? ", a device password" : "",
			policy->wants_encryption ? ", encrypted storage" : "",
			policy->wants_smime ? ", S/MIME" : "",
			policy->wants_other ? ", rules for other parts of a phone" : "");
	if (final.status != 1 || (final.policy_status != 1 && final.policy_status != 0) ||
		final.policy_key == 0)
		return err_set(err, ERR_DENIED,
			"the server did not accept the policy's acknowledgment (Status %u, policy "
			"Status %u)",
			final.status, final.policy_status);
	p->profile->policy_key = final.policy_key;
	p->profile->max_filter = policy->max_filter;
	return 0;
}

int provision_run(struct phone *p, struct err *err)
{
	struct answer_provision policy = {0};

	if (first_phase(p, &policy, err) < 0)
		return err_wrap(err, "provisioning");
	if (policy.remote_wipe || policy.account_only_wipe)
		return wipe(p, policy.account_only_wipe && !policy.remote_wipe, err);
	if (policy.status != 1)
		return err_set(err, ERR_DENIED, "provisioning was refused (Status %u%s%s)",
			policy.status, answer_common_text(policy.status) != NULL ? ", " : "",
			answer_common_text(policy.status) != NULL
				? answer_common_text(policy.status)
				: "");
	if (policy.policy_status == 1 && policy.policy_key != 0) {
		if (second_phase(p, &policy, err) < 0)
			return err_wrap(err, "provisioning");
	} else if (policy.policy_status > 2) {
		return err_set(err, ERR_DENIED,
			"the server has no policy for us (policy Status %u)", policy.policy_status);
	} /* else: no policy for this user, no key needed */
	if (profile_save(p->state_dir, p->profile, err) < 0)
		return -1;
	events_emit(&p->events, 0, "Provisioned.", "provisioned",
		EV_STR("version", version_to_str(p->profile->version)),
		EV_INT("policy_key", p->profile->policy_key), EV_INT("policy", policy.has_policy));
	return 0;
}
