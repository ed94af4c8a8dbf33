/* client_wait: what has come, and waiting for what has not; see client.h. */
#include "conformance/client.h"
#include "conformance/clock.h"
#include "conformance/describe.h"

struct packet *client_find(struct client *c, unsigned type)
{
    LIST_EACH (at, &c->inbox) {
        struct packet *p = LIST_ITEM(at, struct packet, link);

        if (p->rc == 0 && (type == 0 || p->as.type == type))
            return p;
    }
    return NULL;
}

/* What the inbox has instead, for the message of a failure. */
static const char *instead(struct client *c)
{
    struct arena *a = &c->scene->arena;
    const char *text = "";

    LIST_EACH (at, &c->inbox) {
        struct packet *p = LIST_ITEM(at, struct packet, link);

        if (p->rc == 0)
            text = arena_printf(a, "%s %s", *text == '\0' ? "; what came is" : text,
                                describe_packet(a, &p->as, c->version));
        if (strlen(text) > 200)
            break;
    }
    return text;
}

static void fail_if_malformed(struct client *c)
{
    LIST_EACH (at, &c->inbox)
        if (LIST_ITEM(at, struct packet, link)->rc != 0)
            scene_skip(c->scene, "%s: the server sent what cannot be decoded", c->name);
}

struct packet *client_take(struct client *c, unsigned type, const char *statements)
{
    struct scene *s = c->scene;
    const char *what = type == 0 ? "packet" : mqtt_type_name(type);
    uint64_t deadline = clock_us() + s->at.patience_us;
    struct packet *p;

    while ((p = client_find(c, type)) == NULL) {
        fail_if_malformed(c);
        if (c->ended || c->net == NULL)
            scene_fail(s, statements, "%s: the connection has ended, no %s has come%s", c->name,
                       what, instead(c));
        if (!scene_poll(s, deadline))
            scene_fail(s, statements, "%s: no %s within %.1f s%s", c->name, what,
                       (double)s->at.patience_us / 1e6, instead(c));
    }
    list_remove(&p->link);
    return p;
}

bool client_await_end(struct client *c, uint64_t deadline_us)
{
    while (!c->ended && c->net != NULL)
        if (!scene_poll(c->scene, deadline_us))
            return false;
    return true;
}

static struct frame *find_frame(struct client *c, int opcode)
{
    LIST_EACH (at, &c->frames) {
        struct frame *f = LIST_ITEM(at, struct frame, link);

        if (opcode < 0 || f->ws.opcode == opcode)
            return f;
    }
    return NULL;
}

struct frame *client_take_frame(struct client *c, int opcode)
{
    uint64_t deadline = clock_us() + c->scene->at.patience_us;
    struct frame *f;

    while ((f = find_frame(c, opcode)) == NULL)
        if (c->ended || c->net == NULL || !scene_poll(c->scene, deadline))
            return NULL;
    list_remove(&f->link);
    return f;
}
