/* When a fiber runs over its stack's end: a sentence on standard error before SIGSEGV ends the
 * program. Only where the program has no handler of its own. */
#ifndef SALUT_FIBER_OVERFLOW_H
#define SALUT_FIBER_OVERFLOW_H

struct scheduler;

/* Called at each fiber's start; does something at a thread's first. */
void overflow_watch(struct scheduler *s);

void overflow_unwatch(struct scheduler *s);

#endif
