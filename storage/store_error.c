#include "storage/store_error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int store_error(struct store_error *e, const char *format, ...)
{
    va_list args;

    if (e == NULL)
        return -1;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
    return -1;
}
