/* greet.c: a user's program, built against the installed library. It has a function of its own
 * with the name of one inside the library, as any program may. */
#include <salut.h>
#include <stdio.h>
#include <string.h>

int error_set(void);

int error_set(void)
{
    return 42;
}

int main(void)
{
    salut_sock *a = NULL;
    salut_sock *b = NULL;
    char buffer[16] = "";

    salut_pair(&a, &b);
    salut_send(a, "Salut !", strlen("Salut !"));
    salut_recv(b, buffer, sizeof buffer - 1);
    salut_close(a);
    salut_close(b);
    salut_check();
    printf("%s %d %s\n", buffer, error_set(), salut_version());
    return 0;
}
