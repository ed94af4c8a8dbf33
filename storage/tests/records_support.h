/* records_support: records for tests, and the whole state of a store as text: one line a record, in
 * the order of the alphabet, so that the states of two stores can be compared. */
#ifndef STORAGE_TESTS_RECORDS_SUPPORT_H
#define STORAGE_TESTS_RECORDS_SUPPORT_H
#include "storage/store.h"

#include <pthread.h>

struct store_record a_session(uint64_t session, const char *client_id);
struct store_record a_filter(uint64_t session, const char *filter, uint8_t options);

/* QUEUED, QoS 1; the message's topic is "t". payload NULL: without a body. */
struct store_record a_delivery(uint64_t session, uint64_t uid, const char *payload);

struct store_record a_received(uint64_t session, uint16_t packet_id);
struct store_record a_retained(uint64_t uid, const char *topic, const char *payload);

/* The record that has this kind and r's key. */
struct store_record as_kind(struct store_record r, enum store_kind kind);

/* Who waits for a store's news: give waiter_news and the waiter to notify(). */
struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t news;
    unsigned told[STORE_SHARDS]; /* how often */
    unsigned news_count;         /* all of them */
};

/* How often this shard has been told of news. */
unsigned told_of(struct waiter *w, unsigned shard);

void waiter_init(struct waiter *w);
void waiter_news(void *arg, unsigned shard);

/* Until it holds, or a minute has passed: false. */
bool wait_committed(struct waiter *w, struct store *s, unsigned shard, uint64_t number);
bool wait_told(struct waiter *w, unsigned shard);
bool wait_health(struct waiter *w, struct store *s, enum store_health health);

/* The next page that is asked for, or NULL after a minute. The caller's to free. */
struct store_page *wait_page(struct waiter *w, struct store *s, unsigned shard);

/* Ask for a page and wait for it. */
struct store_page *read_page(struct waiter *w, struct store *s, const struct store_load *what);

/* One line, with its line end, appended to text (which is the caller's to free; NULL at first). */
void describe(char **text, const struct store_record *r);

/* The whole state: everything that is recovered, and the pages of every session; the CLOCK only
 * when it is asked for. Before the first submit(). The caller's to free. */
char *state_of(struct waiter *w, struct store *s, bool with_clock);
#endif
