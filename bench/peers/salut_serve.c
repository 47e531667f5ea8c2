/* Echo with salut_serve. salut_serve WORKERS [MICROSECONDS]: of its thread's CPU time, that a
 * request costs the handler */
#include <salut.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double thread_cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void work(double microseconds)
{
    double end = microseconds > 0 ? thread_cpu_us() + microseconds : 0;
    while (end > 0 && thread_cpu_us() < end)
        ;
}

static void handle(salut_sock *client, void *microseconds)
{
    char buffer[1024];
    ssize_t n;
    while ((n = salut_recv(client, buffer, sizeof buffer)) > 0) {
        work(*(double *)microseconds);
        if (salut_send(client, buffer, (size_t)n) < 0)
            break;
    }
}

int main(int argc, char **argv)
{
    salut_serve_options options = {.workers = argc > 1 ? (unsigned)atoi(argv[1]) : 1};
    double microseconds = argc > 2 ? atof(argv[2]) : 0;
    salut_addr address;
    salut_sock *server = salut_create_server("127.0.0.1:0");
    salut_local(server, &address);
    salut_check();
    printf("%d\n", salut_addr_port(&address));
    fflush(stdout);
    salut_serve(server, handle, &microseconds, &options);
    salut_check();
    return 0;
}
