/* salut's switch alone, there and back, without its scheduler: what Boost.Context's is measured
 * against. Both sides run the same function, as fibers that serve clients do. Compiled with
 * src/fiber/context.c and switch_*.S, which the library doesn't show. */
#include "fiber/context.h"
#include "stopwatch.h"
#include <limits.h>
#include <stdlib.h>

static struct context here, there;

__attribute__((noinline)) static void take_turns(struct context *self, struct context *other,
                                                 int turns)
{
    for (int i = 0; i < turns; i++)
        context_switch(self, other);
}

static void go_back(void *argument)
{
    (void)argument;
    take_turns(&there, &here, INT_MAX);
}

int main(void)
{
    enum { STACK_BYTES = 65536 };
    char *stack = malloc(STACK_BYTES);
    context_make(&there, stack, stack + STACK_BYTES, go_back, NULL);
    take_turns(&here, &there, 1);

    double begin = cpu_ns();
    take_turns(&here, &there, SWITCHES / 2);
    print_figure("switch", begin, SWITCHES);
    return 0;
}
