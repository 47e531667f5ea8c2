/* replay.c: a target's main() without libFuzzer: it is given the files, and folders of files, that
 * are named. So what was found once stays put right in every build, on every processor. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int played;

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    size_t size;

    if (!file || fseek(file, 0, SEEK_END)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    size = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(size ? size : 1); /* exactly so many: a byte beyond is a fault */
    fuzz_require(bytes && fread(bytes, 1, size, file) == size, "%s can be read", path);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
    played++;
}

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_shown, alphasort);

    if (count < 0) {
        replay_file(path);
        return;
    }
    for (int i = 0; i < count; i++) {
        char inside[4096];
        snprintf(inside, sizeof inside, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        replay(inside);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    fprintf(stderr, "%d inputs, and all that was asked of them holds\n", played);
    return played ? EXIT_SUCCESS : EXIT_FAILURE;
}
