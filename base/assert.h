/* assert: checks that stay on in release builds, for what only a bug of ours can break. Input from
 * outside never asserts; it gets an error code. Checks are cheap and have no side effects. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H
#include <stddef.h>
#include <stdint.h>

#define ASSERT(x) \
    (__builtin_expect(!!(x), 1) ? (void)0 : assert_failed(#x, __FILE__, __LINE__, __func__))

/* Set dst from a void pointer, after checking that it points at the struct it should: every struct
 * that travels as void * has "uint32_t magic" and a MAGIC constant. */
#define CAST(dst, arg, expected_magic)            \
    do {                                          \
        (dst) = (arg);                            \
        ASSERT((dst) != NULL);                    \
        ASSERT((dst)->magic == (expected_magic)); \
    } while (0)

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Write what failed and where to standard error and abort. */
__attribute__((cold)) _Noreturn void assert_failed(const char *expression, const char *file,
                                                   int line, const char *function);
#endif
