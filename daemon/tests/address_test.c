#include "daemon/address.h"

#include "base/assert.h"
#include "base/test.h"

static const struct {
    const char *address;
    bool valid, loopback;
} rows[] = {
    {"127.0.0.1", true, true},
    {"127.255.0.7", true, true},
    {"128.0.0.1", true, false},
    {"0.0.0.0", true, false},
    {"192.0.2.1", true, false},
    {"::1", true, true},
    {"0:0:0:0:0:0:0:1", true, true},
    {"::", true, false},
    {"2001:db8::1", true, false},
    {"fe80::1%eth0", false, false},
    {"::ffff:127.0.0.1", true, false},
    {"", false, false},
    {"localhost", false, false},
    {"127.1", false, false},
    {"127.0.0.01", false, false},
    {"256.0.0.1", false, false},
    {"fe80::1%", false, false},
    {"[::1]", false, false},
    {"127.0.0.1 ", false, false},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111", false, false},
};

static void test_rows(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CHECK_ROW_INT(i, address_valid(rows[i].address), rows[i].valid);
        CHECK_ROW_INT(i, address_is_loopback(rows[i].address), rows[i].loopback);
    }
}

TEST_MAIN(test_rows)
