/* sentences.c: has the library say the sentences that the tutorials quote, one a line. Ports don't
 * matter: the test takes them out. "sentences alone": there is no network but this machine's own,
 * so that a name may be looked up in vain. */
#define _GNU_SOURCE
#include <salut.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void say(void)
{
    puts(salut_failed() ? salut_error() : "(nothing failed)");
    salut_clear_error();
}

static int port_of(salut_sock *s)
{
    salut_addr address;

    salut_local(s, &address);
    return salut_addr_port(&address);
}

/* A conversation over TCP: what connect gave, and what accept gave. */
static void converse(salut_sock **caller, salut_sock **called)
{
    salut_sock *listener = salut_create_server("127.0.0.1:0");

    *caller = salut_socket(SALUT_TCP);
    salut_connect(*caller, "127.0.0.1", port_of(listener));
    *called = salut_accept(listener, NULL);
    salut_close(listener);
    salut_check();
}

static void of_bind(void)
{
    salut_sock *taken = salut_create_server("localhost:0");
    salut_sock *s = salut_socket(SALUT_TCP);

    salut_bind(s, "localhost", 70000);
    say();
    salut_bind(s, "192.0.2.1", 63000);
    say();
    if (geteuid() == 0 && seteuid(65534))
        perror("seteuid");
    salut_bind(s, "127.0.0.1", 80);
    say();
    if (getuid() == 0 && seteuid(0))
        perror("seteuid");
    salut_bind(s, "localhost", port_of(taken));
    salut_clear_error();
    salut_listen(s, 1);
    say();
    salut_close(s);
    salut_close(taken);
}

static void of_listen_and_accept(void)
{
    salut_sock *udp = salut_socket(SALUT_UDP);
    salut_sock *fresh = salut_socket(SALUT_TCP);
    salut_sock *listener = salut_create_server("localhost:0");
    char byte;

    salut_listen(udp, 1);
    say();
    salut_accept(fresh, NULL);
    say();
    salut_recv(listener, &byte, 1);
    say();
    salut_close(udp);
    salut_close(fresh);
    salut_close(listener);
}

static void of_connect(bool alone)
{
    salut_sock *s = salut_socket(SALUT_TCP);
    salut_sock *caller, *called;

    salut_connect(s, "http://localhost", 63000);
    say();
    if (alone) {
        salut_connect(s, "example.invalid", 63000);
        say();
    }
    salut_close(s);
    converse(&caller, &called);
    salut_connect(caller, "localhost", 63000);
    say();
    salut_close(caller);
    salut_close(called);
}

/* The peer's machine answers "nobody is here any more" within this one, but not within the call. */
static void of_send(void)
{
    salut_sock *caller, *called;

    converse(&caller, &called);
    salut_close(called);
    while (salut_send(caller, "a", 1) > 0)
        salut_yield();
    say();
    salut_send(caller, "a", 1);
    say();
    salut_close(caller);
}

static void of_recv(void)
{
    salut_sock *caller, *called;
    char bytes[10];

    converse(&caller, &called);
    salut_settimeout(caller, 0.01);
    salut_recv(caller, bytes, sizeof bytes);
    say();
    salut_recv(caller, bytes, 0);
    say();
    salut_settimeout(caller, -1);
    salut_send(caller, "unread", 6);
    salut_close(called);
    salut_recv(caller, bytes, sizeof bytes);
    say();
    salut_close(caller);

    converse(&caller, &called);
    salut_send(caller, "abc", 3);
    salut_close(caller);
    salut_recv_exactly(called, bytes, 10);
    say();
    salut_close(called);
    salut_close(called);
    say();
}

static void of_decode(void)
{
    free(salut_decode("a\0b", 3));
    say();
}

static void of_datagrams(void)
{
    static const char large[70000];
    salut_sock *box = salut_socket(SALUT_UDP), *sender = salut_socket(SALUT_UDP);
    salut_addr address;
    char bytes[4];

    salut_bind(box, "127.0.0.1", 0);
    salut_local(box, &address);
    salut_sendto(sender, "0123456789", 10, &address);
    salut_recvfrom(box, bytes, sizeof bytes, NULL);
    say();
    salut_sendto(sender, large, sizeof large, &address);
    say();
    salut_close(box);
    salut_close(sender);
}

/* A program that was killed leaves its socket file behind; here one that doesn't use salut does. */
static void of_unix(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "salut.sock"};
    int left = socket(AF_UNIX, SOCK_STREAM, 0);

    unlink(address.sun_path);
    if (left < 0 || bind(left, (struct sockaddr *)&address, sizeof address))
        perror("bind");
    close(left);
    salut_create_server("unix:salut.sock");
    say();
    unlink(address.sun_path);
}

int main(int argc, char **argv)
{
    of_bind();
    of_listen_and_accept();
    of_connect(argc > 1 && !strcmp(argv[1], "alone"));
    of_send();
    of_recv();
    of_decode();
    of_datagrams();
    of_unix();
    return 0;
}
