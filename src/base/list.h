#ifndef BELLHOP_BASE_LIST_H
#define BELLHOP_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Intrusive doubly linked lists. A head is a struct list_node too; an empty one points at itself.
 * list_remove() leaves the node pointing at itself, so removing twice is harmless.
 */
struct list_node {
	struct list_node *prev, *next;
};

#define LIST_HEAD_INIT(name)                                                                       \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
#define LIST_FOREACH(node, head)                                                                   \
	for (struct list_node *node = (head)->next; node != (head); node = node->next)
/* The body may remove `node`. */
#define LIST_FOREACH_SAFE(node, head)                                                              \
	for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head);     \
		node = node##_next, node##_next = node->next)

static inline void list_init(struct list_node *head)
{
	head->prev = head->next = head;
}

static inline bool list_empty(const struct list_node *head)
{
	return head->next == head;
}

static inline void list_append(struct list_node *head, struct list_node *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_remove(struct list_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#endif
