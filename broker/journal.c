/* journal: the open batch, its way to the store, and who waits for it.
 *
 * Invariants:
 *   1. the batch goes out as its plain records, then its entries: a plain record that ends a
 *      delivery is never newer than an entry of the same delivery;
 *   2. entries in front of head are dead or submitted; each living one counts in j->open, and in
 *      its slot unless nobody waits for it;
 *   3. slots from first_open on are of the open batch; neither their first nor their last turns
 *      ever go back, and at most half of all slots are of batches on their way. */
#include "broker/journal.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/timer.h"
#include "broker/backlog.h"
#include "broker/journal_priv.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/takeover.h"
#include "mqtt/topic.h"

#include <string.h>

#define FIRST_ENTRIES   256
#define MAX_ENTRIES     (1u << 20)
#define MAX_SENT        2  /* batches on their way; one more is forming */
#define LATER_MS        20 /* what nobody waits for goes at the latest */
#define LARGE_BATCH     ((size_t)256 << 10)
#define CONGESTED_BYTES ((size_t)16 << 20) /* on their way to the store */
#define CONGESTED_OPEN  65536              /* entries */
#define HOPE_MAX_AGE    (4 * 16)           /* 1/16 ms: with slower clients there is no hope */
#define AGE_MAX_MS      16
#define RECORD_PARKED   UINT64_MAX

static struct entry *entry_at(const struct journal *j, uint64_t number)
{
    return &j->entries[number & (j->capacity - 1)];
}

static struct slot *slot_at(struct journal *j, uint32_t number)
{
    return &j->slots[number & (JOURNAL_SLOTS - 1)];
}

static bool is_open(const struct journal *j, const struct delivery *d)
{
    return d->record >= j->head && d->record != RECORD_PARKED;
}

/* ---- who waits ---- */

static uint32_t slot_now(struct journal *j)
{
    const struct shard *sh = j->sh;
    struct slot *last = slot_at(j, j->last - 1);
    bool open = j->last != j->first_open;

    if (open && (last->last_turn == sh->posts.turn || j->last - j->first == JOURNAL_SLOTS)) {
        last->last_turn = sh->posts.turn;
        return j->last - 1;
    }
    ASSERT(j->last - j->first < JOURNAL_SLOTS);
    *slot_at(j, j->last) =
        (struct slot){.turn = sh->posts.turn, .last_turn = sh->posts.turn, .ms = sh->now_ms};
    return j->last++;
}

uint32_t journal__wait(struct journal *j, enum journal_haste haste)
{
    uint32_t slot;

    if (j->open == 0 && j->batch.records == 0)
        j->since_ms = j->sh->now_ms;
    if (haste == HASTE_LATER)
        return 0;
    slot = slot_now(j);
    slot_at(j, slot)->live++;
    j->waits++;
    j->urgent |= haste == HASTE_NOW;
    return slot;
}

static bool settled(const struct journal *j, const struct slot *s)
{
    return s->batch != 0 ? s->batch <= j->committed : s->live == 0;
}

static void settle(struct journal *j)
{
    while (j->first != j->last && settled(j, slot_at(j, j->first))) {
        if (j->first_open == j->first)
            j->first_open++;
        j->first++;
        j->sh->posts.progress = true;
    }
}

/* The open batch was submitted: its slots are those of this one from now on. When too few are left
 * for the next one, what waits for one turn waits for those behind it, too. */
static void close_slots(struct journal *j, uint64_t batch)
{
    uint32_t to = j->first_open;

    for (uint32_t i = j->first_open; i != j->last; i++) {
        struct slot *s = slot_at(j, i), *last = slot_at(j, to - 1);

        if (s->live == 0)
            continue;
        s->batch = batch;
        if (to - j->first < JOURNAL_SLOTS / 2) {
            *slot_at(j, to++) = *s;
        } else {
            last->batch = batch;
            last->last_turn = s->last_turn;
        }
    }
    j->first_open = j->last = to;
}

uint64_t journal_waits(const struct shard *sh)
{
    return sh->journal == NULL ? 0 : sh->journal->waits;
}

