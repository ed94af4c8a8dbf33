#include "daemon/value.h"

#include "daemon/address.h"
#include "daemon/alloc.h"
#include "daemon/options.h"
#include "daemon/quantity.h"
#include "mqtt/utf8.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

#define URL_PATH_MAX 255 /* bytes */

/* What is said of each type: its name, what a wrong text is not, and what comes before the range.
 */
static const struct type_words {
    const char *name, *is_not, *expected;
} type_words[] = {
    [OPTION_SECTION] = {"section", "", ""},
    [OPTION_ITEMS] = {"list", "", ""},
    [OPTION_SHORT] = {"", "", ""},
    [OPTION_BOOL] = {"boolean", "is neither true nor false", ""},
    [OPTION_INTEGER] = {"number", "is not a whole number", "a number, "},
    [OPTION_CHOICE] = {"word", "is not one of the words for it", ""},
    [OPTION_SIZE] = {"size", "is not a size", "bytes with a unit such as 512KiB or 2MiB, "},
    [OPTION_MILLISECONDS] = {"duration", "is not a duration",
                             "a time with a unit such as 500ms, 30s or 5m, "},
    [OPTION_SECONDS] = {"duration", "is not a duration", "a time with a unit such as 30s or 5m, "},
    [OPTION_TEXT] = {"text", "", ""},
    [OPTION_INLINE_TEXT] = {"text", "", ""},
    [OPTION_NAME] = {"name", "is not a name", ""},
    [OPTION_ADDRESS] = {"address", "is not a numeric IP address", ""},
    [OPTION_FILE] = {"file", "", ""},
    [OPTION_URL_PATHS] = {"list", "is not a path of a URL", ""},
};

static void *field(const struct option *o, const void *base)
{
    return (char *)base + o->offset;
}

static bool is_number(const struct option *o)
{
    return o->type >= OPTION_BOOL && o->type <= OPTION_SECONDS;
}

/* ---- numbers ---- */

uint64_t value_number(const struct option *o, const void *base)
{
    const void *p = field(o, base);

    ASSERT(is_number(o));
    switch (o->size) {
    case 1: return *(const uint8_t *)p;
    case 2: return *(const uint16_t *)p;
    case 4: return *(const uint32_t *)p;
    default: return *(const uint64_t *)p;
    }
}

static void store_number(const struct option *o, void *base, uint64_t v)
{
    void *p = field(o, base);

    switch (o->size) {
    case 1: *(uint8_t *)p = (uint8_t)v; break;
    case 2: *(uint16_t *)p = (uint16_t)v; break;
    case 4: *(uint32_t *)p = (uint32_t)v; break;
    default: *(uint64_t *)p = v;
    }
}

static bool parse_bool(struct str text, uint64_t *out)
{
    *out = str_eq(text, STR("true"));
    return *out || str_eq(text, STR("false"));
}

static bool parse_choice(const struct option *o, struct str text, uint64_t *out)
{
    for (*out = 0; o->choices[*out] != NULL; ++*out)
        if (str_eq(text, str_from(o->choices[*out])))
            return true;
    return false;
}

/* In milliseconds for both kinds of durations. */
static bool parse_number(const struct option *o, struct str text, uint64_t *out)
{
    switch (o->type) {
    case OPTION_BOOL: return parse_bool(text, out);
    case OPTION_CHOICE: return parse_choice(o, text, out);
    case OPTION_SIZE: return quantity_parse_size(text, out);
    case OPTION_MILLISECONDS:
    case OPTION_SECONDS: return quantity_parse_duration(text, out);
    default: return quantity_parse_number(text, out);
    }
}

static bool in_range(const struct option *o, uint64_t v)
{
    if (o->type == OPTION_BOOL || o->type == OPTION_CHOICE)
        return true;
    return (v >= o->min && v <= o->max) || (o->word != NULL && v == o->word_value);
}

static const char *set_number(const struct option *o, void *base, struct str text)
{
    uint64_t unit = o->type == OPTION_SECONDS ? 1000 : 1, v;

    if (o->word != NULL && str_eq(text, str_from(o->word))) {
        store_number(o, base, o->word_value);
        return NULL;
    }
    if (!parse_number(o, text, &v))
        return type_words[o->type].is_not;
    if (!in_range(o, v / unit))
        return "is out of range";
    if (v % unit != 0)
        return "is not in whole seconds";
    store_number(o, base, v / unit);
    return NULL;
}

