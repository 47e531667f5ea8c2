/* fiber.c: the public words of fibers. */
#include "base/error.h"
#include "fiber/scheduler.h"

#include <salut.h>

#include <errno.h>
#include <math.h>

salut_fiber *salut_go(void (*function)(void *argument), void *argument)
{
    struct fiber *f;

    if (!function) {
        error_say(EINVAL, "go: the function is NULL");
        return NULL;
    }
    f = scheduler_get() ? fiber_start(&scheduler_of_thread->stacks, function, argument) : NULL;
    if (!f) {
        if (errno == EAGAIN)
            error_say(EAGAIN, "go: this thread has %d fibers, the most it can", HANDLE_SLOTS_MAX);
        else
            error_set(errno, "go");
        return NULL;
    }
    return f->handle;
}

/* The fiber behind a handle. NULL: it has ended, or (errno set, *failed) the handle is wrong. */
static struct fiber *find(const char *word, const salut_fiber *handle, bool *failed)
{
    struct scheduler *s = scheduler_get();

    *failed = true;
    if (!handle)
        error_say(EINVAL, "%s: the fiber is NULL", word);
    else if (!s)
        error_set(errno, "%s", word);
    else if (handle_thread(handle) != s->fibers.thread)
        error_say(EPERM, "%s: the fiber belongs to another thread", word);
    else
        *failed = false;
    return *failed ? NULL : handle_object(&s->fibers, handle);
}

int salut_join(salut_fiber *fiber)
{
    bool failed;
    struct fiber *f = find("join", fiber, &failed);
    int reason;

    if (!f)
        return failed ? -1 : 0;
    if (f == fiber_current())
        return error_say(EDEADLK, "join: a fiber can't wait for its own end");
    reason = fiber_park_in(&f->joiners, NEVER, "the end of another fiber");
    return reason ? error_set(reason, "join") : 0;
}

int salut_cancel(salut_fiber *fiber)
{
    bool failed;
    struct fiber *f = find("cancel", fiber, &failed);

    if (!f)
        return failed ? -1 : 0;
    fiber_cancel(f);
    return 0;
}

static int yield(const char *word)
{
    if (!scheduler_get())
        return error_set(errno, "%s", word);
    if (fiber_current()->cancelled)
        return error_set(ECANCELED, "%s", word);
    fiber_step_aside();
    return 0;
}

int salut_sleep(double seconds)
{
    int64_t deadline;
    int reason;

    if (isnan(seconds))
        return error_say(EINVAL, "sleep: the seconds are not a number");
    if (seconds <= 0)
        return yield("sleep");
    if (!scheduler_get())
        return error_set(errno, "sleep");
    deadline = deadline_after(fiber_now(), nanoseconds(seconds));
    do
        reason = fiber_park(deadline, "the end of its sleep");
    while (!reason);
    return reason == ETIMEDOUT ? 0 : error_set(reason, "sleep");
}

int salut_yield(void)
{
    return yield("yield");
}