/* The first turn that waits for deliveries which were parked. */
static uint64_t parked_turn(struct journal *j)
{
    uint64_t turn = takeover_parked_turn(j->sh);
    struct fifo_cursor cursor = {0};
    struct floor *f;

    while ((f = fifo_front(&j->floors)) != NULL && f->batch <= j->committed)
        fifo_pop(&j->floors, j->sh->mem);
    while ((f = fifo_next(&j->floors, &cursor)) != NULL)
        turn = f->turn < turn ? f->turn : turn;
    return turn;
}

uint64_t journal_done_turn(const struct shard *sh)
{
    struct journal *j = sh->journal;
    uint64_t waits, parked;

    if (j == NULL)
        return UINT64_MAX;
    settle(j);
    waits = j->first == j->last ? UINT64_MAX : slot_at(j, j->first)->turn;
    parked = parked_turn(j);
    waits = parked < waits ? parked : waits;
    return waits == UINT64_MAX ? waits : waits - 1;
}

/* The first slot whose turns do not all lie before this one; j->last: there is none. */
static uint32_t find_slot(struct journal *j, uint64_t turn)
{
    uint32_t from = j->first, n = j->last - j->first;

    while (n > 0) {
        uint32_t half = n / 2;

        if (slot_at(j, from + half)->last_turn < turn) {
            from += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return from;
}

bool journal_turn_done(const struct shard *sh, uint64_t turn)
{
    struct journal *j = sh->journal;

    if (turn <= journal_done_turn(sh))
        return true;
    if (!journal_failing(sh) || turn >= parked_turn(j))
        return false;
    for (uint32_t i = find_slot(j, turn); i != j->last && slot_at(j, i)->turn <= turn; i++)
        if (!settled(j, slot_at(j, i)))
            return false;
    return true;
}

/* ---- entries ---- */

static bool grow(struct journal *j)
{
    uint32_t capacity = j->capacity == 0 ? FIRST_ENTRIES : j->capacity * 2;
    struct entry *entries;

    if (j->tail - j->head < j->capacity)
        return true;
    if (capacity > MAX_ENTRIES)
        return false;
    entries = mem_try_alloc(j->sh->mem, FOR_STORE, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    for (uint64_t i = j->head; i != j->tail; i++)
        entries[i & (capacity - 1)] = *entry_at(j, i);
    mem_release(j->sh->mem, FOR_STORE, j->entries);
    j->entries = entries;
    j->capacity = capacity;
    return true;
}

static struct entry *push(struct journal *j, struct session *s, struct delivery *d,
                          enum journal_haste haste)
{
    uint32_t slot = journal__wait(j, haste);
    struct entry *e = entry_at(j, j->tail);

    *e = (struct entry){.session = s->serial,
                        .uid = d->uid,
                        .group = d->group,
                        .slot = slot,
                        .haste = (uint8_t)haste};
    d->record = j->tail++;
    j->open++;
    j->hopes += haste == HASTE_HOPE;
    return e;
}

static void kill_entry(struct journal *j, struct entry *e)
{
    if (e->haste != HASTE_LATER && --slot_at(j, e->slot)->live == 0)
        j->sh->posts.some_done = true;
    j->hopes -= e->haste == HASTE_HOPE;
    j->open--;
    e->kind = ENTRY_DEAD;
    while (j->head != j->tail && entry_at(j, j->head)->kind == ENTRY_DEAD)
        j->head++;
}

/* A living entry becomes more urgent. */
static void hasten(struct journal *j, struct entry *e, enum journal_haste haste)
{
    if (haste <= e->haste)
        return;
    if (e->haste == HASTE_LATER)
        e->slot = journal__wait(j, haste);
    j->hopes += (uint32_t)(haste == HASTE_HOPE) - (e->haste == HASTE_HOPE);
    j->urgent |= haste == HASTE_NOW;
    e->haste = (uint8_t)haste;
}

bool journal_add(struct session *s, struct delivery *d, const struct publication *pub,
                 uint16_t packet_id, enum journal_haste haste)
{
    struct journal *j = s->shard->journal;
    struct entry *e;

    if (!grow(j))
        return false;
    e = push(j, s, d, haste);
    e->kind = ENTRY_WHOLE;
    e->msg = d->msg;
    e->ids = d->ids;
    e->sub_id = d->sub_id;
    e->qos = d->qos;
    e->retain = d->retain;
    e->guarded = d->guarded = pub->guarded && d->qos == 2;
    e->packet_id = packet_id;
    e->state = packet_id != 0 ? STORE_SENT : STORE_QUEUED;
    j->sync |= pub->durability == DURABILITY_FSYNC + 1;
    return true;
}

void journal_park(struct session *s, struct delivery *d)
{
    d->record = RECORD_PARKED;
    if (s->flow->parked_turn == 0)
        s->flow->parked_turn = s->shard->posts.turn;
    s->shard->journal->waits++;
}

static void unpark(void *session, struct delivery *d)
{
    struct publication pub;

    if (d->record != RECORD_PARKED)
        return;
    d->record = 0;
    pub = publication_of(d->msg);
    if (journal_wants(((struct session *)session)->shard, &pub))
        (void)journal_add(session, d, &pub, 0, HASTE_NOW); /* without memory: it is not durable */
}

void journal_unpark(struct session *s, uint64_t parked_turn)
{
    struct journal *j = s->shard->journal;

    if (parked_turn == 0 || j == NULL)
        return;
    session_each_delivery(s->flow, s, unpark);
    *(struct floor *)fifo_must_push(&j->floors, j->sh->mem) =
        (struct floor){parked_turn, journal_mark(s->shard)};
    j->sh->posts.progress = true;
}

bool journal_change(struct session *s, struct delivery *d, uint16_t packet_id, uint8_t state,
                    enum journal_haste haste)
{
    struct journal *j = s->shard->journal;
    struct entry *e;

    if (d->record == 0 || j == NULL)
        return true;
    ASSERT(d->record != RECORD_PARKED);
    if (is_open(j, d)) {
        e = entry_at(j, d->record);
        hasten(j, e, haste);
    } else {
        if (!grow(j))
            return false;
        e = push(j, s, d, haste);
        e->kind = ENTRY_STATE;
        j->sync |=
            j->sh->config.durability == DURABILITY_FSYNC || (d->qos == 2 && j->identifiers_sync);
    }
    e->packet_id = packet_id;
    e->state = state;
    return true;
}

/* How long do clients take to acknowledge? The upper part of a uid is the time. */
static void note_age(struct journal *j, uint64_t uid)
{
    uint64_t then_ms = uid >> UID_TIME_SHIFT, now_ms = j->sh->wall_ms;
    unsigned age = now_ms > then_ms ? (unsigned)(now_ms - then_ms) : 0;

    if (now_ms > then_ms + AGE_MAX_MS)
        age = AGE_MAX_MS;
    j->age = (j->age * 15 + age * 16) / 16;
}

void journal_end_of(struct shard *sh, uint64_t session, uint64_t uid, uint64_t group)
{
    struct store_record r = {
        .kind = STORE_DELIVERY_END, .session = session, .uid = uid, .group = group};

    if (sh->journal != NULL)
        journal__append(sh->journal, &r, HASTE_LATER);
}

void journal_end(struct session *s, struct delivery *d)
{
    struct journal *j = s->shard->journal;
    bool stored = true;

    if (d->record == 0 || j == NULL)
        return;
    if (d->qos == 1)
        note_age(j, d->uid);
    if (is_open(j, d)) {
        struct entry *e = entry_at(j, d->record);

        stored = e->kind == ENTRY_STATE;
        kill_entry(j, e);
    }
    stored &= d->record != RECORD_PARKED;
    d->record = 0;
    if (stored)
        journal_end_of(s->shard, s->serial, d->uid, d->group);
}

void journal_forget(struct session *s, struct delivery *d)
{
    struct journal *j = s->shard->journal;

    if (d->record != 0 && j != NULL && is_open(j, d))
        kill_entry(j, entry_at(j, d->record));
    d->record = 0;
}

static void submit(struct journal *j);

void journal_leave_behind(struct session *s, struct delivery *d)
{
    struct journal *j = s->shard->journal;

    if (d->record != 0 && j != NULL && is_open(j, d))
        submit(j);
    journal_forget(s, d); /* it is open now only if there was no memory to submit it */
}

bool journal_committed(const struct shard *sh, const struct delivery *d)
{
    return d->record == 0 || sh->journal == NULL || d->record < sh->journal->passed;
}

bool journal_wants(struct shard *sh, struct publication *pub)
{
    const struct broker_config *cfg = &sh->config;

    if (pub->durability == 0) {
        pub->durability = (uint8_t)(cfg->durability + 1);
        for (size_t i = 0; i < cfg->n_topic_durability; i++) {
            const struct topic_durability *t = &cfg->topic_durability[i];
            struct mqtt_str filter = {(const uint8_t *)t->filter, (uint32_t)strlen(t->filter)};

            if (!mqtt_filter_matches(filter, pub->topic))
                continue;
            pub->durability = (uint8_t)(t->durability + 1);
            break;
        }
    }
    return pub->durability != DURABILITY_MEMORY + 1;
}

/* ---- to the store ---- */

/* All entries behind the plain records. False when out of memory: the batch is as it was. */
static bool append_entries(struct journal *j)
{
    size_t len = j->batch.len;
    uint32_t records = j->batch.records;
    const struct message *previous = NULL;

    for (uint64_t i = j->head; i != j->tail; i++) {
        const struct entry *e = entry_at(j, i);
        struct store_record r;

        if (e->kind == ENTRY_DEAD)
            continue;
        r = journal__record(j->sh, e, previous);
        if (store_batch_add(&j->batch, &r) != 0) {
            j->batch.len = len;
            j->batch.records = records;
            return false;
        }
        previous = e->msg;
    }
    return true;
}

static void submit(struct journal *j)
{
    struct sent *sent;
    size_t bytes;

    if (!append_entries(j))
        return; /* the next turn tries again */
    j->batch.sync = j->sync;
    bytes = j->batch.len;
    j->submitted = j->store->ops->submit(j->store, j->sh->index, &j->batch);
    j->head = j->tail;
    j->open = j->hopes = 0;
    j->urgent = j->hurry = j->sync = false;
    close_slots(j, j->submitted);
    sent = fifo_must_push(&j->sent, j->sh->mem);
    *sent = (struct sent){j->submitted, j->tail, bytes};
    j->sent_bytes += bytes;
}

static bool nothing_open(const struct journal *j)
{
    return j->open == 0 && j->batch.records == 0;
}

/* How long a batch waits for clients to acknowledge what is in it: twice what they usually take. */
static uint64_t patience_ms(const struct journal *j)
{
    return j->age > HOPE_MAX_AGE ? 0 : 2 * j->age / 16 + 1;
}

/* When the oldest hope was recorded. */
static uint64_t hoping_since_ms(const struct journal *j)
{
    for (uint32_t i = j->first_open; i != j->last; i++) {
        const struct slot *s = &j->slots[i & (JOURNAL_SLOTS - 1)];

        if (s->live > 0)
            return s->ms;
    }
    return j->since_ms;
}

uint64_t journal_due_ms(const struct shard *sh)
{
    const struct journal *j = sh->journal;

    if (j == NULL || nothing_open(j))
        return TIMER_NEVER;
    if (j->hurry)
        return sh->now_ms;
    if (fifo_count(&j->sent) >= MAX_SENT)
        return TIMER_NEVER; /* there will be news */
    if (j->urgent || j->batch.len > LARGE_BATCH)
        return sh->now_ms;
    if (j->hopes > 0)
        return hoping_since_ms(j) + patience_ms(j);
    return j->since_ms + LATER_MS;
}

void journal_turn_end(struct shard *sh)
{
    struct journal *j = sh->journal;

    if (j == NULL)
        return;
    settle(j);
    journal__end_sessions(j);
    if (journal_due_ms(sh) <= sh->now_ms)
        submit(j);
}

void journal_turn_begin(struct shard *sh)
{
    struct journal *j = sh->journal;
    struct sent *sent;

    if (j == NULL || !atomic_load_explicit(&j->news, memory_order_relaxed) ||
        !atomic_exchange_explicit(&j->news, false, memory_order_seq_cst))
        return;
    j->committed = j->store->ops->committed(j->store, sh->index);
    while ((sent = fifo_front(&j->sent)) != NULL && sent->batch <= j->committed) {
        j->passed = sent->end;
        j->sent_bytes -= sent->bytes;
        fifo_pop(&j->sent, sh->mem);
    }
    settle(j);
    backlog_take_pages(sh, j->store->ops->pages(j->store, sh->index));
    sessions_committed(sh);
    guard_committed(sh);
    takeover_committed(sh);
}

void journal_despair(struct shard *sh)
{
    if (sh->journal != NULL && sh->journal->hopes > 0)
        sh->journal->urgent = true;
}

void journal_await(struct shard *sh)
{
    if (sh->journal != NULL && !nothing_open(sh->journal))
        (void)journal__wait(sh->journal, HASTE_NOW);
}

void journal_hurry(struct shard *sh)
{
    if (sh->journal != NULL)
        sh->journal->hurry = true;
}

uint64_t journal_mark(const struct shard *sh)
{
    const struct journal *j = sh->journal;

    return j == NULL ? 0 : j->submitted + !nothing_open(j);
}

bool journal_passed(const struct shard *sh, uint64_t mark)
{
    return sh->journal == NULL || mark <= sh->journal->committed;
}

bool journal_has_news(const struct shard *sh)
{
    return sh->journal != NULL && atomic_load_explicit(&sh->journal->news, memory_order_seq_cst);
}

bool journal_congested(const struct shard *sh)
{
    const struct journal *j = sh->journal;

    return j != NULL &&
           (j->open > CONGESTED_OPEN || j->sent_bytes + j->batch.len > CONGESTED_BYTES);
}

bool journal_failing(const struct shard *sh)
{
    const struct journal *j = sh->journal;

    return j != NULL && j->store->ops->health(j->store) == STORE_FAILING;
}

void journal_news(struct shard *sh)
{
    atomic_store_explicit(&sh->journal->news, true, memory_order_seq_cst);
}

/* ---- life ---- */

static bool has_fsync(const struct broker_config *c)
{
    bool has = c->durability == DURABILITY_FSYNC;

    for (size_t i = 0; i < c->n_topic_durability; i++)
        has |= c->topic_durability[i].durability == DURABILITY_FSYNC;
    return has;
}

struct journal *journal_new(struct shard *sh, struct store *store)
{
    struct journal *j = mem_try_zalloc(sh->mem, FOR_STORE, sizeof *j);

    if (j == NULL)
        return NULL;
    j->sh = sh;
    j->store = store;
    j->identifiers_sync = has_fsync(&sh->config);
    j->head = j->tail = j->passed = 2;
    fifo_init(&j->floors, sizeof(struct floor), FOR_STORE);
    fifo_init(&j->ended, sizeof(struct ended), FOR_STORE);
    fifo_init(&j->sent, sizeof(struct sent), FOR_STORE);
    return j;
}

void journal_close(struct shard *sh)
{
    struct journal *j = sh->journal;

    if (j == NULL)
        return;
    if (!nothing_open(j))
        submit(j);
    backlog_fini(sh);
    guard_fini(sh);
    store_batch_fini(&j->batch);
    fifo_clear(&j->floors, sh->mem);
    fifo_clear(&j->ended, sh->mem);
    fifo_clear(&j->sent, sh->mem);
    mem_release(sh->mem, FOR_STORE, j->entries);
    mem_release(sh->mem, FOR_STORE, j);
    sh->journal = NULL;
}
