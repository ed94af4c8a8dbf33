/* chapters: what each file of cases offers to case.c, and the macro that makes it. */
#ifndef CONFORMANCE_CASES_CHAPTERS_H
#define CONFORMANCE_CASES_CHAPTERS_H
#include "base/assert.h"
#include "conformance/clock.h"
#include "conformance/play.h"

#define CHAPTER(name, heading, ...)                               \
    static const struct test_case name##_cases[] = {__VA_ARGS__}; \
    const struct chapter chapter_##name = {                       \
        .title = (heading), .cases = name##_cases, .n = ARRAY_LEN(name##_cases)}

/* Clocks of servers tick in milliseconds or more: what may not come early may by so much. */
#define EARLY_US 50000u

/* In the order in which they run. */
#define CHAPTERS(X) \
    X(format)       \
    X(connect)      \
    X(session)      \
    X(will)         \
    X(keepalive)    \
    X(limits)       \
    X(alias)        \
    X(publish)      \
    X(retained)     \
    X(subscribe)    \
    X(qos)          \
    X(topic)        \
    X(shared)       \
    X(disconnect)   \
    X(auth)         \
    X(errors)       \
    X(ws_handshake) \
    X(ws_frames)    \
    X(ws_mqtt)      \
    X(ws_deflate)   \
    X(expected)

#define X(name) extern const struct chapter chapter_##name;
CHAPTERS(X)
#undef X
#endif
