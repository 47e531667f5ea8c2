/* fibers.h: what the tests of the lower floors share: cmocka in its order, how to look at a
 * child's end, and how to be smaller, and say so, where everything is slow.
 *
 * An assertion that fails leaves the test function by longjmp(): assert only on main's own fiber.
 * The others write down what they saw, and the test function looks at it. */
#ifndef TESTS_SUPPORT_FIBERS_H
#define TESTS_SUPPORT_FIBERS_H

#include "support/sanitizers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

/* What makes this run unlike a user's: "AddressSanitizer", "qemu" and so on; NULL for nothing. */
static inline const char *watcher(void)
{
    const char *emulator = getenv("SALUT_EMULATOR");

    if (UNDER_ASAN)
        return "AddressSanitizer";
    if (UNDER_TSAN)
        return "ThreadSanitizer";
    if (RUNNING_ON_VALGRIND)
        return "valgrind";
    return emulator && strstr(emulator, "qemu") ? "qemu" : NULL;
}

/* `whole`, or where a watcher makes things slow `smaller`, which is said aloud. */
static inline int sized(int whole, int smaller, const char *of_what)
{
    if (!watcher())
        return whole;
    printf("under %s: %d %s instead of %d\n", watcher(), smaller, of_what, whole);
    return smaller;
}

/* Skips the test where a watcher is in the way, which is said aloud. */
static inline void needs_no(const char *name, const char *reason)
{
    if (!watcher() || strcmp(watcher(), name))
        return;
    printf("under %s this is left out: %s\n", name, reason);
    skip();
}

/* cmocka catches faults in tests; in a child they shall find what they find in any program. */
static struct sigaction fault_action_at_first;

__attribute__((constructor)) static void note_fault_action(void)
{
    sigaction(SIGSEGV, NULL, &fault_action_at_first);
}

/* How a child ended and what it wrote on standard error. */
struct ending {
    int status;
    char said[4096];
};

/* Runs body() in a child, which it ends with status 0 when it returns. */
static inline struct ending end_of_child(void (*body)(void))
{
    struct ending ending = {.status = -1};
    size_t used = 0;
    ssize_t size;
    int said[2];
    pid_t child;

    fflush(stdout);
    fflush(stderr);
    if (pipe(said) || (child = fork()) < 0) {
        fail_msg("pipe or fork failed");
        return ending;
    }
    if (child == 0) {
        sigaction(SIGSEGV, &fault_action_at_first, NULL);
        dup2(said[1], STDERR_FILENO);
        close(said[0]);
        close(said[1]);
        body();
        _exit(0);
    }
    close(said[1]);
    while ((size = read(said[0], ending.said + used, sizeof ending.said - 1 - used)) > 0)
        used += (size_t)size;
    close(said[0]);
    waitpid(child, &ending.status, 0);
    return ending;
}

/* In a child: ends it with status 1 and says which line was wrong, when it is. */
#define CHILD_ASSERT(holds)                                                                        \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #holds);                    \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static inline void assert_child_is_content(void (*body)(void))
{
    struct ending ending = end_of_child(body);

    if (!WIFEXITED(ending.status) || WEXITSTATUS(ending.status) != 0)
        fail_msg("the child ended with status 0x%x and said: %s", ending.status, ending.said);
}

#endif
