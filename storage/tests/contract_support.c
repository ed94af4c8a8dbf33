#include "storage/tests/contract_support.h"

#include "base/test.h"
#include "storage/memory_store.h"
#include "storage/tests/ops_support.h"
#include "storage/tests/records_support.h"

#define MANY 3000

static const struct contract_backend *backend;
static struct store *s;
static struct store_batch batch;
static struct waiter waiter;

static void open_store(void)
{
    s = backend->open();
    CHECK(s != NULL);
    s->ops->notify(s, waiter_news, &waiter);
}

static void setup(void)
{
    waiter_init(&waiter);
    backend->begin();
    open_store();
}

static void teardown(void)
{
    s->ops->close(s);
    store_batch_fini(&batch);
    backend->end();
}

static void reopen(void)
{
    s->ops->close(s);
    open_store();
}

static void add(const struct store_record *r)
{
    CHECK_INT(store_batch_add(&batch, r), 0);
}

/* Submit what was added, at shard 0, and wait until it is committed. */
static void commit(void)
{
    uint64_t number = s->ops->submit(s, 0, &batch);

    CHECK(batch.data == NULL && batch.records == 0);
    CHECK(wait_committed(&waiter, s, 0, number));
}

static void put(struct store_record r)
{
    add(&r);
    commit();
}

static void put_as(struct store_record r, enum store_kind kind)
{
    put(as_kind(r, kind));
}

/* After closing and opening again. */
#define CHECK_STATE(want) check_state(want, __LINE__)

static void check_state(const char *want, int line)
{
    char *got;

    reopen();
    got = state_of(&waiter, s, false);
    if (!CHECK_ROW(line, strcmp(got, want) == 0))
        printf("---- got\n%s---- want\n%s", got, want);
    free(got);
}

/* ---- records ---- */

static void test_fields(void)
{
    struct store_record one = {.kind = STORE_SESSION,
                               .session = 1,
                               .client_id = STR("one"),
                               .ends_ms = STORE_NEVER,
                               .will_ms = 1234,
                               .expiry_s = UINT32_MAX,
                               .will_delay_s = 7,
                               .will_expiry_s = 8,
                               .version = 4,
                               .has_will = true,
                               .will_has_expiry = true,
                               .message = {.publisher = 1,
                                           .expires_ms = 99,
                                           .topic = STR("will"),
                                           .props = STR("p"),
                                           .payload = STR("gone"),
                                           .qos = 2,
                                           .retain = true}},
                        two = {.kind = STORE_SESSION, .session = 2},
                        f = a_filter(1, "a/#", 0x2d | STORE_RETAINED_DUE),
                        d = a_delivery(1, 40, "x"), r = a_retained(41, "r", "kept");

    f.sub_id = 268435455;
    d.group = 5;
    d.sub_ids = STR("12345678");
    d.packet_id = 65535;
    d.state = STORE_SENT;
    d.qos = 2;
    d.retain = true;
    d.message = (struct store_message){.uid = 40,
                                       .publisher = 3,
                                       .expires_ms = UINT64_C(1) << 60,
                                       .topic = STR("t"),
                                       .props = STR("q"),
                                       .payload = STR("x"),
                                       .qos = 2,
                                       .retain = true};
    r.message.publisher = 9;
    r.message.expires_ms = UINT64_C(1) << 61;
    r.message.props = STR("z");
    r.message.qos = 1;
    setup();
    add(&one);
    add(&two);
    add(&f);
    add(&d);
    add(&r);
    put(a_received(1, 65535));
    CHECK_STATE("delivery 1 uid=40 group=5 packet=65535 state=1 qos=2 retain=1 ids=12345678\n"
                "filter 1 filter=a/# options=173 id=268435455\n"
                "queue #000000 delivery 1 uid=40 group=5 packet=65535 state=1 qos=2 retain=1"
                " ids=12345678 publisher=3 expires=1152921504606846976 topic=t props=q payload=x"
                " message_qos=2 message_retain=1\n"
                "received 1 packet=65535\n"
                "retained uid=41 publisher=9 expires=2305843009213693952 topic=r props=z"
                " payload=kept message_qos=1 message_retain=1\n"
                "session 1 client=one ends=never will=1234 expiry=4294967295 version=4 has_will=1"
                " will_delay=7 will_has_expiry=1 will_expiry=8 publisher=1 expires=99 topic=will"
                " props=p payload=gone message_qos=2 message_retain=1\n"
                "session 2\n");
    teardown();
}

