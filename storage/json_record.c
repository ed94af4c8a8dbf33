#include "storage/json_record.h"

#include <inttypes.h>
#include <jansson.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[] = {"queued", "sent", "released"};

/* ---- writing ---- */

/* Members are set; what is 0, false or empty is left out. False: not UTF-8, or no memory. */

static bool set_number(json_t *o, const char *name, uint64_t n)
{
    return n == 0 || json_object_set_new(o, name, json_integer((json_int_t)n)) == 0;
}

static bool set_flag(json_t *o, const char *name, bool on)
{
    return !on || json_object_set_new(o, name, json_true()) == 0;
}

static bool set_text(json_t *o, const char *name, struct str s)
{
    return json_object_set_new(o, name, json_stringn(s.len > 0 ? s.p : "", s.len)) == 0;
}

static bool set_bytes(json_t *o, const char *name, struct str s)
{
    size_t size = (s.len + 2) / 3 * 4 + 1;
    char *text = s.len > 0 ? malloc(size) : NULL;
    int n = text != NULL ? b64_ntop((const unsigned char *)s.p, s.len, text, size) : -1;
    bool ok =
        s.len == 0 || (n >= 0 && json_object_set_new(o, name, json_stringn(text, (size_t)n)) == 0);

    free(text);
    return ok;
}

/* NULL: cannot be done. */
static json_t *message_object(const struct store_message *m)
{
    json_t *o = json_object();

    if (set_number(o, "uid", m->uid) && set_number(o, "publisher", m->publisher) &&
        set_text(o, "topic", m->topic) && set_number(o, "qos", m->qos) &&
        set_flag(o, "retain", m->retain) && set_number(o, "expires_ms", m->expires_ms) &&
        set_bytes(o, "properties", m->props) && set_bytes(o, "payload", m->payload))
        return o;
    json_decref(o);
    return NULL;
}

static bool set_message(json_t *o, const char *name, const struct store_message *m)
{
    return json_object_set_new(o, name, message_object(m)) == 0;
}

static bool set_will(json_t *o, const struct store_record *r)
{
    json_t *will;

    if (!r->has_will)
        return true;
    if (!set_message(o, "will", &r->message))
        return false;
    will = json_object_get(o, "will");
    return set_number(will, "due_ms", r->will_ms) && set_number(will, "delay_s", r->will_delay_s) &&
           (!r->will_has_expiry ||
            json_object_set_new(will, "expiry_s", json_integer(r->will_expiry_s)) == 0);
}

static bool fill_session(json_t *o, const struct store_record *r)
{
    bool ends = r->ends_ms == STORE_NEVER
                    ? json_object_set_new(o, "ends_ms", json_string("never")) == 0
                    : set_number(o, "ends_ms", r->ends_ms);

    return ends && set_text(o, "client_id", r->client_id) &&
           set_number(o, "mqtt_version", r->version) && set_number(o, "expiry_s", r->expiry_s) &&
           set_will(o, r);
}

static bool set_sub_ids(json_t *o, struct str ids)
{
    json_t *list = json_array();

    for (size_t at = 0; at + 4 <= ids.len; at += 4) {
        uint32_t id;

        memcpy(&id, ids.p + at, sizeof id);
        json_array_append_new(list, json_integer(id));
    }
    if (json_array_size(list) > 0)
        return json_object_set_new(o, "identifiers", list) == 0;
    json_decref(list);
    return true;
}

static bool fill_delivery(json_t *o, const struct store_record *r)
{
    const char *state = states[r->state < 3 ? r->state : 0];

    return json_object_set_new(o, "state", json_string(state)) == 0 &&
           set_number(o, "uid", r->uid) && set_number(o, "group", r->group) &&
           set_number(o, "packet_id", r->packet_id) && set_number(o, "qos", r->qos) &&
           set_flag(o, "retain", r->retain) && set_flag(o, "guarded", r->guarded) &&
           set_sub_ids(o, r->sub_ids) && set_message(o, "message", &r->message);
}

static bool fill_filter(json_t *o, const struct store_record *r)
{
    return set_text(o, "filter", r->filter) &&
           set_number(o, "options", r->options & STORE_SUB_OPTIONS) &&
           set_number(o, "identifier", r->sub_id) &&
           set_flag(o, "retained_due", (r->options & STORE_RETAINED_DUE) != 0);
}

static const char *type_of(enum store_kind kind)
{
    switch (kind) {
    case STORE_SESSION: return "session";
    case STORE_FILTER: return "subscription";
    case STORE_RECEIVED: return "received";
    case STORE_DELIVERY: return "message";
    default: return "retained";
    }
}

