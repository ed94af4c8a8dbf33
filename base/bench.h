/* bench: what every *_bench.c uses: a main() that times the rows of a table.
 *
 *     static void pair(uint64_t n) { while (n-- > 0) ... }
 *     BENCH_MAIN({"pair", pair})
 *
 * Without arguments each row runs for about half a second and its time per operation is printed;
 * what the function does before it calls bench_start() is not counted. "name count" runs that row
 * count times and prints nothing: two counts under callgrind give the instructions per operation
 * without those of setting up. */
#ifndef BASE_BENCH_H
#define BASE_BENCH_H
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bench {
    const char *name;
    void (*run)(uint64_t n); /* do it n times */
};

#define BENCH_MAIN(...)                                                    \
    int main(int argc, char **argv)                                        \
    {                                                                      \
        static const struct bench rows[] = {__VA_ARGS__};                  \
        return bench_main(argc, argv, rows, sizeof rows / sizeof rows[0]); \
    }

/* Keep the compiler from leaving out what makes p. */
static inline void bench_use(const void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

static inline double bench_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double bench_started;

/* The operations begin here: the preparations are over. */
static inline void bench_start(void)
{
    bench_started = bench_seconds();
}

static inline void bench_row(const struct bench *b)
{
    double seconds = 0;
    uint64_t n;

    for (n = 1000; seconds < 0.5; n *= 2) {
        bench_start();
        b->run(n);
        seconds = bench_seconds() - bench_started;
    }
    n /= 2;
    printf("%-24s %10.1f ns %14" PRIu64 " times\n", b->name, seconds * 1e9 / (double)n, n);
}

static inline int bench_main(int argc, char **argv, const struct bench *rows, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        if (argc > 1 && strcmp(argv[1], rows[i].name) != 0)
            continue;
        found++;
        if (argc > 2)
            rows[i].run(strtoull(argv[2], NULL, 10));
        else
            bench_row(&rows[i]);
    }
    return found > 0 ? 0 : 2;
}
#endif