static void test_replace_and_remove(void)
{
    struct store_record one = a_session(1, "one");

    setup();
    put(one);
    put(a_filter(1, "a/#", 1));
    put(a_filter(1, "a/+", 1));
    put(a_received(1, 9));
    put(a_retained(5, "t", "old"));
    put(a_retained(6, "t", "new"));
    put(a_retained(7, "t2", "other"));
    one.expiry_s = 120;
    put(one);
    put(a_filter(1, "a/#", 2));
    put(a_received(1, 9));
    CHECK_STATE("filter 1 filter=a/# options=2\n"
                "filter 1 filter=a/+ options=1\n"
                "received 1 packet=9\n"
                "retained uid=6 topic=t payload=new message_retain=1\n"
                "retained uid=7 topic=t2 payload=other message_retain=1\n"
                "session 1 client=one expiry=120 version=5\n");
    put_as(a_filter(1, "a/#", 0), STORE_FILTER_END);
    put_as(a_received(1, 9), STORE_RECEIVED_END);
    put_as(a_retained(1, "t", ""), STORE_RETAINED_END);
    CHECK_STATE("filter 1 filter=a/+ options=1\n"
                "retained uid=7 topic=t2 payload=other message_retain=1\n"
                "session 1 client=one expiry=120 version=5\n");
    teardown();
}

static void test_what_is_not_there(void)
{
    struct store_record d = a_delivery(1, 5, NULL);

    setup();
    put(a_session(1, "one"));
    put_as(a_filter(1, "a/#", 0), STORE_FILTER_END);
    put_as(a_filter(2, "a/#", 0), STORE_FILTER_END);
    put_as(d, STORE_DELIVERY_STATE);
    put_as(d, STORE_DELIVERY_END);
    put_as(d, STORE_QUEUE_DROP);
    put_as(a_received(1, 9), STORE_RECEIVED_END);
    put_as(a_retained(1, "t", ""), STORE_RETAINED_END);
    put_as(a_session(3, ""), STORE_SESSION_END);
    commit(); /* nothing at all */
    CHECK_STATE("session 1 client=one expiry=60 version=5\n");
    teardown();
}

/* The later a record stands in a batch, the later it takes effect. */
static void test_order_in_a_batch(void)
{
    struct store_record one = a_session(1, "one"), d = a_delivery(1, 5, "a"),
                        e = as_kind(d, STORE_DELIVERY_END), f = a_filter(1, "f", 1),
                        end = as_kind(one, STORE_SESSION_END);

    setup();
    add(&one);
    add(&f);
    add(&d);
    add(&end);
    add(&one);
    add(&d);
    add(&e);
    add(&e);
    add(&d);
    d.uid = d.message.uid = 6;
    add(&d);
    d.kind = STORE_DELIVERY_STATE;
    d.state = STORE_SENT;
    d.packet_id = 1;
    add(&d);
    d.packet_id = 2;
    put(d);
    CHECK_STATE("backlog 1 messages=1 bytes=2\n"
                "delivery 1 uid=6 packet=2 state=1 qos=1\n"
                "queue #000000 delivery 1 uid=5 qos=1 topic=t payload=a message_qos=1\n"
                "queue #000001 delivery 1 uid=6 packet=2 state=1 qos=1 topic=t payload=a"
                " message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n");
    teardown();
}

/* ---- deliveries ---- */

