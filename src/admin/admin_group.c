/* Verbs about groups of users. Threads and transactions: see admin.c. */
#include "admin/admin_page.h"
#include "base/mem.h"
#include "store/store_rules.h"

int admin_group_find(struct admin_call *call, struct user_group **ret, struct err *err)
{
	return store_group_find(call->rd, admin_text(call, "group"), call->arena, ret, err);
}

static void put_group(json_t *object, const struct user_group *group)
{
	admin_put(object, "group", group->name);
	admin_put_number(object, "rank", group->rank);
}

static uint32_t rank_of(const struct admin_call *call)
{
	return (uint32_t)MIN(admin_number(call, "rank", STORE_GROUP_RANK), UINT32_MAX);
}

int admin_group_add(struct admin_call *call, struct err *err)
{
	struct user_group group = {.name = admin_text(call, "group"), .rank = rank_of(call)};

	if (store_group_add(call->tx, group.name, group.rank, &group.id, err) < 0)
		return -1;
	put_group(call->result, &group);
	return 0;
}

int admin_group_rank(struct admin_call *call, struct err *err)
{
	struct user_group *group;

	if (admin_group_find(call, &group, err) < 0)
		return -1;
	group->rank = rank_of(call);
	put_group(call->result, group);
	return store_group_set_rank(call->tx, group->id, group->rank, err);
}

int admin_group_del(struct admin_call *call, struct err *err)
{
	struct user_group *group;

	if (admin_group_find(call, &group, err) < 0)
		return -1;
	put_group(call->result, group);
	return store_group_delete(call->tx, group->id, err);
}

int admin_group_list(struct admin_call *call, struct err *err)
{
	struct user_group *groups;
	size_t count;

	if (store_group_list(call->rd, call->arena, &groups, &count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		json_t *object = json_object();

		put_group(object, &groups[i]);
		admin_put_number(object, "members", groups[i].members);
		(void)json_array_append_new(call->result, object);
	}
	return 0;
}

int admin_group_show(struct admin_call *call, struct err *err)
{
	const struct store_piece piece = admin_piece(call);
	struct user_group *group;
	const char **members;
	json_t *list = json_array();
	uint64_t in_all = 0;
	size_t count;

	(void)json_object_set_new(call->result, "members", list);
	if (admin_group_find(call, &group, err) < 0 ||
		store_group_member_names(
			call->rd, group->id, &piece, call->arena, &members, &count, err) < 0 ||
		store_group_member_count(call->rd, group->id, &in_all, err) < 0)
		return -1;
	put_group(call->result, group);
	admin_put_number(call->result, "member_count", in_all);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(list, json_string(members[i]));
	return 0;
}

static int change_member(struct admin_call *call, bool join, struct err *err)
{
	struct user_group *group;
	struct user *user;
	int changed;

	if (admin_group_find(call, &group, err) < 0 || admin_user(call, &user, err) < 0)
		return -1;
	changed = join ? store_group_join(call->tx, group->id, user->id, err)
		       : store_group_leave(call->tx, group->id, user->id, err);
	if (changed < 0)
		return -1;
	if (changed == 0 && !join)
		return err_set(err, ERR_NOT_FOUND, "%s is not in the group %s",
			admin_user_address(call, user), group->name);
	admin_put(call->result, "group", group->name);
	admin_put(call->result, "address", admin_user_address(call, user));
	admin_put_bool(call->result, "member", join);
	call->log_result = group->name;
	return 0;
}

int admin_group_join(struct admin_call *call, struct err *err)
{
	return change_member(call, true, err);
}

int admin_group_leave(struct admin_call *call, struct err *err)
{
	return change_member(call, false, err);
}
