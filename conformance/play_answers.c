/* play_answers: expecting acknowledgements, refusals and the end; see play.h. */
#include "conformance/clock.h"
#include "conformance/play.h"

#include <stdlib.h>

static const char *ack_rule(const struct scene *s, enum mqtt_type type)
{
    switch (type) {
    case MQTT_PUBACK: return RULE(s, "4.3.2-4", "4.3.2-2");
    case MQTT_PUBREC: return RULE(s, "4.3.3-8", "4.3.3-2");
    case MQTT_PUBREL: return RULE(s, "4.3.3-4", "4.3.3-1");
    default: return RULE(s, "4.3.3-11", "4.3.3-2");
    }
}

uint8_t expect_ack(struct client *c, enum mqtt_type type, uint16_t id)
{
    struct scene *s = c->scene;
    const char *by = ack_rule(s, type);
    const struct mqtt_ack *ack = &client_take(c, type, by)->as.ack;

    MUST_BY(s, by, ack->packet_id == id, "%s: %s with id %u, expected %u", c->name,
            mqtt_type_name(type), ack->packet_id, id);
    return ack->reason;
}

static bool in_list(const char *reasons, uint8_t reason)
{
    char *end;

    if (reasons == NULL)
        return true;
    for (const char *at = reasons; *at != '\0'; at = end) {
        if (strtoul(at, &end, 16) == reason)
            return true;
        if (end == at)
            return false;
    }
    return false;
}

/* "0x81 0x82" */
static const char *wanted(const char *reasons)
{
    return reasons == NULL ? "any reason" : reasons;
}

static void judge_disconnect(struct client *c, const char *statements, const struct packet *p,
                             const char *reasons)
{
    struct scene *s = c->scene;

    if (p == NULL && c->version == MQTT_V5)
        scene_warn(s, statements, "%s: closed without a DISCONNECT that says why (%s)", c->name,
                   wanted(reasons));
    else if (p != NULL && !in_list(reasons, p->as.reasoned.reason))
        scene_warn(s, statements, "%s: DISCONNECT with reason %s, expected %s", c->name,
                   describe_reason(&s->arena, p->as.reasoned.reason, c->version), wanted(reasons));
}

void expect_close_by(struct client *c, const char *statements, const char *reasons)
{
    struct scene *s = c->scene;
    bool ended = client_await_end(c, clock_us() + s->at.patience_us);
    const struct packet *bye = NULL;

    LIST_EACH (at, &c->inbox) {
        const struct packet *p = LIST_ITEM(at, struct packet, link);

        if (p->rc != 0)
            return; /* the monitor has said so */
        if (p->as.type == MQTT_DISCONNECT && bye == NULL)
            bye = p;
        else if (p->as.type != MQTT_DISCONNECT)
            scene_fail(s, statements, "%s: instead of closing the connection the server sent %s",
                       c->name, describe_packet(&s->arena, &p->as, c->version));
    }
    if (!ended && bye != NULL)
        scene_fail(s, RULE(s, "3.14.4-2", NULL),
                   "%s: the connection stays open after the server's DISCONNECT", c->name);
    if (!ended)
        scene_fail(s, statements, "%s: the server does not close the connection", c->name);
    judge_disconnect(c, statements, bye, reasons);
    client_close(c, false);
}

void expect_close(struct client *c, const char *reasons)
{
    expect_close_by(c, NULL, reasons);
}

static void judge_connack(struct client *c, const char *statements, const struct packet *p,
                          const char *reasons, int code)
{
    struct scene *s = c->scene;
    uint8_t reason = p->as.connack.reason;

    MUST_BY(s, statements, p->as.type == MQTT_CONNACK,
            "%s: the answer to a CONNECT that cannot be accepted is %s", c->name,
            describe_packet(&s->arena, &p->as, c->version));
    MUST_BY(s, statements, reason != 0, "%s: a CONNECT was accepted that cannot be", c->name);
    if (c->version == MQTT_V5 && !in_list(reasons, reason))
        scene_warn(s, statements, "%s: CONNACK with reason %s, expected %s", c->name,
                   describe_reason(&s->arena, reason, c->version), wanted(reasons));
    if (c->version != MQTT_V5 && code == NO_CONNACK)
        scene_violation(s, RULE(s, NULL, "3.1.4-1"),
                        "%s: CONNACK with code %u for a CONNECT that breaks the format", c->name,
                        reason);
    else if (c->version != MQTT_V5)
        MUST_BY(s, statements, code == reason, "%s: CONNACK with code %u, expected %d", c->name,
                reason, code);
}

void expect_refusal_by(struct client *c, const char *statements, const char *reasons, int code)
{
    struct scene *s = c->scene;
    bool ended = client_await_end(c, clock_us() + s->at.patience_us);
    unsigned n = 0;

    LIST_EACH (at, &c->inbox) {
        const struct packet *p = LIST_ITEM(at, struct packet, link);

        if (p->rc != 0)
            return;
        judge_connack(c, statements, p, reasons, code);
        n++;
    }
    MUST_BY(s, n > 0 ? RULE(s, "3.2.2-7", "3.2.2-5") : statements, ended,
            "%s: the server does not close the connection", c->name);
    MUST_BY(s, statements, n > 0 || c->version == MQTT_V5 || code == NO_CONNACK,
            "%s: the connection was closed without a CONNACK with code %d", c->name, code);
    client_close(c, false);
}

void expect_refusal(struct client *c, const char *reasons, int code)
{
    expect_refusal_by(c, NULL, reasons, code);
}
