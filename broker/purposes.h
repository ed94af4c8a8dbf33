/* purposes: what memory is used for; one row a purpose of the accounting allocator (base/mem.h). */
#ifndef BROKER_PURPOSES_H
#define BROKER_PURPOSES_H

#define BROKER_PURPOSES(X)          \
    X(CONNECTION, "connection")     \
    X(SESSION, "session")           \
    X(SUBSCRIPTION, "subscription") \
    X(TOPIC_TREE, "topic_tree")     \
    X(MESSAGE, "message")           \
    X(QUEUE, "queue")               \
    X(INFLIGHT, "inflight")         \
    X(RETAINED, "retained")         \
    X(SHARE, "shared_subscription") \
    X(INPUT, "input")               \
    X(OUTPUT, "output")             \
    X(ALIAS, "topic_alias")         \
    X(POST, "post")                 \
    X(SHARD, "shard")               \
    X(TRANSPORT, "transport")       \
    X(STORE, "store")

enum broker_purpose {
#define X(name, label) FOR_##name,
    BROKER_PURPOSES(X)
#undef X
        FOR_COUNT
};
#endif
