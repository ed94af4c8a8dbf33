#include "players_support.h"

#include "base/test.h"
#include "broker/directory.h"

unsigned players_choose(struct players *w, unsigned n)
{
    return (unsigned)(env_random64(&w->n->env.env) % n);
}

static void feed_ack(struct client *c, enum mqtt_type type, uint16_t id)
{
    client_feed(c,
                (uint8_t[]){(uint8_t)(type << 4 | (type == MQTT_PUBREL ? 2 : 0)), 2,
                            (uint8_t)(id >> 8), (uint8_t)id},
                4);
}

/* ---- publishers ---- */

static void feed_publish(struct publisher *p, const struct exchange *e, bool again)
{
    struct mqtt_packet packet = {.type = MQTT_PUBLISH};
    char text[16];

    snprintf(text, sizeof text, "%s:%u", p->name, e->number);
    packet.publish.topic = MQTT_STR("t");
    packet.publish.payload = text_str(text);
    packet.publish.qos = p->qos;
    packet.publish.dup = again;
    packet.publish.packet_id = e->id;
    client_feed_packet(p->c, &packet);
}

void publisher_publishes(struct publisher *p)
{
    struct exchange *e = &p->open[p->n_open];

    if (p->c == NULL || !p->greeted || p->n_open == OPEN_MAX)
        return;
    *e = (struct exchange){.id = ++p->last_id, .number = ++p->sent};
    p->n_open++;
    feed_publish(p, e, false);
}

static void close_exchange(struct publisher *p, uint16_t id)
{
    for (unsigned i = 0; i < p->n_open; i++) {
        if (p->open[i].id != id)
            continue;
        memmove(&p->open[i], &p->open[i + 1], (--p->n_open - i) * sizeof p->open[0]);
        return;
    }
}

/* Back again: what is not completed goes on where it was [v5 MQTT-4.4.0-1]. */
static void publisher_resumes(struct publisher *p, const struct mqtt_connack *ack)
{
    CHECK_INT(ack->reason, 0);
    CHECK(ack->session_present || !p->known);
    p->greeted = p->known = true;
    for (unsigned i = 0; i < p->n_open; i++) {
        if (p->open[i].released)
            feed_ack(p->c, MQTT_PUBREL, p->open[i].id);
        else
            feed_publish(p, &p->open[i], true);
    }
}

void publisher_reads(struct players *w, struct publisher *p)
{
    struct mqtt_packet packet;

    (void)w;
    while (p->c != NULL && client_next(p->c, &packet)) {
        switch (packet.type) {
        case MQTT_CONNACK: publisher_resumes(p, &packet.connack); break;
        case MQTT_PUBACK:
        case MQTT_PUBCOMP: close_exchange(p, packet.ack.packet_id); break;
        case MQTT_PUBREC:
            CHECK(packet.ack.reason < 0x80);
            for (unsigned i = 0; i < p->n_open; i++)
                p->open[i].released |= p->open[i].id == packet.ack.packet_id;
            feed_ack(p->c, MQTT_PUBREL, packet.ack.packet_id);
            break;
        default: FAIL("an unexpected packet for a publisher"); break;
        }
    }
}

void publisher_moves(struct players *w, struct publisher *p)
{
    struct connect_options o = {.id = p->name, .expiry_s = 1000};

    p->greeted = false;
    p->c = net_start_connect(w->n, players_choose(w, w->shards), 5, &o);
}

/* ---- subscribers ---- */

static void owe(struct subscriber *s, enum mqtt_type type, uint16_t id)
{
    if (CHECK(s->n_acks < ARRAY_LEN(s->acks)))
        s->acks[s->n_acks++] = (struct ack){type, id};
}

/* A message that is new comes next in order. */
static void take_message(struct players *w, struct subscriber *s, const struct mqtt_publish *m)
{
    unsigned from, number;
    char text[24];

    snprintf(text, sizeof text, "%.*s", (int)m->payload.len, (const char *)m->payload.p);
    if (!CHECK_INT(sscanf(text, "p%u:%u", &from, &number), 2))
        return;
    if (number > s->seen[from]) {
        CHECK_INT(number, s->seen[from] + 1);
        CHECK(m->qos == 1 || !s->received[m->packet_id]);
        s->seen[from] = number;
    } else if (m->qos == 1) {
        CHECK(m->dup || w->crashes);
    } else {
        CHECK(m->dup && s->received[m->packet_id]);
    }
    s->received[m->packet_id] |= m->qos == 2;
    owe(s, m->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, m->packet_id);
}

