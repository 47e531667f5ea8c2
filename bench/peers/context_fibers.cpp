// Boost.Context: the switch alone, there and back, without a scheduler (both sides run the same
// function, as fibers that serve clients do); and a context's life (make, run, destroy).
#include "stopwatch.h"
#include <boost/context/fiber.hpp>
#include <climits>
#include <utility>

namespace context = boost::context;

__attribute__((noinline)) static context::fiber take_turns(context::fiber &&other, int turns)
{
    for (int i = 0; i < turns; i++)
        other = std::move(other).resume();
    return std::move(other);
}

int main()
{
    context::fiber other{
        [](context::fiber &&back) { return take_turns(std::move(back), INT_MAX); }};
    other = take_turns(std::move(other), 1);
    double begin = cpu_ns();
    other = take_turns(std::move(other), SWITCHES / 2);
    print_figure("switch", begin, SWITCHES);

    begin = cpu_ns();
    for (int i = 0; i < LIVES; i++) {
        context::fiber life{[](context::fiber &&back) { return std::move(back); }};
        life = std::move(life).resume();
    }
    print_figure("life", begin, LIVES);
}
