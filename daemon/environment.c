/* environment: FRYS_LIMITS_MAX_PACKET_SIZE=4MiB overrides limits.max_packet_size. */
#include "daemon/alloc.h"
#include "daemon/config_priv.h"

#include <ctype.h>

#define PREFIX STR("FRYS_")

const char *config__variable(char *const *env, struct str name)
{
    for (; *env != NULL; env++)
        if (strncmp(*env, name.p, name.len) == 0 && (*env)[name.len] == '=')
            return *env + name.len + 1;
    return NULL;
}

static const struct option *option_of(struct str name)
{
    char variable[OPTIONS_VARIABLE_MAX];

    for (const struct option *o = options; o->path != NULL; o++)
        if (options_variable(o, variable) && str_eq(str_from(variable), name))
            return o;
    return NULL;
}

static const struct option *nearest_to(struct str name)
{
    const struct option *nearest = NULL;
    size_t best = name.len / 3; /* more mistakes than that are another word */
    char variable[OPTIONS_VARIABLE_MAX];

    for (const struct option *o = options; o->path != NULL; o++) {
        if (!options_variable(o, variable))
            continue;
        size_t distance = str_distance(str_from(variable), name);

        if (distance < best) {
            best = distance;
            nearest = o;
        }
    }
    return nearest;
}

/* Kubernetes describes a service that is called "frys" or "frys-..." in such variables to every
 * container near it; they are not meant for us. */
static bool is_service_link(const char *name, const char *value)
{
    const char *port = strstr(name, "_PORT_");

    return strstr(name, "_SERVICE_HOST") != NULL || strstr(name, "_SERVICE_PORT") != NULL ||
           (port != NULL && isdigit((unsigned char)port[strlen("_PORT_")])) ||
           strstr(value, "://") != NULL;
}

static void report_unknown(struct loader *l, struct str name, struct position at)
{
    const struct option *nearest = nearest_to(name);
    char variable[OPTIONS_VARIABLE_MAX];

    if (nearest != NULL && options_variable(nearest, variable))
        problems_add(l->problems, PROBLEM_ERROR, at, "unknown option; did you mean %s?", variable);
    else
        problems_add(l->problems, PROBLEM_ERROR, at, "unknown option");
}

static void apply(struct loader *l, const char *entry)
{
    struct str value = str_from(entry), name = str_cut(&value, '=');
    char quoted[CONFIG_QUOTED_MAX], *file = NULL;
    const struct option *o = option_of(name);

    if (str_eq(name, STR("FRYS_CONFIG")) || value.p == NULL || is_service_link(entry, value.p))
        return;
    if (asprintf(&file, "environment:%s", config__quote(name, quoted)) < 0)
        abort();
    if (o != NULL)
        config__bind_text(l, o, l->config, value, (struct position){file, 0, 0});
    else
        report_unknown(l, name, (struct position){file, 0, 0});
    free(file);
}

void config__apply_environment(struct loader *l)
{
    for (char *const *entry = l->env; *entry != NULL; entry++)
        if (str_starts(str_from(*entry), PREFIX))
            apply(l, *entry);
}
