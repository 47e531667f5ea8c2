/* Echo with libuv: every read goes into one buffer and is written back at once
 * (uv_try_write); only what the socket didn't take is kept, and written when there is room. */
#include "port.h"
#include <string.h>
#include <uv.h>

struct rest {
    uv_write_t request; /* first: libuv hands this back */
    char bytes[];
};

static void on_close(uv_handle_t *handle)
{
    free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested_size, uv_buf_t *buffer)
{
    static char bytes[65536]; /* one read at a time, and none outlives its callback */
    (void)handle, (void)suggested_size;
    *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *client, ssize_t size, const uv_buf_t *buffer);

static void on_write(uv_write_t *request, int status)
{
    uv_stream_t *client = request->handle;
    free(request);
    if (status == 0)
        uv_read_start(client, on_alloc, on_read);
    else if (!uv_is_closing((uv_handle_t *)client))
        uv_close((uv_handle_t *)client, on_close);
}

static void write_rest(uv_stream_t *client, const char *bytes, size_t size)
{
    struct rest *rest = malloc(sizeof *rest + size);
    memcpy(rest->bytes, bytes, size);
    uv_buf_t buffer = uv_buf_init(rest->bytes, (unsigned)size);
    uv_read_stop(client);
    uv_write(&rest->request, client, &buffer, 1, on_write);
}

static void on_read(uv_stream_t *client, ssize_t size, const uv_buf_t *buffer)
{
    if (size == 0)
        return;
    if (size < 0) {
        uv_close((uv_handle_t *)client, on_close);
        return;
    }
    uv_buf_t answer = uv_buf_init(buffer->base, (unsigned)size);
    int sent = uv_try_write(client, &answer, 1);
    sent = sent == UV_EAGAIN ? 0 : sent;
    if (sent < 0)
        uv_close((uv_handle_t *)client, on_close);
    else if (sent < size)
        write_rest(client, buffer->base + sent, (size_t)(size - sent));
}

static void on_connection(uv_stream_t *server, int status)
{
    if (status < 0)
        return;
    uv_tcp_t *client = malloc(sizeof *client);
    uv_tcp_init(server->loop, client);
    if (uv_accept(server, (uv_stream_t *)client) == 0) {
        uv_tcp_nodelay(client, 1);
        uv_read_start((uv_stream_t *)client, on_alloc, on_read);
    } else {
        uv_close((uv_handle_t *)client, on_close);
    }
}

int main(void)
{
    uv_tcp_t server;
    struct sockaddr_in address;
    int size = sizeof address;
    uv_tcp_init(uv_default_loop(), &server);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&server, (const struct sockaddr *)&address, 0);
    int problem = uv_listen((uv_stream_t *)&server, SOMAXCONN, on_connection);
    if (problem) {
        fprintf(stderr, "can't listen: %s\n", uv_strerror(problem));
        return 1;
    }
    uv_tcp_getsockname(&server, (struct sockaddr *)&address, &size);
    print_port(ntohs(address.sin_port));
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
