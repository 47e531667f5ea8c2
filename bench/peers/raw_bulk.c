/* Bytes one way by hand: blocking writes and reads of SIZE bytes.
 * raw_bulk receive SIZE | raw_bulk send SIZE PORT */
#include "counter.h"
#include "port.h"
#include <unistd.h>

int main(int argc, char **argv)
{
    size_t size = strtoul(argv[2], NULL, 10);
    char *bytes = calloc(1, size);
    ssize_t n;
    if (argc > 3) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)atoi(argv[3])),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            return 1;
        while (write(fd, bytes, size) > 0)
            ;
        return 1;
    }
    volatile uint64_t *counter = open_counter();
    int fd = accept(listen_and_print_port(0), NULL, NULL);
    while ((n = read(fd, bytes, size)) > 0)
        *counter += (uint64_t)n;
    return 1;
}
