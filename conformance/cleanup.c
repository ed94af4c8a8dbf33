/* cleanup: one connection more for each session that is to go, one for all retained messages. */
#include "conformance/cleanup.h"

#include "conformance/play.h"

struct leftover {
    struct list link;
    bool session;
    const char *name; /* client identifier, or topic */
};

static void note(struct scene *s, bool session, const char *name)
{
    struct leftover *l;

    if (s->cleaning)
        return;
    LIST_EACH (at, &s->leftovers) {
        l = LIST_ITEM(at, struct leftover, link);
        if (l->session == session && strcmp(l->name, name) == 0)
            return;
    }
    l = arena_alloc(&s->arena, sizeof *l);
    l->session = session;
    l->name = arena_printf(&s->arena, "%s", name);
    list_push_back(&s->leftovers, &l->link);
}

void scene_leave_retained(struct scene *s, const char *topic)
{
    note(s, false, topic);
}

void scene_leave_session(struct scene *s, const char *client_id)
{
    note(s, true, client_id);
}

static void remove_session(struct scene *s, const char *id)
{
    leave(JOIN(s, .id = id));
}

static void remove_retained(struct scene *s, struct client **c, const char *topic)
{
    if (*c == NULL)
        *c = join(s);
    publish(*c, topic, "", 0, RETAIN);
}

static void remove_all(struct scene *s)
{
    struct client *c = NULL;
    struct list *node;

    while ((node = list_pop_front(&s->leftovers)) != NULL) {
        const struct leftover *l = LIST_ITEM(node, struct leftover, link);

        if (l->session)
            remove_session(s, l->name);
        else
            remove_retained(s, &c, l->name);
    }
    if (c != NULL)
        leave(c);
}

void cleanup_run(struct scene *s)
{
    struct list findings;
    const char *skipped = s->skipped, *retry = s->retry, *cut_short = s->cut_short;
    uint64_t seen = s->seen, broken = s->broken;

    if (list_empty(&s->leftovers))
        return;
    s->cleaning = true;
    list_init(&findings);
    list_splice_back(&findings, &s->findings);
    scene_note(s, NULL, '-', "what the case has left behind is removed");
    if (setjmp(s->end) == 0)
        remove_all(s);
    list_init(&s->findings);
    list_splice_back(&s->findings, &findings);
    s->skipped = skipped;
    s->retry = retry;
    s->cut_short = cut_short;
    s->seen = seen;
    s->broken = broken;
}
