/* keep_counts.c: only in the preset coverage. The counts of a process that ends by _exit() or by a
 * signal of its own, as the children of tests and a server that was told to stop do, would be
 * lost. (The preset also lets fork() be fork(): GCC's own would forget what its handlers did.
 * And a child that has become another user can't write counts, and doesn't try.) */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

static uid_t user;

__attribute__((constructor)) static void note_user(void)
{
    user = getuid();
}

void _exit(int status)
{
    if (getuid() == user)
        __gcov_dump();
    for (;;)
        syscall(SYS_exit_group, status);
}

int raise(int number)
{
    __gcov_dump();
    return (int)syscall(SYS_tgkill, getpid(), gettid(), number);
}
