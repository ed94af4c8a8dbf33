#include "daemon/quantity.h"

#include "base/test.h"

#define KIB UINT64_C(1024)
#define BAD UINT64_C(0xbad) /* the text is refused */

typedef bool parse_fn(struct str text, uint64_t *out);
typedef void print_fn(uint64_t v, FILE *out);

struct row {
    const char *text;
    uint64_t value;
    const char *printed; /* NULL: as text */
};

static const struct row numbers[] = {
    {"0", 0, NULL},
    {"7", 7, NULL},
    {"65535", 65535, NULL},
    {"18446744073709551615", UINT64_MAX, NULL},
    {"18446744073709551616", UINT64_MAX, NULL},
    {"99999999999999999999999999", UINT64_MAX, NULL},
    {"", BAD, NULL},
    {"-1", BAD, NULL},
    {"+1", BAD, NULL},
    {"1.5", BAD, NULL},
    {"010", BAD, NULL},
    {"0x10", BAD, NULL},
    {"1_000", BAD, NULL},
    {" 1", BAD, NULL},
    {"1 ", BAD, NULL},
    {"one", BAD, NULL},
};

static const struct row durations[] = {
    {"0", 0, "0s"},
    {"0s", 0, NULL},
    {"0ms", 0, "0s"},
    {"1ms", 1, NULL},
    {"500ms", 500, NULL},
    {"1000ms", 1000, "1s"},
    {"30s", 30000, NULL},
    {"90s", 90000, NULL},
    {"60s", 60000, "1m"},
    {"5m", 300000, NULL},
    {"1h", 3600000, NULL},
    {"24h", 86400000, "1d"},
    {"36500d", 36500 * UINT64_C(86400000), NULL},
    {"999999999999999999d", UINT64_MAX, "18446744073709551615ms"},
    {"30", BAD, NULL},
    {"s", BAD, NULL},
    {"30 s", BAD, NULL},
    {"30S", BAD, NULL},
    {"1h30m", BAD, NULL},
    {"1.5s", BAD, NULL},
    {"5w", BAD, NULL},
    {"030s", BAD, NULL},
};

static const struct row sizes[] = {
    {"0", 0, "0B"},
    {"0B", 0, NULL},
    {"100B", 100, NULL},
    {"1KiB", KIB, NULL},
    {"64KiB", 64 * KIB, NULL},
    {"2048KiB", 2 * KIB *KIB, "2MiB"},
    {"1GiB", KIB *KIB *KIB, NULL},
    {"1024GiB", KIB *KIB *KIB *KIB, NULL},
    {"1kB", 1000, NULL},
    {"3MB", 3000000, NULL},
    {"5GB", 5000000000, NULL},
    {"512kB", 512000, "500KiB"},
    {"1001B", 1001, NULL},
    {"99999999999GiB", UINT64_MAX, "18446744073709551615B"},
    {"1024", BAD, NULL},
    {"1K", BAD, NULL},
    {"1KB", BAD, NULL},
    {"1mib", BAD, NULL},
    {"2 MiB", BAD, NULL},
    {"2 potatoes", BAD, NULL},
    {"", BAD, NULL},
    {"MiB", BAD, NULL},
};

static void check_printed(size_t i, const struct row *r, print_fn *print)
{
    char text[64] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    print(r->value, out);
    fclose(out);
    if (!CHECK_ROW(i, strcmp(text, r->printed != NULL ? r->printed : r->text) == 0))
        fprintf(stderr, "%s became %s\n", r->text, text);
}

static void check_rows(const struct row *rows, size_t n, parse_fn *parse, print_fn *print)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t value = BAD;
        bool ok = parse(str_from(rows[i].text), &value);

        CHECK_ROW(i, ok == (rows[i].value != BAD));
        CHECK_ROW(i, value == rows[i].value);
        if (ok && print != NULL)
            check_printed(i, &rows[i], print);
    }
}

static void test_numbers(void)
{
    check_rows(numbers, sizeof numbers / sizeof numbers[0], quantity_parse_number, NULL);
}

static void test_durations(void)
{
    check_rows(durations, sizeof durations / sizeof durations[0], quantity_parse_duration,
               quantity_print_duration);
}

static void test_sizes(void)
{
    check_rows(sizes, sizeof sizes / sizeof sizes[0], quantity_parse_size, quantity_print_size);
}

TEST_MAIN(test_numbers, test_durations, test_sizes)
