/* config: everything about the broker's behaviour that an operator can set. daemon/ fills it from
 * the option table; tests fill it by hand. Units are in the names; 0xFFFFFFFF of a session expiry:
 * never. */
#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum overflow_policy { OVERFLOW_DROP_OLDEST, OVERFLOW_DROP_NEWEST, OVERFLOW_DISCONNECT };

enum share_strategy { SHARE_ROUND_ROBIN, SHARE_LEAST_INFLIGHT };

/* What survives, of what was acknowledged to a client. */
enum durability {
    DURABILITY_MEMORY, /* nothing */
    DURABILITY_COMMIT, /* the death of the process */
    DURABILITY_FSYNC   /* that of the machine */
};

struct topic_durability {
    char *filter;
    enum durability durability;
};

struct broker_config {
    /* limits of a connection */
    uint32_t max_connections;      /* MQTT connections of the process; 0: no limit */
    uint32_t connect_timeout_ms;   /* from the network connection to the CONNECT packet */
    uint32_t max_packet_size;      /* bytes, announced and enforced */
    uint16_t receive_maximum;      /* QoS 1 and 2 messages a client may have open towards us */
    uint16_t max_inflight;         /* and we towards a client, whatever it allows */
    uint16_t topic_alias_maximum;  /* aliases a client may use; 0: none */
    uint16_t topic_alias_outgoing; /* aliases we use towards a client that allows them; 0: none */
    uint16_t max_keep_alive_s;     /* longer ones, and 0, are replaced by it; 0: no limit */
    uint16_t max_topic_levels;     /* deeper topic names and filters are refused; 0: no limit */
    uint32_t max_subscriptions;    /* per session; 0: no limit */
    /* what is offered */
    uint8_t maximum_qos;
    bool retain_available;
    bool wildcard_available;
    bool subscription_id_available;
    bool shared_available;
    bool problem_info; /* send reason strings at all */
    /* sessions */
    uint32_t max_session_expiry_s;
    uint32_t max_queued_messages; /* per session */
    uint64_t max_queued_bytes;    /* per session: of its queue and of its window, each */
    bool queue_qos0;              /* keep QoS 0 messages for offline sessions */
    enum overflow_policy overflow;
    enum share_strategy share_strategy;
    /* retained messages */
    uint32_t max_retained; /* messages; 0: no limit */
    /* what the store promises, if there is one; the first filter that matches a message counts */
    enum durability durability;
    struct topic_durability *topic_durability; /* borrowed */
    size_t n_topic_durability;
    /* the whole process */
    uint64_t memory_limit;          /* bytes; 0: none */
    uint32_t sys_interval_s;        /* between two $SYS updates; 0: no $SYS topics */
    char response_information[256]; /* for clients that ask for it; "" : none */
};

/* The defaults, the same as the option table's. */
struct broker_config broker_config_default(void);
#endif
