/* State Threads: a switch (two threads that signal each other, its cheapest), a life (create,
 * run, join). */
#include "stopwatch.h"
#include <st.h>
#include <stddef.h>

static st_cond_t turn[2];

static void *nothing(void *argument)
{
    return argument;
}

static void *take_turns(void *argument)
{
    int self = argument != NULL;
    for (int i = 0; i < SWITCHES / 2; i++) {
        st_cond_signal(turn[!self]);
        st_cond_wait(turn[self]);
    }
    st_cond_signal(turn[!self]);
    return NULL;
}

int main(void)
{
    st_set_eventsys(ST_EVENTSYS_POLL);
    if (st_init() != 0)
        return 1;
    turn[0] = st_cond_new();
    turn[1] = st_cond_new();
    st_thread_join(st_thread_create(nothing, NULL, 1, 0), NULL);

    st_thread_t other = st_thread_create(take_turns, turn, 1, 0);
    double begin = cpu_ns();
    take_turns(NULL);
    st_thread_join(other, NULL);
    print_figure("switch", begin, SWITCHES);

    begin = cpu_ns();
    for (int i = 0; i < LIVES; i++)
        st_thread_join(st_thread_create(nothing, NULL, 1, 0), NULL);
    print_figure("life", begin, LIVES);
    return 0;
}
