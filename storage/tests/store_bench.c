/* What the SQLite backend costs: time and CPU time (of all threads) per record, in the shape of 50
 * publishers with a subscriber each. One batch is on its way while the next one is made, as a shard
 * does it.
 *
 *     store_bench [ROW [RECORDS]]     FRYS_BENCH_DIR: where the files are (default /tmp) */
#include "base/assert.h"
#include "base/log.h"
#include "storage/sqlite_store.h"
#include "storage/tests/records_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SESSIONS      50
#define BATCH         500 /* records */
#define PAYLOAD       64
#define PAGE          500 /* records */
#define MANY_SESSIONS 100000

static char dir[128], path[192];
static struct store *s;
static struct waiter waiter;
static struct store_batch batch;
static uint64_t submitted, max_log;
static float *waits; /* seconds from submit() to commit, of each batch */
static size_t n_waits;
static uint64_t noted;
static double submitted_at[64]; /* by number of the batch, modulo */

/* ---- the store ---- */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void on_news(void *arg, unsigned shard)
{
    uint64_t number = s->ops->committed(s, shard);

    for (; noted < number; noted++) {
        if (n_waits % 4096 == 0)
            waits = realloc(waits, (n_waits + 4096) * sizeof *waits);
        waits[n_waits++] = (float)(seconds() - submitted_at[(noted + 1) % 64]);
    }
    waiter_news(arg, shard);
}

static void open_store(void)
{
    struct sqlite_store_options o = {.path = path};
    struct store_error err;

    s = sqlite_store_open(&o, &err);
    if (s == NULL) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    waiter_init(&waiter);
    s->ops->notify(s, on_news, &waiter);
    submitted = noted = 0;
}

static void begin(void)
{
    const char *where = getenv("FRYS_BENCH_DIR");

    snprintf(dir, sizeof dir, "%s/frys-bench-XXXXXX", where != NULL ? where : "/tmp");
    ASSERT(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/store.db", dir);
    open_store();
    max_log = 0;
}

static void end(void)
{
    char command[256];

    s->ops->close(s);
    snprintf(command, sizeof command, "rm -r %s", dir);
    ASSERT(system(command) == 0);
    store_batch_fini(&batch);
}

static void wait_for(uint64_t number)
{
    ASSERT(wait_committed(&waiter, s, 0, number));
}

static void wait_all(void)
{
    wait_for(submitted);
}

static void submit(bool sync)
{
    struct store_stats stats;

    if (submitted > 1)
        wait_for(submitted - 1);
    batch.sync = sync;
    submitted_at[(submitted + 1) % 64] = seconds();
    submitted = s->ops->submit(s, 0, &batch);
    s->ops->stats(s, &stats);
    max_log = stats.log_bytes > max_log ? stats.log_bytes : max_log;
}

static void add(const struct store_record *r, bool sync)
{
    ASSERT(store_batch_add(&batch, r) == 0);
    if (batch.records == BATCH)
        submit(sync);
}

static void put_sessions(unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        char name[32];
        struct store_record r;

        snprintf(name, sizeof name, "subscriber-%u", i);
        r = a_session(i, name);
        add(&r, false);
        r = a_filter(i, name, 1);
        add(&r, false);
    }
    submit(false);
    wait_all();
}

static struct store_record delivery(uint64_t i, unsigned sessions)
{
    static char topic[64], payload[PAYLOAD];
    struct store_record r = {.kind = STORE_DELIVERY,
                             .session = 1 + i % sessions,
                             .uid = (UINT64_C(1700000000000) << 20) + i * 50000,
                             .qos = 1};
    int len = snprintf(topic, sizeof topic, "bench/topic/%u", (unsigned)(i % sessions));

    r.message = (struct store_message){.uid = r.uid,
                                       .publisher = r.session,
                                       .topic = {topic, (size_t)len},
                                       .payload = {payload, PAYLOAD},
                                       .qos = 1};
    return r;
}

static void put(uint64_t first, uint64_t n, unsigned sessions, bool sync)
{
    for (uint64_t i = first; i < first + n; i++) {
        struct store_record r = delivery(i, sessions);

        add(&r, sync);
    }
}

static void take(uint64_t first, uint64_t n, unsigned sessions, enum store_kind kind)
{
    for (uint64_t i = first; i < first + n; i++) {
        struct store_record r = delivery(i, sessions);

        r = (struct store_record){
            .kind = kind, .session = r.session, .uid = r.uid, .packet_id = 7, .state = STORE_SENT};
        add(&r, false);
    }
}

/* ---- measuring ---- */

static double started, cpu_started;

static double cpu_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

