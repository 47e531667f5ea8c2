/* python.h: a peer written in Python, at the other end of a pair of sockets. */
#ifndef TESTS_SUPPORT_PYTHON_H
#define TESTS_SUPPORT_PYTHON_H

#include "support/sockets.h"

#include <spawn.h>

struct python {
    pid_t child;
    salut_sock *s; /* our end */
};

/* Runs the script, which finds its end of the conversation as `peer`. Skips without Python. */
static inline struct python python_runs(const char *script)
{
    static const char beginning[] = "import socket, struct, sys\n"
                                    "peer = socket.socket(fileno=int(sys.argv[1]))\n";
    struct python python;
    char program[4096], number[16];
    int ends[2], failure;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    snprintf(program, sizeof program, "%s%s", beginning, script);
    snprintf(number, sizeof number, "%d", ends[1]);
    failure = posix_spawnp(&python.child, "python3", NULL, NULL,
                           (char *[]){"python3", "-c", program, number, NULL}, environ);
    close(ends[1]);
    if (failure) {
        close(ends[0]);
        printf("left out: python3 can't be started: %s\n", strerror(failure));
        skip();
    }
    python.s = salut_from_fd(ends[0]);
    assert_non_null(python.s);
    return python;
}

/* It has ended by itself, content; our end is closed. */
static inline void python_is_content(struct python *python)
{
    int status;

    assert_int_equal(waitpid(python->child, &status, 0), python->child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_works(salut_close(python->s));
}

#endif
