/* salut's fibers: a switch (two fibers that yield to each other), a life (go, run, join). */
#include "stopwatch.h"
#include <salut.h>

static void nothing(void *argument)
{
    (void)argument;
}

static void yield_often(void *argument)
{
    (void)argument;
    for (int i = 0; i < SWITCHES / 2; i++)
        salut_yield();
}

int main(void)
{
    salut_join(salut_go(nothing, NULL));

    salut_fiber *other = salut_go(yield_often, NULL);
    double begin = cpu_ns();
    yield_often(NULL);
    salut_join(other);
    print_figure("switch", begin, SWITCHES);

    begin = cpu_ns();
    for (int i = 0; i < LIVES; i++)
        salut_join(salut_go(nothing, NULL));
    print_figure("life", begin, LIVES);
    salut_check();
    return 0;
}