/* In the unit of the field. */
static void print_number(const struct option *o, uint64_t v, FILE *out)
{
    if (o->word != NULL && v == o->word_value)
        fputs(o->word, out);
    else if (o->type == OPTION_BOOL)
        fputs(v != 0 ? "true" : "false", out);
    else if (o->type == OPTION_CHOICE)
        fputs(o->choices[v], out);
    else if (o->type == OPTION_SIZE)
        quantity_print_size(v, out);
    else if (o->type == OPTION_MILLISECONDS)
        quantity_print_duration(v, out);
    else if (o->type == OPTION_SECONDS)
        quantity_print_duration(v * 1000, out);
    else
        fprintf(out, "%" PRIu64, v);
}

/* ---- text ---- */

static bool has_only(struct str text, const char *others)
{
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.p[i]) &&
            (text.p[i] == '\0' || strchr(others, text.p[i]) == NULL))
            return false;
    return true;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (iscntrl((unsigned char)text.p[i]))
            return true;
    return false;
}

static bool is_address(struct str text)
{
    char *address = alloc_text(text);
    bool valid = text.len == 0 || address_valid(address);

    free(address);
    return valid;
}

static bool fits_type(enum option_type type, struct str text)
{
    switch (type) {
    case OPTION_NAME: return has_only(text, ".-_");
    case OPTION_ADDRESS: return is_address(text);
    case OPTION_URL_PATHS: return text.p[0] == '/' && has_only(text, "/.-_~%!$&'()*+,;=:@");
    default: return true;
    }
}

static const char *check_text(const struct option *o, struct str text, size_t min, size_t max)
{
    if (text.len < min)
        return "is empty";
    if (text.len > max)
        return "is too long";
    if (!mqtt_utf8_valid((struct mqtt_str){(const uint8_t *)text.p, (uint32_t)text.len}))
        return "is not UTF-8";
    if (has_control(text))
        return "has a control character";
    return fits_type(o->type, text) ? NULL : type_words[o->type].is_not;
}

static const char *set_text(const struct option *o, void *base, struct str text)
{
    const char *fault = check_text(o, text, o->min, o->max);

    if (fault != NULL)
        return fault;
    if (o->type == OPTION_INLINE_TEXT) {
        memset(field(o, base), 0, o->size);
        memcpy(field(o, base), text.p, text.len);
    } else {
        free(*(char **)field(o, base));
        *(char **)field(o, base) = alloc_text(text);
    }
    return NULL;
}

static const char *text_of(const struct option *o, const void *base)
{
    return o->type == OPTION_INLINE_TEXT ? field(o, base) : *(char **)field(o, base);
}

/* Code point of the UTF-8 sequence at *p, which is well-formed; *p moves behind it. */
static uint32_t next_code_point(const char **p)
{
    unsigned char first = (unsigned char)*(*p)++;
    uint32_t c = first < 0xe0 ? first & 0x1f : first < 0xf0 ? first & 0x0f : first & 0x07;

    while (((unsigned char)**p & 0xc0) == 0x80)
        c = c << 6 | ((unsigned char)*(*p)++ & 0x3f);
    return c;
}

/* Between double quotes; what YAML or ${NAME} would take for something else is escaped. */
static void print_quoted(const char *text, FILE *out)
{
    putc('"', out);
    while (*text != '\0') {
        if ((unsigned char)*text >= 0x80) {
            fprintf(out, "\\U%08" PRIX32, next_code_point(&text));
            continue;
        }
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        else if (text[0] == '$' && text[1] == '{')
            putc('$', out);
        putc(*text++, out);
    }
    putc('"', out);
}

static void print_text(const char *text, FILE *out)
{
    bool plain = (isalnum((unsigned char)text[0]) || text[0] == '/') &&
                 has_only(str_from(text), "/.-_") && strcasecmp(text, "null") != 0;

    if (plain)
        fputs(text, out);
    else
        print_quoted(text, out);
}

/* ---- lists of texts ---- */

static char **texts_of(const struct option *o, const void *base)
{
    return *(char ***)field(o, base);
}

const char *value_append(const struct option *o, void *base, struct str text)
{
    size_t *n = value_count(base, o->count_offset);
    const char *fault = check_text(o, text, 1, URL_PATH_MAX);
    char **grown;

    if (fault != NULL)
        return fault;
    grown = alloc_zeroed(*n + 1, sizeof *grown);
    if (*n > 0)
        memcpy(grown, texts_of(o, base), *n * sizeof *grown);
    free(texts_of(o, base));
    grown[(*n)++] = alloc_text(text);
    *(char ***)field(o, base) = grown;
    return NULL;
}

static void clear_texts(const struct option *o, void *base)
{
    size_t *n = value_count(base, o->count_offset);

    while (*n > 0)
        free(texts_of(o, base)[--*n]);
    free(texts_of(o, base));
    *(char ***)field(o, base) = NULL;
}

