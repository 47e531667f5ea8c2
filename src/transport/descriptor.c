/* descriptor.c: the plain way that bytes move. */
#include "transport/descriptor.h"
#include "base/clock.h"
#include "fiber/scheduler.h"

#include <errno.h>

/* A long send goes in slices, so that a fiber whose peer keeps up with it still counts its calls
 * and lets the others run. No shorter, or bulk would pay for it. */
enum { SEND_SLICE_BYTES = 256 * 1024 };

/* A Unix socket whose peer's queue is full gives nothing to wait for: it is asked again. */
static const int64_t UNIX_PAUSE_MIN = NANOSECONDS / 1000;
static const int64_t UNIX_PAUSE_MAX = NANOSECONDS / 20;

int64_t descriptor_receive(struct endpoint *ep, void *into, size_t size, int64_t deadline)
{
    struct operation o = {.kind = OPERATION_RECEIVE, .endpoint = ep, .into = into, .size = size};

    return fiber_perform(&o, deadline);
}

int64_t descriptor_send(struct endpoint *ep, const void *head, size_t head_size, const void *from,
                        size_t size, int64_t deadline, size_t *moved)
{
    size_t begun = 0; /* of from */

    *moved = 0;
    do {
        size_t left = size - begun;
        struct operation o = {.kind = OPERATION_SEND,
                              .endpoint = ep,
                              .head = begun ? NULL : head,
                              .head_size = begun ? 0 : head_size,
                              .from = (const char *)from + begun,
                              .size = left < SEND_SLICE_BYTES ? left : SEND_SLICE_BYTES};
        int64_t result = fiber_perform(&o, deadline);

        *moved += o.moved;
        begun += o.size;
        if (result < 0)
            return result;
        if (begun < size && fiber_is_late(deadline))
            return -ETIMEDOUT;
    } while (begun < size);
    return (int64_t)*moved;
}

int64_t descriptor_receive_from(struct endpoint *ep, void *into, size_t size, salut_addr *sender,
                                int64_t deadline)
{
    struct operation o = {.kind = OPERATION_RECEIVE_FROM,
                          .endpoint = ep,
                          .into = into,
                          .size = size,
                          .address = sender};

    return fiber_perform(&o, deadline);
}

/* Waits a little longer each time. false: the deadline has come, or *result is set. */
static bool pause_for_unix(int64_t *pause, int64_t deadline, int64_t *result)
{
    int64_t until = deadline == AT_ONCE ? AT_ONCE : deadline_after(fiber_now(), *pause);
    int reason = fiber_park(until < deadline ? until : deadline, "room at a Unix socket");

    if (reason != ETIMEDOUT || fiber_now() >= deadline) {
        *result = -reason;
        return false;
    }
    *pause = 2 * *pause < UNIX_PAUSE_MAX ? 2 * *pause : UNIX_PAUSE_MAX;
    return true;
}

static bool is_unix(const salut_addr *address)
{
    return address && address->raw.any.sa_family == AF_UNIX;
}

int64_t descriptor_send_to(struct endpoint *ep, const void *from, size_t size, salut_addr *to,
                           int64_t deadline)
{
    int64_t pause = UNIX_PAUSE_MIN, result;

    do {
        struct operation o = {
            .kind = OPERATION_SEND_TO, .endpoint = ep, .from = from, .size = size, .address = to};
        result = fiber_perform(&o, is_unix(to) ? AT_ONCE : deadline);
        if (is_unix(to))
            ep->writable = true; /* the queue that was full is the receiver's, not ours */
    } while (result == -EAGAIN && is_unix(to) && pause_for_unix(&pause, deadline, &result));
    return result;
}

int64_t descriptor_accept(struct endpoint *ep, salut_addr *peer, int64_t deadline)
{
    struct operation o = {.kind = OPERATION_ACCEPT, .endpoint = ep, .address = peer};

    return fiber_perform(&o, deadline);
}

void descriptor_disconnect(struct endpoint *ep)
{
    struct engine *e = scheduler_of_thread->engine;
    salut_addr nobody = {.raw.any.sa_family = AF_UNSPEC, .raw_size = sizeof nobody.raw.any};
    struct operation o = {.kind = OPERATION_CONNECT, .endpoint = ep, .address = &nobody};

    if (!e->calls->start(e, &o)) /* done at once, by every system that is known */
        e->calls->cancel(e, &o);
}

int64_t descriptor_connect(struct endpoint *ep, salut_addr *to, int64_t deadline)
{
    int64_t pause = UNIX_PAUSE_MIN, result;

    do {
        struct operation o = {.kind = OPERATION_CONNECT, .endpoint = ep, .address = to};
        result = fiber_perform(&o, deadline);
    } while (result == -EAGAIN && is_unix(to) && pause_for_unix(&pause, deadline, &result));
    return result;
}
