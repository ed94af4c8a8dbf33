/* sqlite_store under faults: whatever write or sync fails, wherever the process is killed or the
 * power is cut, what was committed is there, nothing is there twice, and the file is whole.
 *
 *     FRYS_FAULT_ROUNDS=N  rounds of each kind; FRYS_FAULT_SEED=N  the first one */
#include "base/assert.h"
#include "base/test.h"
#include "storage/memory_store.h"
#include "storage/tests/ops_support.h"
#include "storage/tests/sqlite_support.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCHES     60
#define LOG_PAGES   20 /* so that there are checkpoints */
#define GENERATIONS 5  /* processes, one after the other, with one file */

static struct db d;

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    static struct ops o;

    o.random = a * 1000003 + b;
    return ops_random(&o);
}

/* ---- what is to be there ---- */

/* The batches after which a store has been recovered. */
struct history {
    uint64_t batches[GENERATIONS];
    unsigned n;
};

/* The state behind the first n batches; the caller's to free. */
static char *model_state(uint64_t seed, uint64_t n, const struct history *h)
{
    static struct ops o;
    struct store *model = memory_store_new();
    struct store_batch b = {0};
    struct waiter w;
    unsigned recovered = 0;
    char *text;

    waiter_init(&w);
    ops_init(&o, seed);
    while (o.batches < n) {
        for (; recovered < h->n && h->batches[recovered] == o.batches; recovered++)
            free(state_of(&w, model, false));
        ops_batch(&o, &b);
        model->ops->submit(model, 0, &b);
    }
    text = state_of(&w, model, false);
    memory_store_free(&model);
    return text;
}

/* How many batches the file has. */
static uint64_t batches_in(const char *path)
{
    return (uint64_t)db_number(path, "SELECT uid FROM retained WHERE topic = 'marker'");
}

static void check_whole(const char *path, long row)
{
    CHECK_ROW_INT(row,
                  db_number(path, "SELECT count(*) FROM pragma_integrity_check"
                                  " WHERE integrity_check <> 'ok'"),
                  0);
    CHECK_ROW_INT(row,
                  db_number(path, "SELECT count(*) FROM delivery WHERE uid NOT IN"
                                  " (SELECT uid FROM message)"),
                  0);
    CHECK_ROW_INT(row,
                  db_number(path, "SELECT count(*) FROM message WHERE uid NOT IN"
                                  " (SELECT uid FROM delivery)"),
                  0);
}

/* The store (closed) has a state between these batches, all of it. Left open. */
static uint64_t check_state(uint64_t seed, uint64_t least, uint64_t most, struct history *h,
                            long row)
{
    uint64_t n;
    char *got, *want;

    CHECK(db_open(&d));
    if (d.s == NULL) {
        printf("%s\n", d.err.text);
        return 0;
    }
    CHECK_ROW(row, db_stats(&d).set_aside[0] == '\0');
    n = batches_in(d.path);
    CHECK_ROW(row, n >= least && n <= most);
    check_whole(d.path, row);
    got = state_of(&d.w, d.s, false);
    want = model_state(seed, n, h);
    if (h->n < GENERATIONS)
        h->batches[h->n++] = n;
    if (!CHECK_ROW(row, strcmp(got, want) == 0))
        printf("---- seed %" PRIu64 ", %" PRIu64 " batches: got\n%s---- want\n%s", seed, n, got,
               want);
    free(got);
    free(want);
    return n;
}

/* ---- a write or a sync fails ---- */

/* Everything is in at the end. Was there a fault? */
static bool run_with_fault(enum fault_vfs_how how, uint64_t at, uint64_t seed)
{
    static struct ops o;
    bool happened;

    db_init(&d);
    d.o.log_pages = LOG_PAGES;
    ops_init(&o, seed);
    fault_vfs_watch(seed);
    fault_vfs_set(how, at, false);
    if (!db_open(&d)) {
        CHECK_ROW(at, strstr(d.err.text, d.path) != NULL);
        CHECK_ROW(at, db_open(&d)); /* the fault is over: it was only once */
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t number;

        ops_batch(&o, &d.batch);
        d.batch.sync = i % 3 == 0;
        number = db_submit(&d);
        if (i % 2 == 1)
            CHECK_ROW(at, wait_committed(&d.w, d.s, 0, number));
    }
    CHECK_ROW(at, wait_health(&d.w, d.s, STORE_FINE));
    db_close(&d);
    happened = fault_vfs_happened();
    fault_vfs_forget();
    check_state(seed, 8, 8, &(struct history){0}, (long)at);
    db_fini(&d);
    return happened;
}

