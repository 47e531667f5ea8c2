/* Greets with libuv: writes six bytes, closes when they are written. */
#include "port.h"
#include <uv.h>

struct client {
    uv_tcp_t tcp;
    uv_write_t request;
};

static void on_close(uv_handle_t *handle)
{
    free(handle->data);
}

static void on_write(uv_write_t *request, int status)
{
    (void)status;
    uv_close((uv_handle_t *)request->handle, on_close);
}

static void on_connection(uv_stream_t *server, int status)
{
    static char greeting[] = "salut\n";
    if (status < 0)
        return;
    struct client *c = malloc(sizeof *c);
    uv_buf_t buffer = uv_buf_init(greeting, sizeof greeting - 1);
    uv_tcp_init(server->loop, &c->tcp);
    c->tcp.data = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) == 0) {
        uv_tcp_nodelay(&c->tcp, 1);
        uv_write(&c->request, (uv_stream_t *)&c->tcp, &buffer, 1, on_write);
    } else {
        uv_close((uv_handle_t *)&c->tcp, on_close);
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
