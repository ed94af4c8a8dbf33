/* replay: runs a fuzz target over files, for builds without libFuzzer: every file under the given
 * paths, in the order of their names. */
#include "base/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define INPUT_MAX (16 << 20) /* bytes of a file that are used */

static unsigned files;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(INPUT_MAX);

    if (file == NULL || data == NULL) {
        perror(path);
        exit(1);
    }
    size_t size = fread(data, 1, INPUT_MAX, file);

    fclose(file);
    fprintf(stderr, "%s\n", path);                /* the last one named is the one that failed */
    data = size > 0 ? realloc(data, size) : data; /* so that reading beyond the end is found */
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    files++;
}

static void replay_path(const char *path)
{
    struct dirent **entries;
    struct stat st;

    if (stat(path, &st) != 0) {
        fprintf(stderr, "%s: no corpus\n", path);
        return;
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path);
        return;
    }
    int n = scandir(path, &entries, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char *child = NULL;

        if (entries[i]->d_name[0] != '.' &&
            asprintf(&child, "%s/%s", path, entries[i]->d_name) >= 0) {
            replay_path(child);
            free(child);
        }
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay_path(argv[i]);
    fprintf(stderr, "%u files\n", files);
    return 0;
}