static void test_each_operation_fails(void)
{
    static const enum fault_vfs_how hows[] = {FAULT_EIO, FAULT_FULL, FAULT_SHORT};
    uint64_t rounds = setting("FRYS_FAULT_ROUNDS", 1), step = rounds > 1 ? 1 : 3;

    for (size_t h = 0; h < sizeof hows / sizeof hows[0]; h++) {
        uint64_t at = 1 + h;

        while (run_with_fault(hows[h], at, setting("FRYS_FAULT_SEED", 1)))
            at += step;
        CHECK_ROW(h, at > 50);
    }
}

/* ---- the power is cut ---- */

static void cut_power(uint64_t seed)
{
    static struct ops o;
    uint64_t synced = 0, done = 0, submitted = 0, sync_at[BATCHES + 1] = {0};
    char after[128];

    db_init(&d);
    d.o.log_pages = LOG_PAGES;
    ops_init(&o, seed);
    fault_vfs_watch(seed);
    fault_vfs_set(FAULT_CUT, 1 + mix(seed, 1) % 600, true);
    if (db_open(&d)) {
        while (submitted < BATCHES && !fault_vfs_happened()) {
            ops_batch(&o, &d.batch);
            d.batch.sync = mix(seed, submitted) % 4 == 0;
            sync_at[submitted + 1] = d.batch.sync;
            submitted = db_submit(&d);
            while (submitted - d.s->ops->committed(d.s, 0) > 2 && !fault_vfs_happened())
                sched_yield();
        }
        while (d.s->ops->committed(d.s, 0) < submitted && !fault_vfs_happened())
            sched_yield();
        done = d.s->ops->committed(d.s, 0);
        db_close(&d);
    }
    for (uint64_t i = 1; i <= done; i++)
        synced = sync_at[i] != 0 ? i : synced;
    dir_make(after, sizeof after);
    fault_vfs_image(after);
    dir_remove(d.dir);
    strcpy(d.dir, after);
    dir_path(d.path, sizeof d.path, d.dir, "store.db");
    check_state(seed, synced, submitted, &(struct history){0}, (long)seed);
    db_fini(&d);
}

static void test_power_cut(void)
{
    uint64_t seed = setting("FRYS_FAULT_SEED", 1), rounds = setting("FRYS_FAULT_ROUNDS", 40);

    for (uint64_t i = 0; i < rounds; i++)
        cut_power(seed + i);
}

/* ---- the process is killed ---- */

struct progress {
    _Atomic uint64_t submitted, committed;
};

/* Go on behind the batches that are there, until the process is killed, or all are in. */
static void run_until_killed(uint64_t seed, unsigned generation, uint64_t from, struct progress *p)
{
    static struct ops o;
    struct store_batch skipped = {0};

    ops_init(&o, seed);
    for (uint64_t i = 0; i < from; i++) {
        ops_batch(&o, &skipped);
        store_batch_clear(&skipped);
    }
    fault_vfs_set(FAULT_DIE, 1 + mix(seed, generation) % 400, true);
    if (!db_open(&d))
        _exit(1);
    while (o.batches < BATCHES * GENERATIONS) {
        ops_batch(&o, &d.batch);
        atomic_store(&p->submitted, o.batches);
        db_submit(&d);
        while (o.batches - from - d.s->ops->committed(d.s, 0) > 2)
            sched_yield();
        atomic_store(&p->committed, from + d.s->ops->committed(d.s, 0));
    }
    db_close(&d);
    _exit(0);
}

static void kill_rounds(uint64_t seed, struct progress *p)
{
    struct history history = {0};
    uint64_t n = 0;

    db_init(&d);
    d.o.log_pages = LOG_PAGES;
    *p = (struct progress){0};
    for (unsigned generation = 0; generation < GENERATIONS; generation++) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
            run_until_killed(seed, generation, n, p);
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_ROW(seed, WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : status == 0);
        n = check_state(seed, p->committed, p->submitted, &history, (long)seed);
        db_close(&d);
    }
    db_fini(&d);
}

static void test_killed(void)
{
    uint64_t seed = setting("FRYS_FAULT_SEED", 1), rounds = setting("FRYS_FAULT_ROUNDS", 6);
    struct progress *p =
        mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ASSERT(p != MAP_FAILED);
    for (uint64_t i = 0; i < rounds; i++)
        kill_rounds(seed + i, p);
    munmap(p, sizeof *p);
}

TEST_MAIN(test_each_operation_fails, test_power_cut, test_killed)
