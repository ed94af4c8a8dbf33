/* sqlite_store on a file system that is full: a small one in memory, which a process may mount in a
 * name space of its own. Where that is not allowed the test says so and does nothing. */
#include "base/assert.h"
#include "base/test.h"
#include "storage/tests/sqlite_support.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define DISK_BYTES  "48m"
#define PAYLOAD     4000
#define NOT_ALLOWED 77 /* exit status */

static struct db d;
static char payload[PAYLOAD + 1];

static bool write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    bool ok = f != NULL && fputs(text, f) >= 0;

    if (f != NULL && fclose(f) != 0)
        ok = false;
    return ok;
}

/* The folder becomes a small file system, for this process. */
static bool mount_small(const char *dir)
{
    char map[64];
    uid_t uid = getuid();

    if (uid == 0 && unshare(CLONE_NEWNS) == 0) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
            return false;
    } else {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
        if (!write_file("/proc/self/uid_map", map))
            return false;
    }
    return mount("frys-test", dir, "tmpfs", 0, "size=" DISK_BYTES) == 0;
}

/* In the child: something is not as it should be. */
#define MUST(cond)                                                        \
    do {                                                                  \
        if (!(cond)) {                                                    \
            fprintf(stderr, "%s:%d: %s; %s\n", __FILE__, __LINE__, #cond, \
                    d.s == NULL ? d.err.text : db_stats(&d).error);       \
            _exit(1);                                                     \
        }                                                                 \
    } while (0)

/* Put deliveries until one does not get through. Returns the uid behind the last. */
static uint64_t fill_disk(uint64_t uid)
{
    while (d.s->ops->health(d.s) == STORE_FINE && uid < 20000) {
        uint64_t number;

        for (unsigned i = 0; i < 25; i++)
            db_add(&d, a_delivery(1, uid++, payload));
        number = db_submit(&d);
        while (d.s->ops->committed(d.s, 0) < number && d.s->ops->health(d.s) == STORE_FINE)
            sched_yield();
    }
    return uid;
}

/* The disk is full, and nobody but the store's clients makes room. */
static void clients_make_room(void)
{
    struct store_load what = {.session = 1, .max_records = 100, .max_bytes = 1 << 20};
    struct store_page *p;
    uint64_t uid, end;

    MUST(db_open(&d));
    MUST(dir_count(d.dir, "store.db-reserve", NULL, 0) == 1);
    db_add(&d, a_session(1, "one"));
    MUST(db_commit(&d));
    uid = fill_disk(1);
    MUST(uid > 5000);
    MUST(db_commit(&d)); /* what it was given gets in, yet */
    MUST(strstr(db_stats(&d).error, "no space left") != NULL);
    MUST(d.s->ops->health(d.s) == STORE_FAILING);
    MUST(dir_count(d.dir, "store.db-reserve", NULL, 0) == 0);
    for (end = 1; d.s->ops->health(d.s) == STORE_FAILING && end < uid; end += 100) {
        what.after_uid = end - 1;
        p = read_page(&d.w, d.s, &what);
        MUST(p != NULL && p->rc == 0 && p->records.records == 100);
        store_page_free(p);
        db_end_deliveries(&d, 1, end, 100);
        MUST(db_commit(&d));
    }
    MUST(d.s->ops->health(d.s) == STORE_FINE && end > 100 && end < 5000);
    uid = fill_disk(uid); /* and again */
    MUST(db_commit(&d) && d.s->ops->health(d.s) == STORE_FAILING);
    db_close(&d);
    MUST(db_open(&d));
    MUST(db_stats(&d).set_aside[0] == '\0');
    what.after_uid = uid - 2;
    p = read_page(&d.w, d.s, &what);
    MUST(p != NULL && p->records.records == 1 && p->end); /* what waited is there */
    store_page_free(p);
    db_close(&d);
}

/* Something else has taken the space, and gives it back. */
static void space_returns(void)
{
    char other[256];
    uint64_t uid, number;
    FILE *f;

    MUST(db_open(&d));
    db_add(&d, a_session(1, "one"));
    MUST(db_commit(&d));
    dir_path(other, sizeof other, d.dir, "other");
    f = fopen(other, "w");
    while (fwrite(payload, 1, PAYLOAD, f) == PAYLOAD)
        ;
    uid = fill_disk(1);
    MUST(db_commit(&d));
    while (fwrite(payload, 1, PAYLOAD, f) == PAYLOAD) /* what was the reserve */
        ;
    fflush(f);
    for (unsigned i = 0; i < 2000; i++) /* more than the log can take */
        db_add(&d, a_delivery(1, uid++, payload));
    db_submit(&d);
    MUST(d.s->ops->health(d.s) == STORE_FAILING);
    db_add(&d, a_delivery(1, uid++, payload));
    number = db_submit(&d);
    fclose(f);
    MUST(unlink(other) == 0);
    MUST(wait_committed(&d.w, d.s, 0, number));
    MUST(wait_health(&d.w, d.s, STORE_FINE));
    MUST(db_number(d.path, "SELECT count(*) FROM delivery") == (long long)uid - 1);
    db_close(&d);
}

static void on_small_disk(void (*test)(void))
{
    int status = 0;
    pid_t pid;

    memset(payload, 'x', PAYLOAD);
    db_init(&d);
    pid = fork();
    if (pid == 0) {
        if (!mount_small(d.dir))
            _exit(NOT_ALLOWED);
        test();
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_ALLOWED)
        fprintf(stderr, "no file system can be mounted here: nothing was tested\n");
    else
        CHECK_INT(WEXITSTATUS(status), 0);
    db_fini(&d);
}

/* The log is written faster than it can be copied to the file. */
static void clients_make_room_slowly(void)
{
    fault_vfs_slow(50);
    clients_make_room();
}

static void test_clients_make_room(void)
{
    on_small_disk(clients_make_room);
    on_small_disk(clients_make_room_slowly);
}

static void test_space_returns(void)
{
    on_small_disk(space_returns);
}

TEST_MAIN(test_clients_make_room, test_space_returns)
