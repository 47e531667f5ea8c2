/* test_views.c: a received line or message is a view. It lies where the system put it: nobody
 * copied it, and no memory was taken for it.
 *
 * All that the library asks for memory, moves, copies and receives comes by here: CMakeLists.txt
 * has the linker wrap these functions. */
#include "socket/input.h"
#include "socket/socket.h"
#include "support/sockets.h"

enum {
    PIECES = 20000, /* lines or messages in a flow */
    PIECE_BYTES_MAX = 200,
    WRITE_BYTES = 7001, /* at a time: it ends in the middle of a piece */
};

static struct {
    int allocations, receives;
    size_t copied, moved;
    unsigned char *into; /* where the last receive put its bytes */
    ssize_t received;
} seen;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_memcpy(void *into, const void *from, size_t size);
void *__real_memmove(void *into, const void *from, size_t size);
ssize_t __real_recv(int descriptor, void *into, size_t size, int flags);

void *__wrap_malloc(size_t size)
{
    seen.allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    seen.allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    seen.allocations++;
    return __real_realloc(old, size);
}

void *__wrap_memcpy(void *into, const void *from, size_t size)
{
    seen.copied += size;
    return __real_memcpy(into, from, size);
}

void *__wrap_memmove(void *into, const void *from, size_t size)
{
    seen.moved += size;
    return __real_memmove(into, from, size);
}

ssize_t __wrap_recv(int descriptor, void *into, size_t size, int flags)
{
    ssize_t received = __real_recv(descriptor, into, size, flags);

    seen.receives += received > 0;
    seen.into = into;
    seen.received = received;
    return received;
}

/* ---- What is said -------------------------------------------------------------------------- */

/* One way to put a piece on the wire and to take it off again. */
struct framing {
    const char *name;
    size_t (*put)(char *into, size_t size);
    void *(*take)(salut_sock *s, size_t *size);
    size_t before, after; /* bytes around each piece */
};

static void fill(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + (size + i) % 26);
}

static bool is_filled(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] != (char)('a' + (size + i) % 26))
            return false;
    }
    return true;
}

static size_t put_line(char *into, size_t size)
{
    fill(into, size);
    into[size] = '\n';
    return size + 1;
}

static void *take_line(salut_sock *s, size_t *size)
{
    return salut_recv_line(s, size);
}

static size_t put_message(char *into, size_t size)
{
    uint32_t header = htonl((uint32_t)size);

    memcpy(into, &header, 4);
    fill(into + 4, size);
    return 4 + size;
}

static const struct framing framings[] = {
    {"lines", put_line, take_line, 0, 1},
    {"messages", put_message, salut_recv_message, 4, 0},
};

static size_t size_of_piece(int i)
{
    return (size_t)(i * 37 % (PIECE_BYTES_MAX + 1));
}

/* ---- Each lies where it arrived ------------------------------------------------------------ */

static void a_view_is_the_very_bytes_that_the_system_wrote(void **state)
{
    enum { COUNT = 30 };

    (void)state;
    for (size_t f = 0; f < sizeof framings / sizeof *framings; f++) {
        const struct framing *framing = &framings[f];
        char text[COUNT * (PIECE_BYTES_MAX + 4)];
        size_t used = 0, at = 0, size;
        int peer;
        salut_sock *s = connected_to_plain(&peer);

        for (int i = 0; i < COUNT; i++)
            used += framing->put(text + used, size_of_piece(i));
        assert_int_equal(write(peer, text, used), used);
        for (int i = 0; i < COUNT; i++) {
            unsigned char *view = framing->take(s, &size);
            if (i == 0)
                assert_int_equal(seen.received, used); /* the system handed them over as one */
            assert_ptr_equal(view, seen.into + at + framing->before);
            assert_int_equal(size, size_of_piece(i));
            at += framing->before + size + framing->after;
        }
        assert_works(salut_close(s));
        close(peer);
    }
}

/* ---- A long flow --------------------------------------------------------------------------- */

struct flow {
    const struct framing *framing;
    salut_sock *s;
    int peer;
    char *text;
    size_t size, written;
    size_t complete; /* bytes of the pieces that were taken */
    int taken;
};

static void begin_flow(struct flow *flow, const struct framing *framing)
{
    *flow = (struct flow){.framing = framing};
    flow->s = connected_to_plain(&flow->peer);
    flow->text = malloc(PIECES * (PIECE_BYTES_MAX + 4));
    assert_non_null(flow->text);
    for (int i = 0; i < PIECES; i++)
        flow->size += framing->put(flow->text + flow->size, size_of_piece(i));
}

static bool in_its_own_room(const struct flow *flow, const unsigned char *view, size_t size)
{
    const struct socket *s = handle_object(&scheduler_of_thread->sockets, flow->s);

    return view >= s->input->bytes && view + size <= s->input->bytes + s->input->capacity;
}

static void take_what_is_whole(struct flow *flow)
{
    const struct framing *framing = flow->framing;

    while (flow->taken < PIECES) {
        size_t size = size_of_piece(flow->taken), got;
        size_t all = framing->before + size + framing->after;
        char *view;
        if (flow->complete + all > flow->written)
            return;
        view = framing->take(flow->s, &got);
        if (!view || got != size || !is_filled(view, size))
            fail_msg("piece %d of the %s is not as it was sent: %s", flow->taken, framing->name,
                     salut_error());
        assert_true(in_its_own_room(flow, (unsigned char *)view, size));
        flow->complete += all;
        flow->taken++;
    }
}

static void write_some(struct flow *flow)
{
    size_t left = flow->size - flow->written;
    ssize_t size =
        write(flow->peer, flow->text + flow->written, left < WRITE_BYTES ? left : WRITE_BYTES);

    assert_true(size > 0);
    flow->written += (size_t)size;
}

static void end_flow(struct flow *flow)
{
    assert_int_equal(flow->taken, PIECES);
    assert_works(salut_close(flow->s));
    close(flow->peer);
    free(flow->text);
}

static void a_flow_takes_no_memory_and_copies_nothing(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof framings / sizeof *framings; f++) {
        struct flow flow;
        begin_flow(&flow, &framings[f]);
        while (flow.taken < PIECES / 4) { /* until the room has its size */
            write_some(&flow);
            take_what_is_whole(&flow);
        }
        memset(&seen, 0, sizeof seen);
        while (flow.written < flow.size) {
            write_some(&flow);
            take_what_is_whole(&flow);
        }
        printf("%d %s in %d receives: %d allocations, %zu bytes copied, %zu moved\n",
               PIECES - PIECES / 4, framings[f].name, seen.receives, seen.allocations, seen.copied,
               seen.moved);
        assert_int_equal(seen.allocations, 0);
        assert_int_equal(seen.copied, 0);
        /* only the beginning of the one piece that the end of a receive cut in two */
        assert_true(seen.moved <= (size_t)seen.receives * (PIECE_BYTES_MAX + 4));
        end_flow(&flow);
    }
}

int main(void)
{
    struct CMUnitTest views[] = {
        cmocka_unit_test(a_view_is_the_very_bytes_that_the_system_wrote),
        cmocka_unit_test(a_flow_takes_no_memory_and_copies_nothing),
    };

    return RUN_SOCKET_TESTS(views);
}
