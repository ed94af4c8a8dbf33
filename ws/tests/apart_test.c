/* Packets of all sizes, cut anywhere, to frames. */
#include "ws/apart.h"

#include "base/test.h"

#include <stdlib.h>
#include <string.h>

/* A packet of this size on the wire: 2 or more. Its bytes say where they are. */
static size_t packet(uint8_t *to, size_t size)
{
    size_t head = 2, rest;

    for (rest = size - head; rest >= (size_t)1 << (7 * (head - 1)); rest = size - head)
        head++;
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(i * 7 + 1);
    to[0] = 0x30;
    for (size_t i = 1; i < head; i++, rest >>= 7)
        to[i] = (uint8_t)((rest & 0x7f) | (i + 1 < head ? 0x80 : 0));
    return size;
}

/* The payload of the frame at *f, which is moved behind it. */
static const uint8_t *payload(const uint8_t **f, size_t *out_len)
{
    const uint8_t *p = *f + 2;
    unsigned bytes = (*f)[1] == 126 ? 2 : (*f)[1] == 127 ? 8 : 0;

    CHECK_INT((*f)[0], 0x82);
    *out_len = bytes == 0 ? (*f)[1] : 0;
    for (unsigned i = 0; i < bytes; i++)
        *out_len = *out_len << 8 | *p++;
    *f = p + *out_len;
    return p;
}

static const size_t sizes[] = {2, 3, 125, 126, 127, 129, 130, 2, 65535, 65536, 70000, 2, 2, 300000};

static void test_packets(void)
{
    size_t total = 0, n = sizeof sizes / sizeof *sizes, len, written;
    uint8_t *data, *out;
    const uint8_t *f, *at;
    uint32_t left = 0;

    for (size_t i = 0; i < n; i++)
        total += sizes[i];
    at = data = malloc(total);
    f = out = malloc(APART_ROOM(total));
    for (size_t i = 0, to = 0; i < n; i++)
        to += packet(data + to, sizes[i]);
    written = apart(out, data, total, &left);
    CHECK_INT(left, 0);
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = payload(&f, &len);

        CHECK_ROW_INT(i, len, sizes[i]);
        CHECK_ROW(i, memcmp(p, at, len) == 0);
        at += sizes[i];
    }
    CHECK_INT(f - out, written);
    free(data);
    free(out);
}

/* What does not fit in one piece goes on in the next. */
static void test_pieces(void)
{
    static uint8_t data[1002], out[APART_ROOM(1002)];
    size_t len;

    packet(data, 1000);
    packet(data + 1000, 2);
    for (size_t cut = 3; cut <= 1000; cut++) {
        uint32_t left = 0;
        const uint8_t *f = out;
        size_t written = apart(out, data, cut, &left);

        CHECK_ROW_INT(cut, left, 1000 - cut);
        payload(&f, &len);
        CHECK_ROW_INT(cut, len, cut);
        CHECK_ROW_INT(cut, f - out, written);
        f = out;
        apart(out, data + cut, sizeof data - cut, &left);
        CHECK_ROW_INT(cut, left, 0);
        if (cut < 1000) {
            payload(&f, &len);
            CHECK_ROW_INT(cut, len, 1000 - cut);
        }
        payload(&f, &len);
        CHECK_ROW_INT(cut, len, 2);
    }
}

/* As many frame headers as there can be. */
static void test_room(void)
{
    static uint8_t data[2000], out[APART_ROOM(sizeof data)];
    uint32_t left = 0;

    for (size_t i = 0; i < sizeof data; i += 2)
        packet(data + i, 2);
    CHECK_INT(apart(out, data, sizeof data, &left), 2 * sizeof data);
}

TEST_MAIN(test_packets, test_pieces, test_room)