static bool fill(json_t *o, const struct store_record *r)
{
    if (json_object_set_new(o, "type", json_string(type_of(r->kind))) != 0 ||
        (r->kind != STORE_RETAINED && !set_number(o, "session", r->session)))
        return false;
    switch (r->kind) {
    case STORE_SESSION: return fill_session(o, r);
    case STORE_FILTER: return fill_filter(o, r);
    case STORE_RECEIVED:
        return set_number(o, "packet_id", r->packet_id) && set_number(o, "uid", r->uid);
    case STORE_DELIVERY: return fill_delivery(o, r);
    default: return set_message(o, "message", &r->message);
    }
}

char *json_from_record(const struct store_record *r)
{
    json_t *o = json_object();
    char *line = fill(o, r) ? json_dumps(o, JSON_COMPACT) : NULL;

    json_decref(o);
    return line;
}

/* ---- reading ---- */

/* Members of one object. The first thing that is wrong is kept in err. */
struct reading {
    const json_t *o;
    struct store_error *err;
    bool bad;
};

static void complain(struct reading *r, const char *name, const char *expected)
{
    if (!r->bad)
        store_error(r->err, "\"%s\" must be %s", name, expected);
    r->bad = true;
}

/* 0 when it is not there. Numbers above 2^63 are written as the negative ones with the same
 * bits. */
static uint64_t get_number(struct reading *r, const char *name, uint64_t max)
{
    const json_t *v = json_object_get(r->o, name);
    json_int_t n = json_integer_value(v);

    if (v != NULL && (!json_is_integer(v) || (n < 0 && max != UINT64_MAX) || (uint64_t)n > max))
        complain(r, name, "a number in its range");
    return (uint64_t)n;
}

static bool get_flag(struct reading *r, const char *name)
{
    const json_t *v = json_object_get(r->o, name);

    if (v != NULL && !json_is_boolean(v))
        complain(r, name, "true or false");
    return json_is_true(v);
}

static struct str get_text(struct reading *r, const char *name, bool wanted)
{
    const json_t *v = json_object_get(r->o, name);

    if (v == NULL ? wanted : !json_is_string(v))
        complain(r, name, "a string");
    return (struct str){json_string_value(v), json_string_length(v)};
}

static struct str get_bytes(struct reading *r, const char *name, void **out_memory)
{
    struct str text = get_text(r, name, false);
    size_t size = text.len / 4 * 3 + 4;
    int n;

    if (text.len == 0 || r->bad)
        return (struct str){NULL, 0};
    *out_memory = malloc(size);
    n = *out_memory != NULL ? b64_pton(text.p, *out_memory, size) : -1;
    if (n < 0)
        complain(r, name, "base64");
    return (struct str){*out_memory, n < 0 ? 0 : (size_t)n};
}

static void get_message(struct reading *r, const json_t *o, struct json_record *out)
{
    struct reading m = {.o = o, .err = r->err, .bad = r->bad};

    if (!json_is_object(o)) {
        complain(r, "message", "an object");
        return;
    }
    out->record.message =
        (struct store_message){.uid = get_number(&m, "uid", INT64_MAX),
                               .publisher = get_number(&m, "publisher", INT64_MAX),
                               .expires_ms = get_number(&m, "expires_ms", INT64_MAX),
                               .topic = get_text(&m, "topic", true),
                               .props = get_bytes(&m, "properties", &out->props),
                               .payload = get_bytes(&m, "payload", &out->payload),
                               .qos = (uint8_t)get_number(&m, "qos", 2),
                               .retain = get_flag(&m, "retain")};
    r->bad = m.bad;
}

static void get_will(struct reading *r, struct json_record *out)
{
    struct reading w = {.o = json_object_get(r->o, "will"), .err = r->err};

    if (w.o == NULL)
        return;
    get_message(r, w.o, out);
    out->record.has_will = true;
    out->record.will_ms = get_number(&w, "due_ms", INT64_MAX);
    out->record.will_delay_s = (uint32_t)get_number(&w, "delay_s", UINT32_MAX);
    out->record.will_has_expiry = json_object_get(w.o, "expiry_s") != NULL;
    out->record.will_expiry_s = (uint32_t)get_number(&w, "expiry_s", UINT32_MAX);
    r->bad |= w.bad;
}