static bool equal_texts(const struct option *o, const void *a, const void *b)
{
    size_t n = *value_count(a, o->count_offset);

    if (n != *value_count(b, o->count_offset))
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(texts_of(o, a)[i], texts_of(o, b)[i]) != 0)
            return false;
    return true;
}

static void print_texts(const struct option *o, const void *base, FILE *out)
{
    size_t n = *value_count(base, o->count_offset);

    putc('[', out);
    for (size_t i = 0; i < n; i++) {
        fputs(i > 0 ? ", " : "", out);
        print_text(texts_of(o, base)[i], out);
    }
    putc(']', out);
}

/* ---- any type ---- */

const char *value_set(const struct option *o, void *base, struct str text)
{
    return is_number(o) ? set_number(o, base, text) : set_text(o, base, text);
}

void value_clear(const struct option *o, void *base)
{
    if (o->type == OPTION_URL_PATHS)
        clear_texts(o, base);
    else if (!is_number(o) && o->type != OPTION_INLINE_TEXT) {
        free(*(char **)field(o, base));
        *(char **)field(o, base) = NULL;
    } else {
        memset(field(o, base), 0, o->size);
    }
}

void value_copy(const struct option *o, void *to, const void *from)
{
    if (o->type == OPTION_URL_PATHS) {
        for (size_t i = 0; i < *value_count(from, o->count_offset); i++)
            value_append(o, to, str_from(texts_of(o, from)[i]));
    } else if (!is_number(o) && o->type != OPTION_INLINE_TEXT) {
        *(char **)field(o, to) = alloc_text(str_from(text_of(o, from)));
    } else {
        memcpy(field(o, to), field(o, from), o->size);
    }
}

bool value_equal(const struct option *o, const void *a, const void *b)
{
    if (o->type == OPTION_URL_PATHS)
        return equal_texts(o, a, b);
    if (is_number(o))
        return value_number(o, a) == value_number(o, b);
    return strcmp(text_of(o, a), text_of(o, b)) == 0;
}

void value_print(const struct option *o, const void *base, FILE *out)
{
    if (o->type == OPTION_URL_PATHS)
        print_texts(o, base, out);
    else if (is_number(o))
        print_number(o, value_number(o, base), out);
    else
        print_text(text_of(o, base), out);
}

bool value_is_default(const struct option *o, const void *base)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    bool same;

    ASSERT(out != NULL);
    value_print(o, base, out);
    fclose(out);
    same = o->fallback != NULL && strcmp(text, o->fallback) == 0;
    free(text);
    return same;
}

static void print_choices(const struct option *o, FILE *out)
{
    for (const char *const *c = o->choices; *c != NULL; c++)
        fprintf(out, "%s%s", c == o->choices ? "" : c[1] != NULL ? ", " : " or ", *c);
}

static void print_number_range(const struct option *o, FILE *out)
{
    print_number(o, o->min, out);
    fputs(" to ", out);
    print_number(o, o->max, out);
    if (o->word != NULL)
        fprintf(out, ", or %s", o->word);
}

void value_print_range(const struct option *o, FILE *out)
{
    switch (o->type) {
    case OPTION_SECTION: fputs("options below it", out); break;
    case OPTION_ITEMS: fprintf(out, "%" PRIu64 " to %" PRIu64 " items", o->min, o->max); break;
    case OPTION_BOOL: fputs("true or false", out); break;
    case OPTION_CHOICE: print_choices(o, out); break;
    case OPTION_NAME:
        fprintf(out, "%" PRIu64 " to %" PRIu64 " letters, digits, '.', '-' and '_'", o->min,
                o->max);
        break;
    case OPTION_TEXT:
    case OPTION_INLINE_TEXT: fprintf(out, "at most %" PRIu64 " bytes of text", o->max); break;
    case OPTION_ADDRESS:
        fputs("a numeric IPv4 or IPv6 address, or \"\" for all of them", out);
        break;
    case OPTION_FILE: fputs("the name of a file", out); break;
    case OPTION_URL_PATHS:
        fprintf(out, "%" PRIu64 " to %" PRIu64 " paths such as [/mqtt, /]", o->min, o->max);
        break;
    default: print_number_range(o, out);
    }
}

char *value_expected(const struct option *o)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    ASSERT(out != NULL);
    fprintf(out, "expected %s", type_words[o->type].expected);
    value_print_range(o, out);
    fclose(out);
    return text;
}

const char *value_type_name(const struct option *o)
{
    return type_words[o->type].name;
}