void subscriber_reads(struct players *w, struct subscriber *s)
{
    struct mqtt_packet p;

    while (s->c != NULL && client_next(s->c, &p)) {
        switch (p.type) {
        case MQTT_CONNACK:
            CHECK_INT(p.connack.reason, 0);
            CHECK(p.connack.session_present || !s->known);
            if (!p.connack.session_present)
                client_feed(s->c, "\x82\7\0\1\0\0\1t\2", 9);
            break;
        case MQTT_SUBACK: s->known = true; break;
        case MQTT_PUBLISH: take_message(w, s, &p.publish); break;
        case MQTT_PUBREL:
            s->received[p.ack.packet_id] = false;
            owe(s, MQTT_PUBCOMP, p.ack.packet_id);
            break;
        default: FAIL("an unexpected packet for a subscriber"); break;
        }
    }
}

/* Acknowledgements go in the order of what they are for [v5 MQTT-4.6.0-2]. */
void subscriber_answers(struct subscriber *s, unsigned n)
{
    unsigned sent = n < s->n_acks ? n : s->n_acks;

    for (unsigned i = 0; i < sent; i++)
        feed_ack(s->c, s->acks[i].type, s->acks[i].id);
    s->n_acks -= sent;
    memmove(s->acks, s->acks + sent, s->n_acks * sizeof s->acks[0]);
}

/* What the old connection has brought is read or lost; the client closes it, or leaves it alone. */
void subscriber_moves(struct players *w, struct subscriber *s)
{
    struct connect_options o = {
        .id = s->name, .expiry_s = 1000, .receive_maximum = (uint16_t)(1 + players_choose(w, 12))};

    if (s->c != NULL && players_choose(w, 2) == 0)
        subscriber_reads(w, s);
    if (s->c != NULL && players_choose(w, 2) == 0 && s->c->conn != NULL) {
        connection_closed(s->c->conn);
        s->c->conn = NULL;
    }
    s->n_acks = 0; /* they were for the old connection */
    s->c = net_start_connect(w->n, players_choose(w, w->shards), 5, &o);
}

void subscriber_takes(struct subscriber *s)
{
    if (s->c == NULL || !s->c->blocked || s->c->conn == NULL || s->c->closed)
        return;
    shard_turn_begin(s->c->shard);
    s->c->blocked = false;
    connection_writable(s->c->conn);
}

/* ---- all of them ---- */

void players_init(struct players *w, struct net *n, unsigned shards, bool crashes)
{
    memset(w, 0, sizeof *w);
    w->n = n;
    w->shards = shards;
    w->crashes = crashes;
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        struct publisher *p = &w->pubs[i];

        snprintf(p->name, sizeof p->name, "p%u", i);
        p->qos = (uint8_t)(1 + i % 2);
        publisher_moves(w, p);
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *s = &w->subs[i];

        snprintf(s->name, sizeof s->name, "s%u", i);
        subscriber_moves(w, s);
        while (!s->known) {
            net_run(n);
            subscriber_reads(w, s);
        }
    }
}

void players_lose(struct players *w)
{
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        w->pubs[i].c = NULL;
        w->pubs[i].greeted = false;
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        w->subs[i].c = NULL;
        w->subs[i].n_acks = 0;
    }
}

static bool everybody_goes_on(struct players *w)
{
    bool quiet = !net_busy(w->n);

    for (unsigned i = 0; i < PUBLISHERS; i++) {
        publisher_reads(w, &w->pubs[i]);
        quiet &= w->pubs[i].n_open == 0;
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        subscriber_reads(w, &w->subs[i]);
        quiet &= w->subs[i].n_acks == 0;
        subscriber_answers(&w->subs[i], UINT32_MAX);
    }
    return quiet;
}

void players_finish(struct players *w)
{
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        subscriber_moves(w, &w->subs[i]);
        net_run(w->n);
    }
    for (unsigned i = 0; i < PUBLISHERS; i++)
        if (w->pubs[i].c == NULL)
            publisher_moves(w, &w->pubs[i]);
    for (unsigned round = 0; round < 20000; round++) {
        if (everybody_goes_on(w))
            break;
        net_sleep(w->n, 1);
    }
}

void players_check(struct players *w)
{
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        CHECK_ROW_INT(i, w->pubs[i].n_open, 0);
        for (unsigned k = 0; k < SUBSCRIBERS; k++)
            CHECK_ROW_INT(i * 10 + k, w->subs[k].seen[i], w->pubs[i].sent);
    }
    for (unsigned why = 0; why < DROP_COUNT; why++)
        CHECK_ROW_INT(why, net_drops(w->n, (enum drop_reason)why), 0);
    CHECK_INT(NET_COUNT(w->n, inflight), 0);
    CHECK_INT(NET_COUNT(w->n, queued), 0);
    CHECK_INT(NET_COUNT(w->n, sessions), PUBLISHERS + SUBSCRIBERS);
    if (w->shards > 1)
        CHECK_INT(directory_count(&w->n->broker->directory), PUBLISHERS + SUBSCRIBERS);
}
