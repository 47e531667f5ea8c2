/* Time: nanoseconds of a clock that never goes back, and deadlines on it. What the clock shows
 * is the engine's business (clock_now() is only the real one). */
#ifndef SALUT_BASE_CLOCK_H
#define SALUT_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NEVER INT64_MAX   /* a deadline that doesn't come */
#define AT_ONCE INT64_MIN /* a deadline that leaves no time to wait: the timeout is 0 */

enum { NANOSECONDS = 1000000000 };

static inline int64_t clock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
}

/* Seconds as nanoseconds; more than a century is NEVER. */
static inline int64_t nanoseconds(double seconds)
{
    return seconds < 3e9 ? (int64_t)(seconds * 1e9) : NEVER;
}

/* now + span, where NEVER stays NEVER. */
static inline int64_t deadline_after(int64_t now, int64_t span)
{
    return span == NEVER || now > NEVER - span ? NEVER : now + span;
}

#endif
