/* message: see message.h. */
#include "broker/message.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"

#include <string.h>

static uint8_t *append(uint8_t *to, struct mqtt_str part)
{
    if (part.len > 0)
        memcpy(to, part.p, part.len);
    return to + part.len;
}

struct message *publication_message(struct publication *pub, struct mem *mem)
{
    struct message *m = pub->msg;
    uint8_t *to;

    if (m != NULL)
        return m;
    m = mem_try_alloc(mem, FOR_MESSAGE,
                      sizeof *m + (size_t)pub->topic.len + pub->props.len + pub->payload.len);
    if (m == NULL)
        return NULL;
    *m = (struct message){.refs = 1,
                          .qos = pub->qos,
                          .retain = pub->retain,
                          .guarded = pub->guarded,
                          .uid = pub->uid,
                          .publisher = pub->publisher,
                          .expires_ms = pub->expires_ms,
                          .topic_len = pub->topic.len,
                          .props_len = pub->props.len,
                          .payload_len = pub->payload.len};
    to = append(m->data, pub->topic);
    to = append(to, pub->props);
    append(to, pub->payload);
    pub->msg = m;
    return m;
}

struct publication publication_of(struct message *m)
{
    return (struct publication){.topic = message_topic(m),
                                .props = message_props(m),
                                .payload = message_payload(m),
                                .uid = m->uid,
                                .publisher = m->publisher,
                                .expires_ms = m->expires_ms,
                                .qos = m->qos,
                                .retain = m->retain,
                                .guarded = m->guarded,
                                .msg = m};
}

void publication_done(struct publication *pub, struct mem *mem)
{
    message_unref(&pub->msg, mem);
}

void message_unref(struct message **m, struct mem *mem)
{
    struct message *dead = *m;

    *m = NULL;
    if (dead == NULL)
        return;
    if (dead->shared) {
        if (atomic_fetch_sub_explicit(&dead->refs, 1, memory_order_acq_rel) != 1)
            return;
    } else {
        uint32_t refs = atomic_load_explicit(&dead->refs, memory_order_relaxed);

        ASSERT(refs > 0);
        atomic_store_explicit(&dead->refs, refs - 1, memory_order_relaxed);
        if (refs != 1)
            return;
    }
    mem_release(mem, FOR_MESSAGE, dead);
}