static void test_delivery_states(void)
{
    struct store_record d = a_delivery(1, 10, "a");

    setup();
    put(a_session(1, "one"));
    put(a_delivery(1, 30, "c"));
    put(d);
    put(a_delivery(1, 20, "b"));
    CHECK_STATE("backlog 1 messages=3 bytes=6\n"
                "queue #000000 delivery 1 uid=10 qos=1 topic=t payload=a message_qos=1\n"
                "queue #000001 delivery 1 uid=20 qos=1 topic=t payload=b message_qos=1\n"
                "queue #000002 delivery 1 uid=30 qos=1 topic=t payload=c message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n");
    d = as_kind(d, STORE_DELIVERY_STATE);
    d.packet_id = 5;
    d.state = STORE_SENT;
    d.qos = 2; /* means nothing here */
    put(d);
    d.uid = 30;
    d.packet_id = 6;
    d.state = STORE_RELEASED;
    put(d);
    CHECK_STATE("backlog 1 messages=1 bytes=2\n"
                "delivery 1 uid=10 packet=5 state=1 qos=1\n"
                "delivery 1 uid=30 packet=6 state=2 qos=1\n"
                "queue #000000 delivery 1 uid=10 packet=5 state=1 qos=1 topic=t payload=a"
                " message_qos=1\n"
                "queue #000001 delivery 1 uid=20 qos=1 topic=t payload=b message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n");
    put_as(a_delivery(1, 10, NULL), STORE_DELIVERY_END);
    put_as(a_delivery(1, 20, NULL), STORE_DELIVERY_END);
    put_as(a_delivery(1, 30, NULL), STORE_DELIVERY_END);
    CHECK_STATE("session 1 client=one expiry=60 version=5\n");
    teardown();
}

