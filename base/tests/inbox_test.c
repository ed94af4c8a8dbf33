#include "base/inbox.h"

#include "base/assert.h"
#include "base/test.h"

#include <pthread.h>

#define PRODUCERS 4
#define ITEMS     20000 /* per producer */

struct note {
    struct inbox_item item;
    unsigned producer, number;
};

static struct inbox inbox;
static struct note notes[PRODUCERS][ITEMS];
static atomic_uint wakeups;

static void test_order(void)
{
    struct inbox_item a, b, c, *got;

    inbox_init(&inbox);
    CHECK(inbox_take(&inbox) == NULL);
    CHECK(!inbox_has_items(&inbox));
    CHECK(inbox_push(&inbox, &a)); /* was empty */
    CHECK(!inbox_push(&inbox, &b));
    CHECK(inbox_has_items(&inbox));
    got = inbox_take(&inbox);
    CHECK(got == &a && a.next == &b && b.next == NULL);
    CHECK(!inbox_has_items(&inbox));
    CHECK(inbox_push(&inbox, &c));
    CHECK(inbox_take(&inbox) == &c && c.next == NULL);
}

static void *produce(void *arg)
{
    unsigned producer = *(unsigned *)arg;

    for (unsigned i = 0; i < ITEMS; i++) {
        notes[producer][i] = (struct note){.producer = producer, .number = i};
        if (inbox_push(&inbox, &notes[producer][i].item))
            atomic_fetch_add(&wakeups, 1);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[PRODUCERS];
    unsigned numbers[PRODUCERS], next[PRODUCERS] = {0};
    unsigned seen = 0, batches = 0, out_of_order = 0;

    inbox_init(&inbox);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, produce, &numbers[i]);
    }
    while (seen < PRODUCERS * ITEMS) {
        struct inbox_item *item = inbox_take(&inbox);

        batches += item != NULL;
        for (; item != NULL; item = item->next, seen++) {
            struct note *n = CONTAINER_OF(item, struct note, item);

            out_of_order += n->number != next[n->producer]++;
        }
    }
    for (unsigned i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(out_of_order, 0);
    CHECK_INT(atomic_load(&wakeups), batches); /* one wake-up a batch, none missing */
    CHECK(!inbox_has_items(&inbox));
}

TEST_MAIN(test_order, test_threads)
