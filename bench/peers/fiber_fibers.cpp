// Boost.Fiber: a switch (two fibers that yield to each other), a life (make, run, join).
#include "stopwatch.h"
#include <boost/fiber/all.hpp>

static void yield_often()
{
    for (int i = 0; i < SWITCHES / 2; i++)
        boost::this_fiber::yield();
}

int main()
{
    boost::fibers::fiber([] {}).join();

    boost::fibers::fiber other(yield_often);
    double begin = cpu_ns();
    yield_often();
    other.join();
    print_figure("switch", begin, SWITCHES);

    begin = cpu_ns();
    for (int i = 0; i < LIVES; i++)
        boost::fibers::fiber([] {}).join();
    print_figure("life", begin, LIVES);
}