static void test_shared_bodies(void)
{
    struct store_record grouped = a_delivery(2, 7, NULL);

    grouped.group = 1;
    setup();
    put(a_session(1, "one"));
    put(a_session(2, "two"));
    put(a_delivery(1, 7, "shared"));
    put(a_delivery(2, 7, NULL));
    put(grouped);
    put(a_delivery(1, 8, "own"));
    reopen();
    put_as(a_delivery(1, 7, NULL), STORE_DELIVERY_END);
    put_as(a_delivery(1, 7, NULL), STORE_DELIVERY_END);
    put_as(a_delivery(2, 7, NULL), STORE_DELIVERY_END);
    put_as(a_delivery(1, 8, NULL), STORE_DELIVERY_END);
    CHECK_STATE("backlog 2 messages=1 bytes=7\n"
                "queue #000000 delivery 2 uid=7 group=1 qos=1 topic=t payload=shared"
                " message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    put(a_delivery(1, 7, "shared")); /* given again */
    put_as(grouped, STORE_DELIVERY_END);
    CHECK_STATE("backlog 1 messages=1 bytes=7\n"
                "queue #000000 delivery 1 uid=7 qos=1 topic=t payload=shared message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    put_as(a_delivery(1, 7, NULL), STORE_DELIVERY_END);
    put(a_delivery(2, 7, "new"));
    CHECK_STATE("backlog 2 messages=1 bytes=4\n"
                "queue #000000 delivery 2 uid=7 qos=1 topic=t payload=new message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    teardown();
}

/* A DELIVERY with the key of one that is there changes nothing. */
static void test_delivery_again(void)
{
    struct store_record d = a_delivery(1, 7, "body");
    static const char want[] = "delivery 1 uid=7 packet=3 state=1 qos=2 ids=abcd\n"
                               "queue #000000 delivery 1 uid=7 packet=3 state=1 qos=2 ids=abcd"
                               " topic=t payload=body message_qos=1\n"
                               "session 1 client=one expiry=60 version=5\n";

    setup();
    put(a_session(1, "one"));
    d.qos = 2;
    d.state = STORE_SENT;
    d.packet_id = 3;
    d.sub_ids = STR("abcd");
    put(d);
    put(a_delivery(1, 7, "body"));
    CHECK_STATE(want);
    d.message = (struct store_message){0};
    d.packet_id = 4;
    put(d);
    CHECK_STATE(want);
    put_as(d, STORE_DELIVERY_END);
    CHECK_STATE("session 1 client=one expiry=60 version=5\n");
    teardown();
}

static struct store_record guarded(uint64_t session, uint64_t uid, uint64_t publisher)
{
    struct store_record r = a_delivery(session, uid, "m");

    r.guarded = true;
    r.message.publisher = publisher;
    return r;
}

static void receive(uint64_t session, uint64_t uid)
{
    struct store_record r = a_received(session, 5);

    r.uid = uid;
    put(r);
}

/* A guarded delivery counts when its publisher has RECEIVED a uid as large, or is not there. */
static void test_guarded(void)
{
    setup();
    put(a_session(1, "subscriber"));
    put(a_session(2, "publisher"));
    put(guarded(1, 11, 2));
    put(guarded(1, 12, 3));
    put(guarded(2, 13, 2));
    put(a_delivery(1, 14, "m"));
    CHECK_STATE("backlog 1 messages=2 bytes=4\n"
                "queue #000000 delivery 1 uid=12 qos=1 publisher=3 topic=t payload=m"
                " message_qos=1\n"
                "queue #000001 delivery 1 uid=14 qos=1 topic=t payload=m message_qos=1\n"
                "session 1 client=subscriber expiry=60 version=5\n"
                "session 2 client=publisher expiry=60 version=5\n");
    put(guarded(1, 21, 2));
    put(guarded(1, 22, 2));
    put(guarded(1, 23, 2));
    receive(2, 22);
    put_as(a_received(2, 5), STORE_RECEIVED_END);
    put(a_session(2, "publisher"));
    CHECK_STATE("backlog 1 messages=4 bytes=8\n"
                "queue #000000 delivery 1 uid=12 qos=1 publisher=3 topic=t payload=m"
                " message_qos=1\n"
                "queue #000001 delivery 1 uid=14 qos=1 topic=t payload=m message_qos=1\n"
                "queue #000002 delivery 1 uid=21 qos=1 publisher=2 topic=t payload=m"
                " message_qos=1\n"
                "queue #000003 delivery 1 uid=22 qos=1 publisher=2 topic=t payload=m"
                " message_qos=1\n"
                "session 1 client=subscriber expiry=60 version=5\n"
                "session 2 client=publisher expiry=60 version=5\n");
    put_as(a_session(2, ""), STORE_SESSION_END);
    put(a_session(2, "publisher")); /* remembers nothing */
    put_as(guarded(1, 12, 3), STORE_DELIVERY_END);
    put_as(a_delivery(1, 14, "m"), STORE_DELIVERY_END);
    put(guarded(1, 31, 2));
    CHECK_STATE("session 1 client=subscriber expiry=60 version=5\n"
                "session 2 client=publisher expiry=60 version=5\n");
    teardown();
}

static void test_queue_drop(void)
{
    struct store_record drop = {.kind = STORE_QUEUE_DROP, .session = 1},
                        sent = a_delivery(1, 1, "sent");

    sent.state = STORE_SENT;
    sent.packet_id = 1;
    setup();
    put(a_session(1, "one"));
    put(a_session(2, "two"));
    put(a_delivery(2, 1, "two"));
    put(sent);
    put(a_delivery(1, 3, "b"));
    put(a_delivery(1, 2, "a"));
    put(a_delivery(1, 4, "c"));
    add(&drop);
    put(drop);
    CHECK_STATE("backlog 1 messages=1 bytes=2\n"
                "backlog 2 messages=1 bytes=4\n"
                "delivery 1 uid=1 packet=1 state=1 qos=1\n"
                "queue #000000 delivery 1 uid=1 packet=1 state=1 qos=1 topic=t payload=two"
                " message_qos=1\n"
                "queue #000000 delivery 2 uid=1 qos=1 topic=t payload=two message_qos=1\n"
                "queue #000001 delivery 1 uid=4 qos=1 topic=t payload=c message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    drop.uid = 4;
    put(drop); /* none is behind it */
    drop.uid = 3;
    drop.group = 1;
    put(drop);
    drop.uid = drop.group = 0;
    put(drop); /* none is left */
    drop.session = 2;
    put(drop);
    CHECK_STATE("delivery 1 uid=1 packet=1 state=1 qos=1\n"
                "queue #000000 delivery 1 uid=1 packet=1 state=1 qos=1 topic=t payload=two"
                " message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    teardown();
}

static void put_many(uint64_t session, uint64_t first_uid)
{
    for (unsigned i = 0; i < MANY; i++) {
        struct store_record d = a_delivery(session, first_uid + i, "body");

        add(&d);
    }
    commit();
}

static void test_session_end(void)
{
    struct store_record alive = a_session(2, "two");

    setup();
    put(a_session(1, "one"));
    put(alive);
    put(a_filter(1, "f", 1));
    put(a_filter(2, "f", 1));
    put(a_received(1, 1));
    put(a_received(2, 1));
    put(a_retained(1, "r", "kept"));
    put_many(1, 10);
    put(a_delivery(2, 11, NULL)); /* has the body of one of those */
    put_as(a_session(1, ""), STORE_SESSION_END);
    CHECK_STATE("backlog 2 messages=1 bytes=5\n"
                "filter 2 filter=f options=1\n"
                "queue #000000 delivery 2 uid=11 qos=1 topic=t payload=body message_qos=1\n"
                "received 2 packet=1\n"
                "retained uid=1 topic=r payload=kept message_retain=1\n"
                "session 2 client=two expiry=60 version=5\n");
    put(a_session(1, "anew"));
    CHECK_STATE("backlog 2 messages=1 bytes=5\n"
                "filter 2 filter=f options=1\n"
                "queue #000000 delivery 2 uid=11 qos=1 topic=t payload=body message_qos=1\n"
                "received 2 packet=1\n"
                "retained uid=1 topic=r payload=kept message_retain=1\n"
                "session 1 client=anew expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    teardown();
}

/* The number of a session that ended is taken again while its queue may still be being removed. */
static void test_session_begins_anew(void)
{
    struct store_record end = {.kind = STORE_SESSION_END, .session = 1},
                        anew = a_session(1, "anew"), d = a_delivery(1, 12, "new");

    setup();
    put(a_session(1, "one"));
    put(a_filter(1, "f", 1));
    put(a_received(1, 1));
    put_many(1, 10);
    put(end);
    add(&anew);
    put(d);
    CHECK_STATE("backlog 1 messages=1 bytes=4\n"
                "queue #000000 delivery 1 uid=12 qos=1 topic=t payload=new message_qos=1\n"
                "session 1 client=anew expiry=60 version=5\n");
    teardown();
}

/* ---- recovery ---- */

static int stop(void *arg, const struct store_record *r)
{
    (void)r;
    return --*(int *)arg == 0 ? 42 : 0;
}

static void test_recovery_stops(void)
{
    struct store_record sent = a_delivery(1, 5, "x");
    int n;

    sent.state = STORE_SENT;
    setup();
    put(a_session(1, "one"));
    put(a_filter(1, "f", 1));
    put(a_received(1, 1));
    put(sent);
    put(a_delivery(1, 6, "x"));
    put(a_retained(7, "r", "x"));
    for (int i = 1; i <= 7; i++) {
        reopen();
        n = i;
        CHECK_ROW_INT(i, s->ops->recover(s, stop, &n), 42);
    }
    n = 8;
    CHECK_INT(s->ops->recover(s, stop, &n), 0);
    CHECK_INT(n, 1);
    teardown();
}

struct order {
    bool session[4];
    unsigned records;
    uint64_t last_uid;
};

static int see_order(void *arg, const struct store_record *r)
{
    struct order *o = arg;

    CHECK((o->records++ == 0) == (r->kind == STORE_CLOCK));
    if (r->kind == STORE_SESSION)
        o->session[r->session] = true;
    else if (r->kind != STORE_CLOCK && r->kind != STORE_RETAINED)
        CHECK_ROW(r->kind, o->session[r->session]);
    if (r->kind == STORE_DELIVERY) {
        CHECK(r->uid > o->last_uid && r->message.topic.len == 0);
        o->last_uid = r->uid;
    }
    return 0;
}

static void test_recovery_order(void)
{
    struct order order = {0};

    setup();
    for (uint64_t i = 3; i >= 1; i--) {
        put(a_session(i, "one"));
        put(a_filter(i, "f", 1));
        put(a_received(i, 1));
    }
    for (uint64_t uid = 20; uid >= 10; uid--) {
        struct store_record d = a_delivery(2, uid, "x");

        d.state = (uint8_t)(uid % 3);
        put(d);
    }
    put(a_retained(7, "r", "x"));
    reopen();
    CHECK_INT(s->ops->recover(s, see_order, &order), 0);
    CHECK_INT(order.records, 1 + 3 * 3 + 8 + 1 + 1);
    teardown();
}

static int see_clock(void *arg, const struct store_record *r)
{
    if (r->kind == STORE_CLOCK)
        *(struct store_record *)arg = *r;
    return 0;
}

/* No number that was in the store is ever below its clock again. */
static void test_clock(void)
{
    struct store_record clock = {0}, will = a_session(5, "will");

    will.has_will = true;
    will.message = (struct store_message){.uid = 7777, .topic = STR("t")};
    setup();
    CHECK_INT(s->ops->recover(s, see_clock, &clock), 0);
    CHECK(clock.last_uid == 0 && clock.last_session == 0);
    put(will);
    put(a_session(9, "one"));
    put(a_delivery(9, 100, "x"));
    put(a_retained(101, "r", "x"));
    put_as(a_retained(101, "r", ""), STORE_RETAINED_END);
    put_as(a_session(9, ""), STORE_SESSION_END);
    for (int i = 0; i < 2; i++) {
        reopen();
        CHECK_INT(s->ops->recover(s, see_clock, &clock), 0);
        CHECK_INT(clock.last_uid, 101);
        CHECK_INT(clock.last_session, 9);
    }
    teardown();
}

/* ---- pages ---- */

/* Read a page and check which uids it has: from first on, n of them. */
static void check_page(const struct store_load *what, uint64_t first, unsigned n, bool end)
{
    struct store_page *p = read_page(&waiter, s, what);
    struct store_record r;
    size_t at = 0;
    uint64_t uid = first;

    if (!CHECK(p != NULL))
        return;
    CHECK_ROW_INT(first, p->rc, 0);
    CHECK_ROW_INT(first, p->records.records, n);
    CHECK_ROW_INT(first, p->end, end);
    CHECK_ROW(first, p->token == what->token && p->next == NULL);
    while (store_batch_next(&p->records, &at, &r)) {
        CHECK_ROW_INT(first, r.uid, uid);
        CHECK_ROW(first, r.kind == STORE_DELIVERY && r.session == what->session);
        CHECK_ROW(first, r.message.payload.len == 4 && r.message.uid == r.uid);
        uid++;
    }
    store_page_free(p);
}

static void test_pages(void)
{
    struct store_load what = {.session = 2, .max_records = 10, .max_bytes = 1000, .token = &what};

    setup();
    put(a_session(1, "one"));
    put(a_session(2, "two"));
    put(a_session(3, "three"));
    for (uint64_t uid = 1; uid <= 25; uid++) {
        put(a_delivery(3, uid, "body"));
        put(a_delivery(2, uid, NULL));
    }
    check_page(&what, 1, 10, false);
    what.after_uid = 10;
    check_page(&what, 11, 10, false);
    what.after_uid = 15;
    check_page(&what, 16, 10, true);
    what.after_uid = 16;
    check_page(&what, 17, 9, true);
    what.after_uid = 25;
    check_page(&what, 0, 0, true);
    what.after_uid = 0;
    what.max_bytes = 5 * 3; /* a topic of one byte, and the payload */
    check_page(&what, 1, 3, false);
    what.max_bytes = 5 * 3 + 4;
    check_page(&what, 1, 3, false);
    what.max_bytes = 0;
    check_page(&what, 1, 1, false);
    what.max_bytes = 1000;
    what.session = 1;
    check_page(&what, 0, 0, true);
    what.session = 4;
    check_page(&what, 0, 0, true);
    teardown();
}

/* By groups within a uid; without what is RELEASED. */
static void test_pages_of_groups(void)
{
    struct store_record d = a_delivery(1, 5, "body");
    struct store_load what = {.session = 1, .max_records = 2, .max_bytes = 1000};
    static const uint64_t groups[] = {UINT64_MAX - 5, UINT64_MAX, 0, 1, 9};
    unsigned n = 0;
    bool end = false;

    setup();
    put(a_session(1, "one"));
    for (size_t i = 0; i < 5; i++) {
        d.group = groups[(i + 3) % 5];
        put(d);
    }
    d.uid = d.message.uid = 6;
    d.state = STORE_RELEASED;
    put(d);
    for (unsigned i = 0; i < 4 && !end; i++) {
        struct store_page *p = read_page(&waiter, s, &what);
        struct store_record r;
        size_t at = 0;

        while (store_batch_next(&p->records, &at, &r)) {
            CHECK_ROW(n, n < 5 && r.uid == 5 && r.group == groups[n]);
            n++;
            what.after_uid = r.uid;
            what.after_group = r.group;
        }
        end = p->end;
        store_page_free(p);
    }
    CHECK_INT(n, 5);
    CHECK(end);
    teardown();
}

static void test_pages_in_order(void)
{
    int tokens[50];
    struct store_load what = {.session = 1, .max_records = 100, .max_bytes = 10000};
    unsigned next[2] = {0, 1};

    setup();
    put(a_session(1, "one"));
    put_many(1, 1);
    for (unsigned i = 0; i < 50; i++) {
        what.token = &tokens[i];
        what.after_uid = i;
        s->ops->load(s, i % 2, &what);
    }
    for (unsigned shard = 0; shard < 2; shard++) {
        struct store_page *p = NULL, *behind;

        while (next[shard] < 50 && (p = wait_page(&waiter, s, shard)) != NULL) {
            for (; p != NULL; p = behind) {
                behind = p->next;
                CHECK_ROW(next[shard], p->token == &tokens[next[shard]]);
                CHECK_ROW_INT(next[shard], p->records.records, 100);
                next[shard] += 2;
                store_page_free(p);
            }
        }
        CHECK(s->ops->pages(s, shard) == NULL);
    }
    CHECK(next[0] == 50 && next[1] == 51);
    s->ops->load(s, 0, &what); /* nobody fetches this one */
    teardown();
}

/* ---- committing ---- */

static void test_shards(void)
{
    struct store_record a = a_retained(1, "t", "a"), b = a_retained(2, "t", "b"),
                        c = a_retained(3, "u", "c");

    setup();
    CHECK_INT(s->ops->committed(s, STORE_SHARDS - 1), 0);
    for (int i = 1; i <= 20; i++) {
        add(&a);
        CHECK_INT(s->ops->submit(s, 5, &batch), i);
        add(&b);
        CHECK_INT(s->ops->submit(s, STORE_SHARDS - 1, &batch), i);
    }
    put(c);
    CHECK(wait_committed(&waiter, s, STORE_SHARDS - 1, 20));
    CHECK_INT(s->ops->committed(s, STORE_SHARDS - 1), 20);
    CHECK_INT(s->ops->committed(s, 5), 20);
    CHECK_INT(s->ops->committed(s, 0), 1);
    CHECK(wait_told(&waiter, 0) && wait_told(&waiter, 5) && told_of(&waiter, 1) == 0);
    CHECK_STATE("retained uid=2 topic=t payload=b message_retain=1\n"
                "retained uid=3 topic=u payload=c message_retain=1\n");
    CHECK_INT(s->ops->committed(s, 5), 0);
    teardown();
}

/* close() commits what was submitted. */
static void test_close_commits(void)
{
    struct store_record r = a_retained(1, "t", "a");

    setup();
    for (unsigned i = 0; i < 100; i++) {
        r.message.uid = i + 1;
        add(&r);
        batch.sync = i % 10 == 0;
        s->ops->submit(s, i % 3, &batch);
    }
    CHECK_STATE("retained uid=100 topic=t payload=a message_retain=1\n");
    teardown();
}

static void test_stats(void)
{
    struct store_load what = {.session = 1, .max_records = 2, .max_bytes = 1000};
    struct store_stats stats;

    setup();
    put(a_session(1, "one"));
    put_many(1, 1);
    store_page_free(read_page(&waiter, s, &what));
    s->ops->stats(s, &stats);
    CHECK_INT(stats.batches, 2);
    CHECK_INT(stats.records, MANY + 1);
    CHECK(stats.commits >= 1 && stats.commits <= 2);
    CHECK_INT(stats.waiting_batches, 0);
    CHECK_INT(stats.waiting_bytes, 0);
    CHECK_INT(stats.failures, 0);
    CHECK_INT(stats.pages, 1);
    CHECK_INT(stats.expired, 0);
    CHECK(stats.bytes > MANY * 5 && stats.set_aside[0] == '\0' && stats.error[0] == '\0');
    CHECK_INT(s->ops->health(s), STORE_FINE);
    teardown();
}

static void test_failing(void)
{
    struct store_load what = {.session = 1, .max_records = 100, .max_bytes = 1000};
    struct store_record d = a_delivery(1, 50, "later"), e = a_session(2, "two");
    struct store_stats stats;
    struct store_page *p;
    uint64_t number;

    setup();
    put(a_session(1, "one"));
    put(a_delivery(1, 49, "early"));
    backend->fail(s, true);
    add(&d);
    number = s->ops->submit(s, 0, &batch);
    add(&e);
    s->ops->submit(s, 1, &batch);
    CHECK(wait_health(&waiter, s, STORE_FAILING));
    CHECK_INT(s->ops->committed(s, 0), number - 1);
    CHECK_INT(s->ops->committed(s, 1), 0);
    s->ops->stats(s, &stats);
    CHECK(stats.error[0] != '\0' && stats.failures > 0);
    CHECK_INT(stats.waiting_batches, 2);
    CHECK(stats.waiting_bytes > 0);
    p = read_page(&waiter, s, &what);
    if (CHECK(p != NULL)) {
        CHECK_INT(p->rc, 0);
        CHECK_INT(p->records.records, 1);
    }
    store_page_free(p);
    backend->fail(s, false);
    CHECK(wait_committed(&waiter, s, 0, number));
    CHECK(wait_committed(&waiter, s, 1, 1));
    CHECK(wait_health(&waiter, s, STORE_FINE));
    s->ops->stats(s, &stats);
    CHECK(stats.error[0] == '\0');
    CHECK_INT(stats.waiting_batches, 0);
    CHECK_STATE("backlog 1 messages=2 bytes=12\n"
                "queue #000000 delivery 1 uid=49 qos=1 topic=t payload=early message_qos=1\n"
                "queue #000001 delivery 1 uid=50 qos=1 topic=t payload=later message_qos=1\n"
                "session 1 client=one expiry=60 version=5\n"
                "session 2 client=two expiry=60 version=5\n");
    teardown();
}

/* ---- against the model ---- */

static void test_random(void)
{
    struct store *model = memory_store_new();
    struct store_batch copy = {0};
    struct waiter model_waiter;
    static struct ops ops;

    waiter_init(&model_waiter);
    model->ops->notify(model, waiter_news, &model_waiter);
    ops_init(&ops, 1);
    setup();
    for (int round = 0; round < 10; round++) {
        uint64_t numbers[3] = {0};
        char *want, *got;

        for (unsigned i = 0; i < 60; i++) {
            struct store_record r;
            size_t at = 0;

            ops_batch(&ops, &batch);
            while (store_batch_next(&batch, &at, &r))
                CHECK_INT(store_batch_add(&copy, &r), 0);
            numbers[i % 3] = s->ops->submit(s, i % 3, &batch);
            model->ops->submit(model, i % 3, &copy);
        }
        for (unsigned i = 0; i < 3; i++)
            CHECK(wait_committed(&waiter, s, i, numbers[i]));
        reopen();
        want = state_of(&model_waiter, model, true);
        got = state_of(&waiter, s, true);
        if (!CHECK_ROW(round, strcmp(want, got) == 0))
            printf("---- got\n%s---- want\n%s", got, want);
        free(want);
        free(got);
    }
    teardown();
    memory_store_free(&model);
}

/* A broker that goes before its store is not told any more. */
static void test_nobody_is_told(void)
{
    unsigned before;

    setup();
    put((struct store_record){.kind = STORE_SESSION, .session = 1});
    s->ops->notify(s, NULL, NULL);
    before = told_of(&waiter, 0);
    add(&(struct store_record){.kind = STORE_SESSION, .session = 2});
    s->ops->submit(s, 0, &batch);
    s->ops->close(s);
    CHECK_INT(told_of(&waiter, 0), before);
    open_store();
    teardown();
}

#define CONTRACT                                                                                \
    test_fields, test_replace_and_remove, test_what_is_not_there, test_order_in_a_batch,        \
        test_delivery_states, test_shared_bodies, test_delivery_again, test_guarded,            \
        test_queue_drop, test_session_end, test_session_begins_anew, test_recovery_stops,       \
        test_recovery_order, test_clock, test_pages, test_pages_of_groups, test_pages_in_order, \
        test_shards, test_close_commits, test_stats, test_failing, test_random,                 \
        test_nobody_is_told

#define NAMES_OF(...) #__VA_ARGS__
#define NAMES(...)    NAMES_OF(__VA_ARGS__)

int contract_main(int argc, char **argv, const struct contract_backend *b)
{
    static void (*const tests[])(void) = {CONTRACT};

    backend = b;
    return test_main(argc, argv, tests, sizeof tests / sizeof tests[0], NAMES(CONTRACT));
}
