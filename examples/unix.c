/* unix.c: a conversation between programs of one machine, over a path instead of a host and port.
 * The visitor would be another program; here it is a fiber.
 *
 *     ./unix [path]        the path is salut.socket if not said; it is gone again afterwards
 */
#include <salut.h>
#include <stdio.h>
#include <string.h>

static void visit(void *path)
{
    const char *greeting = "Salut, it's me!";
    char answer[64];

    salut_sock *visitor = salut_socket(SALUT_UNIX);
    salut_connect(visitor, path, 0);
    salut_send(visitor, greeting, strlen(greeting));
    salut_check();
    ssize_t size = salut_recv(visitor, answer, sizeof answer);
    salut_close(visitor);
    salut_check();
    printf("the visitor hears: %.*s\n", (int)size, answer);
}

int main(int argc, char **argv)
{
    char *path = argc > 1 ? argv[1] : "salut.socket";
    char greeting[64];

    salut_sock *door = salut_socket(SALUT_UNIX);
    salut_bind(door, path, 0); /* a path has no port */
    salut_listen(door, 1);
    salut_check();
    printf("waiting at %s\n", path);

    salut_fiber *visitor = salut_go(visit, path);
    salut_check();
    salut_sock *host = salut_accept(door, NULL);
    ssize_t size = salut_recv(host, greeting, sizeof greeting);
    salut_check();
    printf("the host hears: %.*s\n", (int)size, greeting);
    salut_send(host, "Come in!", strlen("Come in!"));
    salut_check();
    salut_join(visitor);

    salut_close(host);
    salut_close(door);
    salut_check();
    return 0;
}
