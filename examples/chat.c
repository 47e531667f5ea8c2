/* chat.c: everybody hears what anybody says, and whoever reads too slowly misses some of it.
 * ./chat [port], then `nc localhost 63000` in as many terminals as you like. All cores serve; only
 * channels join them. The room is a fiber that passes each word on to every guest's channel, and
 * waits for none: into a full channel it doesn't send. */
#include <errno.h>
#include <salut.h>
#include <stdio.h>

enum { GUESTS_MAX = 1000, TEXT_BYTES = 300, WORDS_MAX = 64 };

struct word {
    salut_channel *from; /* the speaker's own, by which the room knows it */
    int last;
    char text[TEXT_BYTES];
};

static void run_room(void *room)
{
    static salut_channel *guests[GUESTS_MAX + 1];
    static struct word word;
    size_t count = 0, speaker;

    while (salut_channel_recv(room, &word) == 1) {
        for (speaker = 0; speaker < count && guests[speaker] != word.from; speaker++)
            continue;
        if (speaker == count)
            guests[count++] = word.from;
        for (size_t i = 0; i < count; i++)
            salut_channel_try_send(guests[i], word.text);
        if (word.last && !salut_channel_close(word.from))
            guests[speaker] = guests[--count];
    }
    salut_check();
}

struct guest {
    salut_sock *client;
    salut_channel *room, *hears;
};

/* A guest has two fibers: this one listens to it, */
static void listen_to(void *argument)
{
    struct guest guest = *(struct guest *)argument;
    struct word word = {.from = guest.hears};
    salut_addr peer;

    salut_peer(guest.client, &peer);
    for (const char *line = "(has come)"; line; line = salut_recv_line(guest.client, NULL)) {
        snprintf(word.text, TEXT_BYTES, "%d: %s", salut_addr_port(&peer), line);
        if (salut_channel_send(guest.room, &word))
            salut_check(); /* without the room there is no chat */
    }
    word.last = 1;
    if (salut_failed() && errno != ECANCELED)
        fprintf(stderr, "lost a guest: %s\n", salut_error());
    snprintf(word.text, TEXT_BYTES, "%d: (has left)", salut_addr_port(&peer));
    if (salut_channel_send(guest.room, &word))
        salut_check();
}

/* and this one, the server's, tells it what is said, until the room closes its channel. */
static void tell(salut_sock *client, void *room)
{
    struct guest guest = {client, room, salut_channel_create(WORDS_MAX, TEXT_BYTES)};
    char text[TEXT_BYTES];
    int heard = 0;

    salut_set_limit(client, TEXT_BYTES - sizeof "12345: ");
    if (guest.hears && salut_go(listen_to, &guest))
        while ((heard = salut_channel_recv(guest.hears, text)) == 1)
            salut_send_line(client, text);
    if (heard == 0)
        salut_channel_free(guest.hears);
    else if (errno != ECANCELED) /* which leaves the channel to the room */
        salut_check();
    if (salut_failed() && errno != ECANCELED)
        fprintf(stderr, "lost a guest: %s\n", salut_error());
}

int main(int argc, char **argv)
{
    salut_serve_options options = {.connections_max = GUESTS_MAX, .drain_seconds = 0.1};
    salut_channel *room = salut_channel_create(WORDS_MAX, sizeof(struct word));
    salut_addr here;
    char address[32];

    snprintf(address, sizeof address, "localhost:%s", argc > 1 ? argv[1] : "63000");
    salut_sock *server = salut_create_server(address);
    salut_local(server, &here);
    salut_go(run_room, room);
    salut_check();
    printf("listening on %s:%d\n", salut_addr_host(&here), salut_addr_port(&here));
    fflush(stdout);
    if (salut_serve(server, tell, room, &options) && errno != ETIMEDOUT)
        salut_check();
    return 0;
}
