/* The library's limits, each with its reason. What a caller can set has its default here. */
#ifndef SALUT_BASE_LIMITS_H
#define SALUT_BASE_LIMITS_H

enum {
    /* Of x86-64 and nearly all arm64: what is used together lies together. */
    CACHE_LINE_BYTES = 64,

    /* A sentence lists at most a few addresses and reasons; a longer one helps nobody. */
    SENTENCE_BYTES = 1024,

    /* RFC 1035: a name is at most 253 characters in its written form. */
    HOST_NAME_BYTES_MAX = 253,

    /* More addresses than this for one name are a mistake or an attack: the rest are not tried. */
    ADDRESSES_MAX = 16,

    /* 64 KiB holds printf and a few KiB of buffers; only touched pages cost memory. */
    FIBER_STACK_BYTES = 64 * 1024,

    /* A function's frame larger than the guard could step over it unseen; 16 KiB stops most. */
    FIBER_GUARD_BYTES = 16 * 1024,

    /* Calls that a fiber may make without having to wait before it yields. */
    FIBER_CALLS_MAX = 64,

    /* Switches before the network and the clock are looked at though fibers are ready. */
    FIBER_SWITCHES_MAX = 64,

    /* Names looked up at one time by one process; further ones queue. getaddrinfo() can take
     * 30 s when a name server is gone, so one thread would not do; many would help nobody. */
    RESOLVER_THREADS_MAX = 8,

    /* Events taken from the kernel at once: enough to spread the call's cost, few enough that a
     * completion never waits long behind the others. */
    ENGINE_EVENTS_MAX = 256,
};

#endif
