/* timeout.c: how long to wait for an answer, and what to do when none comes.
 * The other end is hard of hearing: it answers only what it is asked twice.
 */
#include <errno.h>
#include <salut.h>
#include <stdio.h>
#include <string.h>

static void answer_the_second_time(void *argument)
{
    salut_sock *s = argument;
    char question[2];

    salut_recv_exactly(s, question, sizeof question);
    salut_send(s, "Salut !", strlen("Salut !"));
    salut_close(s);
    salut_check();
}

int main(void)
{
    salut_sock *here, *there;
    char answer[64];
    ssize_t size;

    salut_pair(&here, &there);
    salut_go(answer_the_second_time, there);
    salut_check();

    salut_settimeout(here, 0); /* take what is there, don't wait */
    if (salut_recv(here, answer, sizeof answer) < 0 && errno == EAGAIN) {
        printf("before asking: %s\n", salut_error());
        salut_clear_error(); /* this one was expected */
    }
    salut_check();

    salut_settimeout(here, 0.2); /* wait, but not for ever */
    salut_send(here, "?", 1);
    salut_check();
    while ((size = salut_recv(here, answer, sizeof answer)) < 0 && errno == ETIMEDOUT) {
        printf("asked once: %s\n", salut_error());
        salut_clear_error();
        salut_send(here, "?", 1);
        salut_check();
    }
    salut_check();
    printf("asked again: %.*s\n", (int)size, answer);

    salut_close(here);
    return 0;
}