static void start(void)
{
    started = seconds();
    cpu_started = cpu_seconds();
    n_waits = 0;
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

static double wait_ms(double part)
{
    return n_waits == 0 ? 0 : 1e3 * (double)waits[(size_t)((double)(n_waits - 1) * part)];
}

static void report(const char *name, uint64_t n)
{
    double wall = seconds() - started, cpu = cpu_seconds() - cpu_started;
    struct store_stats stats;

    s->ops->stats(s, &stats);
    if (n_waits > 0)
        qsort(waits, n_waits, sizeof *waits, by_size);
    printf("%-8s %8.0f/s %6.2f us CPU; %" PRIu64 " records, %.0f per commit; commit p50 %.2f ms,"
           " p99 %.2f, max %.2f; log up to %.1f MiB\n",
           name, (double)n / wall, cpu * 1e6 / (double)n, n,
           stats.commits > 0 ? (double)stats.records / (double)stats.commits : 0.0, wait_ms(0.5),
           wait_ms(0.99), wait_ms(1), (double)max_log / 1048576);
}

/* ---- rows ---- */

static void offline(uint64_t n, bool sync, const char *name)
{
    begin();
    put_sessions(SESSIONS);
    start();
    put(0, n, SESSIONS, sync);
    wait_all();
    report(name, n);
    end();
}

static void row_offline(uint64_t n)
{
    offline(n, false, "offline");
}

static void row_fsync(uint64_t n)
{
    offline(n, true, "fsync");
}

/* 60,000 a second. */
static void row_paced(uint64_t n)
{
    double next;

    begin();
    put_sessions(SESSIONS);
    start();
    next = seconds();
    for (uint64_t i = 0; i < n; i += BATCH) {
        struct timespec pause;

        put(i, BATCH, SESSIONS, false);
        next += BATCH / 60000.0;
        pause = (struct timespec){(time_t)next, (long)((next - (double)(time_t)next) * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &pause, NULL);
    }
    wait_all();
    report("paced", n);
    end();
}

/* Deliveries that are SENT and acknowledged in the next batches. */
static void row_online(uint64_t n)
{
    begin();
    put_sessions(SESSIONS);
    start();
    for (uint64_t i = 0; i < n; i += BATCH) {
        put(i, BATCH, SESSIONS, false);
        if (i >= 4 * BATCH)
            take(i - 4 * BATCH, BATCH, SESSIONS, STORE_DELIVERY_END);
    }
    wait_all();
    report("online", n);
    end();
}

static void row_end(uint64_t n)
{
    begin();
    put_sessions(SESSIONS);
    put(0, n, SESSIONS, false);
    wait_all();
    start();
    take(0, n, SESSIONS, STORE_DELIVERY_END);
    wait_all();
    report("end", n);
    end();
}

static void row_state(uint64_t n)
{
    begin();
    put_sessions(SESSIONS);
    put(0, n, SESSIONS, false);
    wait_all();
    start();
    take(0, n, SESSIONS, STORE_DELIVERY_STATE);
    wait_all();
    report("state", n);
    end();
}

/* One message to all sessions. */
static void row_fanout(uint64_t n)
{
    begin();
    put_sessions(SESSIONS);
    start();
    for (uint64_t i = 0; i < n; i++) {
        struct store_record r = delivery(i / SESSIONS, SESSIONS);

        r.session = 1 + i % SESSIONS;
        if (i % SESSIONS != 0)
            r.message = (struct store_message){0};
        add(&r, false);
    }
    wait_all();
    report("fanout", n);
    end();
}

static uint64_t read_queue(uint64_t session)
{
    struct store_load what = {.session = session, .max_records = PAGE, .max_bytes = 1 << 20};
    uint64_t n = 0;
    bool over = false;

    while (!over) {
        struct store_page *p = read_page(&waiter, s, &what);
        struct store_record r;
        size_t at = 0;

        ASSERT(p != NULL && p->rc == 0);
        for (; store_batch_next(&p->records, &at, &r); n++)
            what.after_uid = r.uid;
        over = p->end;
        store_page_free(p);
    }
    return n;
}

/* Read what was put, one session after the other. */
static void pages(uint64_t n, unsigned sessions, const char *name)
{
    uint64_t got = 0;

    begin();
    put_sessions(sessions);
    put(0, n, sessions, false);
    wait_all();
    start();
    for (unsigned i = 1; i <= sessions; i++)
        got += read_queue(i);
    ASSERT(got == n);
    report(name, n);
    end();
}

static void row_pages(uint64_t n)
{
    pages(n, 1, "pages");
}

/* The bodies that a session gets stand between those of the others. */
static void row_pages_of_50(uint64_t n)
{
    pages(n, SESSIONS, "pages50");
}

static int count(void *arg, const struct store_record *r)
{
    if (r->kind == STORE_BACKLOG)
        *(uint64_t *)arg += r->messages;
    return 0;
}

/* Open and recover n deliveries in 100,000 sessions. */
static void row_recover(uint64_t n)
{
    uint64_t got = 0;

    begin();
    put_sessions(MANY_SESSIONS);
    put(0, n, MANY_SESSIONS, false);
    wait_all();
    s->ops->close(s);
    start();
    open_store();
    printf("%-10s %9.2f s to open\n", "recover", seconds() - started);
    ASSERT(s->ops->recover(s, count, &got) == 0 && got == n);
    report("recover", n);
    end();
}

/* One delivery at a time: how long until it is committed? */
static void row_lone(uint64_t n)
{
    begin();
    put_sessions(SESSIONS);
    start();
    for (uint64_t i = 0; i < n; i++) {
        put(i, 1, SESSIONS, false);
        submit(false);
        wait_all();
    }
    report("lone", n);
    end();
}

static const struct row {
    const char *name;
    uint64_t n;
    void (*run)(uint64_t n);
} rows[] = {
    {"offline", 500000, row_offline},
    {"paced", 300000, row_paced},
    {"fsync", 200000, row_fsync},
    {"online", 500000, row_online},
    {"end", 300000, row_end},
    {"state", 300000, row_state},
    {"fanout", 500000, row_fanout},
    {"pages", 300000, row_pages},
    {"pages50", 300000, row_pages_of_50},
    {"recover", 1000000, row_recover},
    {"lone", 5000, row_lone},
};

int main(int argc, char **argv)
{
    log_configure(2, LOG_ERROR, LOG_TEXT);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (argc < 2 || strcmp(argv[1], rows[i].name) == 0)
            rows[i].run(argc > 2 ? strtoull(argv[2], NULL, 10) : rows[i].n);
    return 0;
}
