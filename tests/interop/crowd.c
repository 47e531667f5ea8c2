/* crowd.c: many clients of an echo server, side by side.
 *
 *     crowd ADDRESS COUNT
 *
 * All connect before the first speaks; prints how many heard their own words. */
#include <salut.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *address;
static int arrived, count, answered;

static void talk(void *argument)
{
    salut_sock *s = salut_create_connection(address);
    char words[64], answer[64] = "";

    snprintf(words, sizeof words, "I am number %d", *(int *)argument);
    arrived++;
    while (arrived < count && !salut_failed())
        salut_yield();
    salut_send(s, words, strlen(words));
    salut_recv_exactly(s, answer, strlen(words));
    salut_close(s);
    salut_check();
    answered += !strcmp(words, answer);
}

int main(int argc, char **argv)
{
    salut_fiber **fibers;
    int *numbers;

    if (argc != 3)
        return 2;
    address = argv[1];
    count = atoi(argv[2]);
    fibers = calloc((size_t)count, sizeof *fibers);
    numbers = calloc((size_t)count, sizeof *numbers);
    for (int i = 0; i < count; i++) {
        numbers[i] = i;
        fibers[i] = salut_go(talk, &numbers[i]);
    }
    for (int i = 0; i < count; i++)
        salut_join(fibers[i]);
    salut_check();
    printf("%d answered\n", answered);
    free(fibers);
    free(numbers);
    return 0;
}
