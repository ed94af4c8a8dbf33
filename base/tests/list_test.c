#include "base/list.h"

#include "base/test.h"

struct item {
    int number;
    struct list link;
};

static struct list head;
static struct item items[4];

static void setup(size_t n)
{
    list_init(&head);
    for (size_t i = 0; i < n; i++) {
        items[i].number = (int)i + 1;
        list_init(&items[i].link);
        list_push_back(&head, &items[i].link);
    }
}

/* The numbers of the items, as digits of a decimal number; negative if the links back differ. */
static int content(const struct list *from)
{
    int forth = 0, back = 0, scale = 1;

    LIST_EACH (n, from) {
        forth = forth * 10 + LIST_ITEM(n, struct item, link)->number;
    }
    for (struct list *n = from->prev; n != from; n = n->prev, scale *= 10)
        back += LIST_ITEM(n, struct item, link)->number * scale;
    return forth == back ? forth : -1;
}

static void test_empty(void)
{
    setup(0);
    CHECK(list_empty(&head));
    CHECK(list_pop_front(&head) == NULL);
    CHECK_INT(content(&head), 0);
}

static void test_push(void)
{
    setup(2);
    CHECK(!list_empty(&head));
    items[2].number = 3;
    list_push_front(&head, &items[2].link);
    CHECK_INT(content(&head), 312);
}

static void test_remove(void)
{
    setup(3);
    CHECK(list_linked(&items[1].link));
    list_remove(&items[1].link);
    CHECK(!list_linked(&items[1].link));
    CHECK_INT(content(&head), 13);
    list_remove(&items[1].link); /* in no list: nothing happens */
    CHECK_INT(content(&head), 13);
    list_push_back(&head, &items[1].link);
    CHECK_INT(content(&head), 132);
}

static void test_pop(void)
{
    setup(2);
    CHECK(list_pop_front(&head) == &items[0].link);
    CHECK(!list_linked(&items[0].link));
    CHECK(list_pop_front(&head) == &items[1].link);
    CHECK(list_empty(&head));
}

static void test_each_safe(void)
{
    setup(4);
    LIST_EACH_SAFE (n, &head) {
        if (LIST_ITEM(n, struct item, link)->number % 2 == 0)
            list_remove(n);
    }
    CHECK_INT(content(&head), 13);
}

static void test_splice(void)
{
    struct list other;

    setup(4);
    list_init(&other);
    list_splice_back(&other, &head);
    CHECK(list_empty(&head));
    CHECK_INT(content(&other), 1234);
    list_splice_back(&other, &head); /* nothing to move */
    CHECK_INT(content(&other), 1234);

    list_remove(&items[0].link);
    list_push_back(&head, &items[0].link);
    list_splice_back(&head, &other);
    CHECK_INT(content(&head), 1234);
    CHECK(list_empty(&other));
}

TEST_MAIN(test_empty, test_push, test_remove, test_pop, test_each_safe, test_splice)
