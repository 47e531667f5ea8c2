/* Framed messages one way by hand: a 4-byte big-endian length, then the bytes. The sender gathers
 * them in 64 KiB before it writes, the receiver reads what is there and takes them out in place.
 * hand_messages receive SIZE | hand_messages send SIZE PORT */
#include "counter.h"
#include "port.h"
#include <string.h>
#include <unistd.h>

enum { GATHER = 65536 };

static void write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0)
            exit(1);
        bytes += n;
        size -= (size_t)n;
    }
}

static void send_messages(size_t size, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        exit(1);
    char *message = calloc(1, size), *buffer = malloc(GATHER + 4 + size);
    for (;;) {
        size_t used = 0;
        while (used < GATHER) {
            uint32_t header = htonl((uint32_t)size);
            memcpy(buffer + used, &header, 4);
            memcpy(buffer + used + 4, message, size);
            used += 4 + size;
        }
        write_all(fd, buffer, used);
    }
}

static void receive_messages(size_t size)
{
    volatile uint64_t *counter = open_counter();
    int fd = accept(listen_and_print_port(0), NULL, NULL);
    size_t room = GATHER + 4 + size, used = 0;
    char *buffer = malloc(room);
    for (;;) {
        ssize_t n = read(fd, buffer + used, room - used);
        if (n <= 0)
            exit(1);
        used += (size_t)n;
        char *at = buffer;
        uint32_t header;
        while (used >= 4) {
            memcpy(&header, at, 4);
            if (used < 4 + (size_t)ntohl(header))
                break;
            count_message(counter, ntohl(header), size);
            at += 4 + size;
            used -= 4 + size;
        }
        memmove(buffer, at, used);
    }
}

int main(int argc, char **argv)
{
    size_t size = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        send_messages(size, atoi(argv[3]));
    else
        receive_messages(size);
}
