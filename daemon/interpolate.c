/* interpolate: ${NAME} in a value becomes the value of an environment variable; "$${" is "${". */
#include "daemon/alloc.h"
#include "daemon/config_priv.h"

#include <ctype.h>

#define LONGEST 65536 /* bytes of a value; a variable may be named often */

/* Length of the name of a variable at the start of s; 0: there is none. */
static size_t name_length(struct str s)
{
    size_t n = 0;

    while (n < s.len && (isalnum((unsigned char)s.p[n]) || s.p[n] == '_'))
        n++;
    return n > 0 && isdigit((unsigned char)s.p[0]) ? 0 : n;
}

static char *fault_of(const char *format, struct str name)
{
    char quoted[CONFIG_QUOTED_MAX], *fault = NULL;

    if (asprintf(&fault, format, config__quote(name, quoted)) < 0)
        abort();
    return fault;
}

/* *rest begins with "${": write what it stands for; *rest moves behind it. NULL, or what is wrong.
 */
static char *replace(struct str *rest, char *const *env, FILE *out)
{
    struct str inside = {rest->p + 2, rest->len - 2};
    size_t len = name_length(inside);
    struct str name = {inside.p, len};
    const char *value;

    if (len == 0 || len == inside.len || inside.p[len] != '}')
        return fault_of("\"%s\" is not the name of a variable and \"}\"; write $${ for ${ itself",
                        inside);
    value = config__variable(env, name);
    if (value == NULL)
        return fault_of("the environment variable %s is not set", name);
    fputs(value, out);
    *rest = (struct str){inside.p + len + 1, inside.len - len - 1};
    return NULL;
}

struct str config__interpolate(struct str text, char *const *env, char **out_fault)
{
    char *whole = NULL, *fault = NULL;
    size_t len;
    FILE *out = open_memstream(&whole, &len);

    ASSERT(out != NULL);
    while (text.len > 0 && fault == NULL) {
        if (str_starts(text, STR("${"))) {
            fault = replace(&text, env, out);
        } else {
            size_t skip = str_starts(text, STR("$${")) ? 1 : 0;

            fwrite(text.p + skip, 1, 1 + skip, out);
            text = (struct str){text.p + 1 + 2 * skip, text.len - 1 - 2 * skip};
        }
        if (fault == NULL && ftell(out) > LONGEST)
            fault = fault_of("longer than a value may be%s", STR(""));
    }
    fclose(out);
    if (fault == NULL)
        return (struct str){whole, len};
    free(whole);
    *out_fault = fault;
    return (struct str){NULL, 0};
}
