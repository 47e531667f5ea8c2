/* What a program of this directory may ask about itself: what it has that it must give back. */
#ifndef TESTS_FAIL_SHIM_H
#define TESTS_FAIL_SHIM_H

#include <stdint.h>

struct shim_holdings {
    int64_t blocks;      /* of memory */
    int64_t maps;        /* by mmap() */
    int64_t descriptors; /* all */
    int64_t sockets;     /* of these */
};

struct shim_holdings shim_holdings(void);

#endif
