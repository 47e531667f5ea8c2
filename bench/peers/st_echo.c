/* Echo with State Threads: one of its threads for each client. */
#include "port.h"
#include <netinet/tcp.h>
#include <st.h>

static void *handle(void *argument)
{
    st_netfd_t client = argument;
    char buffer[1024];
    ssize_t n;
    while ((n = st_read(client, buffer, sizeof buffer, ST_UTIME_NO_TIMEOUT)) > 0)
        if (st_write(client, buffer, (size_t)n, ST_UTIME_NO_TIMEOUT) != n)
            break;
    st_netfd_close(client);
    return NULL;
}

int main(void)
{
    int on = 1;
    st_set_eventsys(ST_EVENTSYS_POLL); /* Debian builds it without epoll */
    if (st_init() != 0) {
        perror("st_init");
        return 1;
    }
    st_netfd_t listener = st_netfd_open_socket(listen_and_print_port(0));
    for (;;) {
        st_netfd_t client = st_accept(listener, NULL, NULL, ST_UTIME_NO_TIMEOUT);
        if (!client)
            continue;
        setsockopt(st_netfd_fileno(client), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (!st_thread_create(handle, client, 0, 0))
            st_netfd_close(client);
    }
}
