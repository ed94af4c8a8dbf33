#include "storage/tests/dir_support.h"

#include "base/assert.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void dir_make(char *out, size_t size)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(out, size, "%s/frys-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ASSERT(mkdtemp(out) != NULL);
}

void dir_path(char *out, size_t size, const char *dir, const char *name)
{
    int n = snprintf(out, size, "%s/%s", dir, name);

    ASSERT(n > 0 && (size_t)n < size);
}

void dir_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    char path[1024];

    ASSERT(d != NULL);
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        dir_path(path, sizeof path, dir, e->d_name);
        ASSERT(unlink(path) == 0);
    }
    closedir(d);
    ASSERT(rmdir(dir) == 0);
}

int dir_count(const char *dir, const char *prefix, char *first, size_t size)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int n = 0;

    ASSERT(d != NULL);
    while ((e = readdir(d)) != NULL) {
        size_t len = strlen(e->d_name);

        if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 ||
            (len > 4 && (strcmp(e->d_name + len - 4, "-wal") == 0 ||
                         strcmp(e->d_name + len - 4, "-shm") == 0)))
            continue;
        if (n++ == 0 && first != NULL)
            dir_path(first, size, dir, e->d_name);
    }
    closedir(d);
    return n;
}

char *file_read(const char *path, size_t *out_len)
{
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    size_t len = 0;

    if (f == NULL)
        return NULL;
    fseek(f, 0, SEEK_END);
    len = (size_t)ftell(f);
    rewind(f);
    data = malloc(len + 1);
    ASSERT(data != NULL && fread(data, 1, len, f) == len);
    data[len] = '\0';
    fclose(f);
    if (out_len != NULL)
        *out_len = len;
    return data;
}

void file_write(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    ASSERT(f != NULL && fwrite(data, 1, len, f) == len);
    ASSERT(fclose(f) == 0);
}

void file_copy(const char *from, const char *to)
{
    size_t len;
    char *data = file_read(from, &len);

    ASSERT(data != NULL);
    file_write(to, data, len);
    free(data);
}