static void get_session(struct reading *r, struct json_record *out)
{
    const char *ends = json_string_value(json_object_get(r->o, "ends_ms"));

    out->record.client_id = get_text(r, "client_id", true);
    out->record.ends_ms = ends != NULL && strcmp(ends, "never") == 0
                              ? STORE_NEVER
                              : get_number(r, "ends_ms", INT64_MAX);
    out->record.expiry_s = (uint32_t)get_number(r, "expiry_s", UINT32_MAX);
    out->record.version = (uint8_t)get_number(r, "mqtt_version", UINT8_MAX);
    get_will(r, out);
}

static void get_sub_ids(struct reading *r, struct json_record *out)
{
    const json_t *list = json_object_get(r->o, "identifiers"), *v;
    size_t i, n = json_array_size(list);
    uint32_t *ids;

    if (list == NULL)
        return;
    ids = out->sub_ids = calloc(n + 1, sizeof *ids);
    json_array_foreach(list, i, v)
    {
        if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > 268435455)
            complain(r, "identifiers", "numbers from 1 to 268435455");
        ids[i] = (uint32_t)json_integer_value(v);
    }
    if (!json_is_array(list))
        complain(r, "identifiers", "a list");
    out->record.sub_ids = (struct str){(const char *)ids, n * sizeof *ids};
}

static uint8_t get_state(struct reading *r)
{
    struct str text = get_text(r, "state", true);

    for (uint8_t i = 0; i < 3 && !r->bad; i++)
        if (str_eq(text, str_from(states[i])))
            return i;
    complain(r, "state", "\"queued\", \"sent\" or \"released\"");
    return 0;
}

static void get_delivery(struct reading *r, struct json_record *out)
{
    out->record.state = get_state(r);
    out->record.uid = get_number(r, "uid", INT64_MAX);
    out->record.group = get_number(r, "group", UINT64_MAX);
    out->record.packet_id = (uint16_t)get_number(r, "packet_id", UINT16_MAX);
    out->record.qos = (uint8_t)get_number(r, "qos", 2);
    out->record.retain = get_flag(r, "retain");
    out->record.guarded = get_flag(r, "guarded");
    get_sub_ids(r, out);
    get_message(r, json_object_get(r->o, "message"), out);
    if (out->record.uid == 0 || out->record.qos == 0)
        complain(r, out->record.uid == 0 ? "uid" : "qos", "there");
    if ((out->record.packet_id == 0) != (out->record.state == STORE_QUEUED))
        complain(r, "packet_id", "there, unless the state is \"queued\"");
}

static void get_filter(struct reading *r, struct json_record *out)
{
    out->record.filter = get_text(r, "filter", true);
    out->record.options = (uint8_t)get_number(r, "options", STORE_SUB_OPTIONS);
    out->record.sub_id = (uint32_t)get_number(r, "identifier", 268435455);
    if (get_flag(r, "retained_due"))
        out->record.options |= STORE_RETAINED_DUE;
}

static void get_record(struct reading *r, struct json_record *out)
{
    struct str type = get_text(r, "type", true);

    out->record.session = get_number(r, "session", INT64_MAX);
    if (str_eq(type, STR("retained"))) {
        out->record.kind = STORE_RETAINED;
        get_message(r, json_object_get(r->o, "message"), out);
        return;
    }
    if (out->record.session == 0)
        complain(r, "session", "there");
    if (str_eq(type, STR("session"))) {
        out->record.kind = STORE_SESSION;
        get_session(r, out);
    } else if (str_eq(type, STR("subscription"))) {
        out->record.kind = STORE_FILTER;
        get_filter(r, out);
    } else if (str_eq(type, STR("received"))) {
        out->record.kind = STORE_RECEIVED;
        out->record.uid = get_number(r, "uid", INT64_MAX);
        out->record.packet_id = (uint16_t)get_number(r, "packet_id", UINT16_MAX);
    } else if (str_eq(type, STR("message"))) {
        out->record.kind = STORE_DELIVERY;
        get_delivery(r, out);
    } else {
        complain(r, "type", "one that this version knows");
    }
}

int json_to_record(struct json_record *out, struct str line, struct store_error *err)
{
    json_error_t why;
    struct reading r = {.err = err};

    *out = (struct json_record){0};
    out->root = json_loadb(line.p, line.len, JSON_REJECT_DUPLICATES, &why);
    if (out->root == NULL)
        return store_error(err, "not JSON: %s", why.text);
    r.o = out->root;
    if (json_is_object(r.o))
        get_record(&r, out);
    else
        complain(&r, "type", "of an object");
    if (!r.bad)
        return 0;
    json_record_fini(out);
    return -1;
}

void json_record_fini(struct json_record *r)
{
    json_decref(r->root);
    free(r->props);
    free(r->payload);
    free(r->sub_ids);
    *r = (struct json_record){0};
}
