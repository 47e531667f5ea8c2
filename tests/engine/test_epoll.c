/* Where the kernel, or a sandbox around the program, has no epoll_pwait2(): time goes by the
 * millisecond, and nothing else changes. This program's epoll_wait() takes the system's place. */
#include "support/fibers.h"

#include "base/clock.h"
#include "engine/engine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static int asked_milliseconds, times_asked;
static bool pretend; /* that nothing came, at once */

int epoll_wait(int epoll, struct epoll_event *events, int events_max, int milliseconds)
{
    asked_milliseconds = milliseconds;
    times_asked++;
    return pretend ? 0 : epoll_pwait(epoll, events, events_max, milliseconds, NULL);
}

/* From here on epoll_pwait2() fails with this errno. false: this can't be had here. */
static bool forbid_epoll_pwait2(int number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

enum { CAN_NOT_BE_HAD = 77 };

static void poll_without(int number)
{
    struct engine *e = engine_epoll_create();
    int64_t until;

    CHILD_ASSERT(e);
    if (!forbid_epoll_pwait2(number))
        _exit(CAN_NOT_BE_HAD);
    until = clock_now() + 3 * (NANOSECONDS / 1000);
    while (clock_now() < until)
        e->calls->poll(e, until);
    CHILD_ASSERT(times_asked > 0);
    e->calls->destroy(e);
}

static void poll_on_an_old_kernel(void)
{
    poll_without(ENOSYS);
}

static void poll_in_a_sandbox(void)
{
    poll_without(EPERM);
}

static void ask_for_long_and_short(void)
{
    struct engine *e = engine_epoll_create();
    const int64_t day = 24 * 3600 * (int64_t)NANOSECONDS;

    CHILD_ASSERT(e);
    if (!forbid_epoll_pwait2(ENOSYS))
        _exit(CAN_NOT_BE_HAD);
    pretend = true;
    e->calls->poll(e, clock_now() + 40 * day); /* more milliseconds than an int holds */
    CHILD_ASSERT(asked_milliseconds == INT32_MAX);
    e->calls->poll(e, clock_now() + 10000 * day);
    CHILD_ASSERT(asked_milliseconds == INT32_MAX);
    e->calls->poll(e, NEVER);
    CHILD_ASSERT(asked_milliseconds == -1);
    e->calls->poll(e, AT_ONCE);
    CHILD_ASSERT(asked_milliseconds == 0);
    e->calls->poll(e, clock_now() - 1);
    CHILD_ASSERT(asked_milliseconds == 0);
    e->calls->poll(e, clock_now() + day);
    CHILD_ASSERT(asked_milliseconds > 23 * 3600 * 1000);
    CHILD_ASSERT(asked_milliseconds <= 24 * 3600 * 1000);
    e->calls->destroy(e);
}

static void assert_content_or_skip(void (*body)(void))
{
    struct ending ending;

    needs_no("qemu", "a filter of system calls would be for the emulator");
    ending = end_of_child(body);
    if (WIFEXITED(ending.status) && WEXITSTATUS(ending.status) == CAN_NOT_BE_HAD) {
        printf("left out: system calls can't be filtered here\n");
        skip();
    }
    if (ending.status)
        fail_msg("the child ended with status 0x%x and said: %s", ending.status, ending.said);
}

static void time_passes_on_a_kernel_before_5_11(void **state)
{
    (void)state;
    assert_content_or_skip(poll_on_an_old_kernel);
}

static void time_passes_in_a_sandbox_that_forbids_what_it_does_not_know(void **state)
{
    (void)state;
    assert_content_or_skip(poll_in_a_sandbox);
}

static void no_wait_becomes_endless_because_it_is_long(void **state)
{
    (void)state;
    assert_content_or_skip(ask_for_long_and_short);
}

/* ---- Where the kernel watches no more ------------------------------------------------------- */

static int refusal; /* errno of epoll_ctl(); 0: the kernel is asked */

int epoll_ctl(int epoll, int what, int descriptor, struct epoll_event *event)
{
    if (refusal) {
        errno = refusal;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epoll, what, descriptor, event);
}

static void a_user_s_limit_of_descriptors_to_watch_is_no_full_disk(void **state)
{
    struct engine *e = engine_epoll_create();
    struct endpoint a, b;
    char byte;
    struct operation o = {
        .kind = OPERATION_RECEIVE, .endpoint = &a, .into = &byte, .size = sizeof byte};

    (void)state;
    assert_int_equal(e->calls->open_pair(e, &a, &b), 0);
    refusal = ENOSPC;
    assert_true(e->calls->start(e, &o));
    assert_int_equal(o.result, -ENOBUFS);
    refusal = 0;
    assert_false(e->calls->start(e, &o)); /* it is whole, and waits now */
    e->calls->close(e, &b);
    e->calls->cancel(e, &o);
    e->calls->close(e, &a);
    e->calls->destroy(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_passes_on_a_kernel_before_5_11),
        cmocka_unit_test(time_passes_in_a_sandbox_that_forbids_what_it_does_not_know),
        cmocka_unit_test(a_user_s_limit_of_descriptors_to_watch_is_no_full_disk),
        cmocka_unit_test(no_wait_becomes_endless_because_it_is_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
