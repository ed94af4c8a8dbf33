/* list: intrusive, circular, doubly linked. A head is a node that no item contains. All O(1). */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include "base/assert.h"

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next; /* both point at itself: empty head, or item in no list */
};

#define LIST_ITEM(node, type, member) CONTAINER_OF(node, type, member)

/* for (struct list *n ...): the loop body must not remove n; with _SAFE it may remove n only. */
#define LIST_EACH(n, head)            for (struct list *n = (head)->next; n != (head); n = n->next)
#define LIST_EACH_SAFE(n, head)                                           \
    for (struct list *n = (head)->next, *n##_next = n->next; n != (head); \
         n = n##_next, n##_next = n->next)

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/* True when the node is in a list. The node must have been initialised. */
static inline bool list_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_insert_between(struct list *node, struct list *before, struct list *after)
{
    node->prev = before;
    node->next = after;
    before->next = node;
    after->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_between(node, head->prev, head);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_between(node, head, head->next);
}

/* Take the node out of its list, if it is in one; it is ready to be pushed again. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* First node, removed; NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;

    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

/* Move every node of from to the end of to; from becomes empty. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
#endif
