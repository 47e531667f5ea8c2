/* salut: sockets for C, as simple as Python's.
 *
 *     #include <salut.h>                                  cc server.c -lsalut
 *
 *     salut_sock *server = salut_socket(SALUT_TCP);
 *     salut_bind(server, "localhost", 63000);
 *     salut_listen(server, 1);
 *     salut_sock *client = salut_accept(server, NULL);
 *
 * Three laws hold for every word below.
 *
 * 1. A word does what it does in Python's socket module, unless that loses data by surprise.
 *    The one deliberate difference: salut_send() sends everything, as Python's sendall().
 * 2. A wait never blocks the thread: it parks the calling fiber and lets the others run.
 *    main() is a fiber too, so a program that starts none can't tell.
 * 3. Nothing fails silently and nothing fails twice. A failure is -1 or NULL, errno, and a
 *    sentence in salut_error(). A word called on a NULL socket returns -1 and keeps the first
 *    failure's errno and sentence, so that ten lines without a check still tell the truth.
 *
 * Errors every word on a socket can give, not repeated below:
 *     EBADF      the socket was closed, its thread has ended, or it is NULL and nothing had failed;
 *     EPERM      the socket or fiber belongs to another thread;
 *     EINVAL     an argument makes no sense; the sentence says which;
 *     ENOMEM, EMFILE, ENFILE, ENOBUFS   the process or the system ran out;
 * and every word that can wait:
 *     ETIMEDOUT  the time of salut_settimeout() is over (it covers the whole call);
 *     EAGAIN     the call would have to wait, and the timeout is 0;
 *     ECANCELED  salut_cancel() was called on this fiber, or another fiber closed the socket.
 *
 * A word that needs what bind or connect should have given, and it failed, gives that failure
 * again, until it succeeds.
 *
 * A stream that failed in the middle of a message is broken: see salut_send().
 *
 * A thread that ends closes the sockets that it left open; what they had gathered is lost.
 *
 * After fork() the child has a copy of each socket of the thread that forked, on the same
 * connection, and goes on with the one fiber that called fork(): the others have ended there (and
 * so does the process, with status 0, when its last fiber has). What was gathered is left to the
 * parent; a salut_serve() in progress goes on in the parent alone, and SIGINT and SIGTERM do in
 * the child what they did before it. A channel that other threads use is not for the child.
 */
#ifndef SALUT_H
#define SALUT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h> /* also SHUT_RD, SHUT_WR, SHUT_RDWR */
#include <sys/types.h>  /* ssize_t */
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SALUT_VERSION "0.1.0"

#if defined(__GNUC__)
#define SALUT_PUBLIC __attribute__((visibility("default")))
#else
#define SALUT_PUBLIC
#endif

/* One end of a conversation, or a listener. Opaque; NULL is "none". A handle stays safe to use
 * after its socket is closed: every word then says EBADF. */
typedef struct salut_sock salut_sock;

typedef enum salut_kind {
    SALUT_TCP = 1,      /* a stream of bytes, over IPv4 or IPv6 */
    SALUT_UDP,          /* datagrams, over IPv4 or IPv6 */
    SALUT_UNIX,         /* a stream of bytes between programs of this machine */
    SALUT_UNIX_DATAGRAM /* datagrams between programs of this machine */
} salut_kind;

/* An address, filled by the library. Read it with salut_addr_host() and salut_addr_port().
 * `raw` is for those who need the system's own form, of raw_size bytes; raw_size 0 is "none". */
typedef struct salut_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un path;
    } raw;
    uint32_t raw_size;
    char text[112]; /* made by salut_addr_host() on first use */
} salut_addr;

/* ---- The nine words ------------------------------------------------------------------------ */

/* A new socket of this kind, not yet anywhere. Its address family (IPv4 or IPv6) is chosen at
 * bind or connect, which also is when the system's descriptor is opened. TCP_NODELAY is on,
 * SO_REUSEADDR is on for listeners, close-on-exec always, SIGPIPE never.
 * Result: the socket, to be given to salut_close(); NULL and EINVAL (unknown kind), ENOMEM,
 *   EAGAIN (4 million sockets on this thread). */
SALUT_PUBLIC salut_sock *salut_socket(salut_kind kind);

/* Gives the socket its own address.
 * host: a name or a numeric address; NULL or "" is every interface, IPv6 and IPv4 both; a name
 *   that has both families binds IPv4 ("localhost" is 127.0.0.1). For Unix kinds: the path, at
 *   most 107 bytes, or "@name" for Linux's abstract namespace.
 * port: 0 to 65535; 0 lets the system choose, and salut_local() tells. Unix kinds: ignored.
 * Result: 0, or -1 and EADDRINUSE (taken; for a path: a file is there already), EADDRNOTAVAIL
 *   (not an address of this machine), EACCES (ports under 1024, or the directory), ENOENT
 *   (unknown name, or no such directory), EHOSTUNREACH (names can't be looked up just now),
 *   ENAMETOOLONG (path), EINVAL (also: bound already, another fiber is at it, or a name with a
 *   space or control character).
 * After a failure the socket is as before and may be bound again; words that need the address
 * (salut_listen) give the same failure until then.
 * A path bound here is unlinked by salut_close(). */
SALUT_PUBLIC int salut_bind(salut_sock *s, const char *host, int port);

/* Begins to take clients. backlog: how many may wait to be accepted; clamped to the system's
 * limit, 0 or less is the system's default. A socket that was not bound listens on 127.0.0.1,
 * at a port the system chooses.
 * Result: 0, or -1 and EINVAL (connected already), EOPNOTSUPP (datagrams), EADDRINUSE. */
SALUT_PUBLIC int salut_listen(salut_sock *s, int backlog);

/* Waits for a client and returns the conversation with it, which has no timeout of its own.
 * peer: who came; may be NULL; all zeros when the call fails.
 * A client that vanished before it was accepted is passed over (ECONNABORTED and the like);
 * when descriptors or memory have run out (EMFILE, ENFILE, ENOBUFS, ENOMEM) the call waits with
 * pauses of 5 ms growing to 1 s, within its timeout, and goes on when there are some again.
 * Result: the socket, or NULL and EINVAL (not listening), EBUSY (another fiber is accepting). */
SALUT_PUBLIC salut_sock *salut_accept(salut_sock *s, salut_addr *peer);

/* Connects to a listener; for datagrams, names the peer that send and recv are for.
 * host: a name, a numeric address or a Unix path; port: 1 to 65535 (Unix kinds: ignored).
 * Names are looked up off the thread. Several addresses are raced (RFC 8305: families
 * alternate, the next starts 250 ms after the last, or at once when that one failed). Datagrams
 * may be connected anew.
 * Result: 0, or -1 and the last attempt's errno: ECONNREFUSED (nobody listens), ETIMEDOUT,
 *   EHOSTUNREACH, ENETUNREACH, ENOENT (unknown name, or no such path), EISCONN (connected
 *   already, or another fiber is at it), EOPNOTSUPP (listening), EAFNOSUPPORT (bound to an
 *   address of the other family), EPROTOTYPE (a path that takes the other Unix kind). The
 *   sentence lists each address tried and why it failed.
 * After a failure the socket is as before and may be connected again. */
SALUT_PUBLIC int salut_connect(salut_sock *s, const char *host, int port);

/* Sends all of data. Returns when the system has taken every byte, which is not yet when the
 * peer has read them. Two fibers that send on one socket take turns, a whole call each.
 * size: bytes, at most SSIZE_MAX; 0 sends nothing on a stream, an empty datagram otherwise.
 * Result: size, or -1 and EPIPE (the peer is gone, or an earlier send failed half-way),
 *   ECONNRESET, ENOTCONN, EMSGSIZE (datagram too long; nothing was sent), ETIMEDOUT and
 *   EHOSTUNREACH (the system gave up a peer that gave no sign), ECONNREFUSED and ENETUNREACH
 *   (datagrams, as salut_sendto()).
 * When a stream fails after part of the data was taken, what arrived can't be known or taken
 * back: every later send fails with EPIPE. A failure before the first byte leaves it whole. */
SALUT_PUBLIC ssize_t salut_send(salut_sock *s, const void *data, size_t size);

/* Receives what is there, waiting only if nothing is. One receive is not one message: a stream
 * has no messages (see salut_recv_exactly). For datagrams: exactly one.
 * size: room in buffer, 1 to SSIZE_MAX bytes.
 * Result: 1 to size bytes; 0 when the peer will send no more (on datagrams: an empty one);
 *   or -1 and ECONNRESET (the peer broke off: every later receive says so too), ENOTCONN,
 *   ETIMEDOUT and EHOSTUNREACH (the system gave up a peer that gave no sign: every later one, too),
 *   EBUSY (another fiber is receiving), ECONNREFUSED (datagrams: nobody is there), EMSGSIZE
 *   (the datagram was longer than size: it is gone, buffer holds its beginning), EFAULT. */
SALUT_PUBLIC ssize_t salut_recv(salut_sock *s, void *buffer, size_t size);

/* The text that these bytes spell in UTF-8 (RFC 3629: no overlong form, no surrogate, nothing
 * above U+10FFFF). size: bytes, as salut_recv() returned it; negative keeps that failure.
 * Result: a new NUL-terminated string, to be given to free(); or NULL and EILSEQ (not UTF-8, or
 *   a NUL byte, which a C string can't hold; the sentence gives the byte and its offset). */
SALUT_PUBLIC char *salut_decode(const void *bytes, ssize_t size);

/* Sends what is gathered (salut_set_buffer), ends the conversation and frees the socket. A wait
 * of another fiber on it fails with ECANCELED. NULL is fine and does nothing. (As anywhere: when
 * received bytes were left unread, the system breaks the connection off, and the peer may lose
 * what was sent last.)
 * Result: 0, or -1 and EBADF (closed already), EPERM, or salut_send()'s errors when what was
 *   gathered could not be sent, or why a path that was bound could not be unlinked (EACCES): the
 *   socket is closed all the same. */
SALUT_PUBLIC int salut_close(salut_sock *s);

/* ---- One line instead of three ------------------------------------------------------------- */

/* Addresses as one string: "host:port", "[::1]:port", ":port" (a server: every interface; a
 * client: localhost), "unix:/path", "unix:@abstract", "udp:host:port"; for a server also
 * "systemd:" or "systemd:N", the first or Nth (from 0) listener that the service manager opened
 * and passed on (LISTEN_FDS, see sd_listen_fds(3)). */

/* socket, bind and listen. (udp: is bound, ready for salut_recvfrom().)
 * Result: the listener, or NULL with any errno of those three; EINVAL (not such an address);
 *   EPROTONOSUPPORT ("tls:host:port", which this build can't speak). */
SALUT_PUBLIC salut_sock *salut_create_server(const char *address);

/* socket and connect. Result: the conversation, or NULL with any errno of those two; EINVAL and
 * EPROTONOSUPPORT as above. */
SALUT_PUBLIC salut_sock *salut_create_connection(const char *address);

/* Two stream sockets connected to each other, as POSIX's socketpair().
 * Result: 0, or -1 with both set to NULL. */
SALUT_PUBLIC int salut_pair(salut_sock **a, salut_sock **b);

/* ---- Exactly, and a piece at a time -------------------------------------------------------- */

/* Receives exactly size bytes, however many pieces they come in. size: 1 to SSIZE_MAX.
 * Result: size; 0 when the peer ended cleanly before the first byte; or -1 and salut_recv()'s
 *   errors, EPROTO (it ended in the middle: the sentence says after how many bytes; they are in
 *   buffer), EOPNOTSUPP (datagrams). After ETIMEDOUT, EAGAIN or ECANCELED in the middle nothing
 *   is lost: what came is still there for the next receive. (Without memory to keep it: ENOMEM,
 *   from every later receive too; what came is in buffer.) */
SALUT_PUBLIC ssize_t salut_recv_exactly(salut_sock *s, void *buffer, size_t size);

/* Decodes UTF-8 that comes in pieces, never splitting a character between two: what
 * salut_decode() can't do. Start with `salut_decoder d = {0};`. */
typedef struct salut_decoder {
    unsigned char held[4]; /* the beginning of a character whose rest hasn't come */
    uint32_t held_size;
    uint64_t offset; /* bytes decoded so far, for the sentence */
} salut_decoder;

/* size: bytes, as salut_recv() returned it: negative keeps that failure, 0 is the end.
 * Result: the text of all characters complete so far, new, to be given to free(), perhaps "";
 *   or NULL and EILSEQ (as salut_decode(), and at the end: a character cut in the middle).
 *   After EILSEQ the decoder starts afresh. */
SALUT_PUBLIC char *salut_decoder_decode(salut_decoder *d, const void *bytes, ssize_t size);

/* ---- Lines and messages -------------------------------------------------------------------- */

/* Receives one line: the text up to a newline, without it and without a CR before it.
 * size: set to its length in bytes; may be NULL. A line can hold a NUL byte: size tells.
 * Result: the line, NUL-terminated, inside the socket's own memory: good until the next receive
 *   or close; or NULL with *size 0 and errno
 *     0          the peer is done, after a whole line (salut_failed() stays as it was);
 *     EPROTO     it ended in the middle of a line;
 *     EMSGSIZE   the line is longer than the limit (64 KiB unless salut_set_limit());
 *     EOPNOTSUPP the socket is for datagrams: each is a message already;
 *   or any of salut_recv()'s. After a failure nothing is lost: what came of the line is still
 *   there for salut_recv(), or for the same call again. */
SALUT_PUBLIC char *salut_recv_line(salut_sock *s, size_t *size);

/* Sends text and a newline, as one. (For protocols that want CR LF, end the text with "\r".)
 * Result: the text's length, or -1 and salut_send()'s errors, EINVAL (the text is NULL or holds
 *   a newline: it would be two lines; nothing was sent), EOPNOTSUPP (datagrams). */
SALUT_PUBLIC ssize_t salut_send_line(salut_sock *s, const char *text);

/* Receives one message as salut_send_message() sends it: its length in 4 bytes, big-endian, and
 * then so many bytes. A message keeps its borders, which a stream's bytes don't.
 * size: set to its length; may be NULL. A message can be empty.
 * Result: the message (not NUL-terminated), inside the socket's own memory: good until the next
 *   receive or close; or NULL with *size 0 and errno as for salut_recv_line(). EMSGSIZE: it
 *   announces more than the limit (16 MiB unless salut_set_limit()). Memory grows with what
 *   arrives, not with what is announced. */
SALUT_PUBLIC void *salut_recv_message(salut_sock *s, size_t *size);

/* Sends one message. Result: size, or -1 and salut_send()'s errors, EMSGSIZE (over the limit;
 * nothing was sent), EOPNOTSUPP (datagrams). */
SALUT_PUBLIC ssize_t salut_send_message(salut_sock *s, const void *data, size_t size);

/* The longest line or message on this socket, in bytes, at most 1 GiB; 0 is the default again.
 * Result: 0, or -1 and EINVAL. */
SALUT_PUBLIC int salut_set_limit(salut_sock *s, size_t bytes);

/* Lets sends gather: each is put in a buffer of so many bytes (at most 16 MiB; 0: no gathering,
 * the default) and the buffer is sent as one when it is full, when the thread next looks at the
 * network (at the latest when all its fibers wait), at salut_flush(), salut_shutdown() or
 * salut_close(). For many small messages this is a hundred times as fast. A failure that comes
 * after the send that it is about is told by the next send, by flush or by close. A program that
 * ends without close loses what is gathered. What an earlier buffer has gathered is sent first.
 * Result: 0, or -1 and EINVAL, EOPNOTSUPP (datagrams), EBUSY (another fiber is sending), or
 *   salut_flush()'s errors, with what was gathered kept as there. */
SALUT_PUBLIC int salut_set_buffer(salut_sock *s, size_t bytes);

/* Sends what is gathered, and waits until the system has taken it. Result: 0, or -1 and
 * salut_send()'s errors; after ETIMEDOUT, EAGAIN or ECANCELED the rest stays gathered. */
SALUT_PUBLIC int salut_flush(salut_sock *s);

/* ---- Datagrams ----------------------------------------------------------------------------- */

/* Sends one datagram. to: from salut_resolve(), salut_recvfrom() or salut_local().
 * Result: size, or -1 and EMSGSIZE (too long; nothing was sent), EINVAL (no address),
 *   EOPNOTSUPP (a stream), EAFNOSUPPORT (an IPv6 address and an IPv4 socket,
 *   or a Unix one), ENETUNREACH, EACCES (a broadcast), ECONNREFUSED and ENOENT (Unix:
 *   nobody is there), EPROTOTYPE (a path that is a stream's), EPIPE (after salut_shutdown()). */
SALUT_PUBLIC ssize_t salut_sendto(salut_sock *s, const void *data, size_t size,
                                  const salut_addr *to);

/* Receives one datagram. from: who sent it; may be NULL; all zeros on failure.
 * Result: its size (0: an empty datagram; or, from all zeros, none is there and this end was shut
 *   down for reading), or -1 and EMSGSIZE (longer than size: it is gone, never silently cut),
 *   EBUSY, EOPNOTSUPP (a stream), EINVAL (no address yet: bind first), ECONNREFUSED (what was sent
 *   came to nobody). */
SALUT_PUBLIC ssize_t salut_recvfrom(salut_sock *s, void *buffer, size_t size, salut_addr *from);

/* Looks a name up, off the thread, and fills addr with its first address, IPv4 before IPv6.
 * host: a name or a numeric address; port: 0 to 65535.
 * Result: 0, or -1 with addr all zeros and ENOENT (unknown name), EHOSTUNREACH (names can't be
 *   looked up just now), EINVAL (empty, over 253 bytes, or port out of range), ECANCELED. */
SALUT_PUBLIC int salut_resolve(salut_addr *addr, const char *host, int port);

/* ---- Who is there, and for how long -------------------------------------------------------- */

/* The address's host as text: "127.0.0.1", "::1", "fe80::1%eth0", a path, "@abstract"; "" if
 * there is none. An IPv4 client of a socket bound to every interface is shown as IPv4. Lives
 * inside addr. */
SALUT_PUBLIC const char *salut_addr_host(salut_addr *addr);

/* Its port; 0 if it has none. */
SALUT_PUBLIC int salut_addr_port(const salut_addr *addr);

/* This end's address and the other's. Result: 0, or -1 with addr all zeros and EINVAL (no
 * address yet), ENOTCONN (no peer). */
SALUT_PUBLIC int salut_local(salut_sock *s, salut_addr *addr);
SALUT_PUBLIC int salut_peer(salut_sock *s, salut_addr *addr);

/* The system's descriptor, for options this library has no word for. It stays the socket's:
 * don't close it. Result: the descriptor, or -1 and EBADF (none before bind or connect). */
SALUT_PUBLIC int salut_fd(salut_sock *s);

/* A socket around a descriptor opened elsewhere; it is made non-blocking and close-on-exec, and
 * is the socket's from then on. Result: the socket, or NULL and EBADF, ENOTSOCK,
 *   EPROTONOSUPPORT (a kind salut doesn't know); the descriptor is then still the caller's. */
SALUT_PUBLIC salut_sock *salut_from_fd(int fd);

/* How long each call on the socket may take as a whole, whatever it does inside. seconds:
 * negative is for ever (the default), 0 never waits (EAGAIN, also for looking a name up), else
 * at most so long (ETIMEDOUT).
 * Result: 0, or -1 and EINVAL (not a number). From Python's settimeout(). */
SALUT_PUBLIC int salut_settimeout(salut_sock *s, double seconds);

/* Says that this end is done: how is SHUT_WR (nothing more will be sent: the peer receives 0),
 * SHUT_RD (nothing more is waited for: when nothing is there, a receive gives 0) or SHUT_RDWR.
 * Result: 0, or -1 and ENOTCONN, EINVAL, or salut_send()'s errors when what is gathered
 *   (salut_set_buffer), which goes first, could not be sent: nothing has been said then. */
SALUT_PUBLIC int salut_shutdown(salut_sock *s, int how);

/* ---- Side by side -------------------------------------------------------------------------- */

/* A fiber: a function that runs beside others on one thread. A handle stays safe to use after
 * the fiber has ended. It need not be joined. */
typedef struct salut_fiber salut_fiber;

/* Starts function(argument) as a fiber; it first runs when the caller waits, joins or yields.
 * It has 64 KiB of stack: keep large buffers in malloc's memory. When main() returns, the
 * program ends with its fibers: join those that matter.
 * A fiber that always finds its data ready still lets the others run: after at most 64 calls
 * that reached the system and didn't have to wait, it yields by itself; and the network is looked
 * at after at most 64 switches. A fiber that only computes, or goes through what it has received
 * already, holds its thread: salut_yield() now and then.
 * Result: the fiber, or NULL and ENOMEM (no memory, or no more maps for stacks), EAGAIN (4
 *   million fibers on this thread). */
SALUT_PUBLIC salut_fiber *salut_go(void (*function)(void *argument), void *argument);

/* Waits until the fiber has ended. Any number may wait. Result: 0 (at once if it had ended), or
 * -1 and EDEADLK (itself), EINVAL (NULL), EPERM, ECANCELED. */
SALUT_PUBLIC int salut_join(salut_fiber *fiber);

/* Asks the fiber to end: its current wait and each later call that can wait fail with
 * ECANCELED, so that it can clean up and return. Result: 0 (also if it had ended), or -1 and
 * EINVAL (NULL), EPERM. */
SALUT_PUBLIC int salut_cancel(salut_fiber *fiber);

/* Waits so many seconds: 0 or less yields. Result: 0, or -1 and EINVAL (not a number),
 * ECANCELED. */
SALUT_PUBLIC int salut_sleep(double seconds);

/* Lets every other fiber that is ready run first. Result: 0, or -1 and ECANCELED. */
SALUT_PUBLIC int salut_yield(void);

/* ---- Between fibers and threads ------------------------------------------------------------ */

/* A channel: items of one size, in order, from any fiber to any other, on any thread. It is the
 * only thing of salut's that two threads may share. */
typedef struct salut_channel salut_channel;

/* A channel that holds up to `capacity` items of item_size bytes each (1 to 64 KiB; 1 GiB in
 * all). Result: the channel, to be given to salut_channel_free(); or NULL and EINVAL, ENOMEM. */
SALUT_PUBLIC salut_channel *salut_channel_create(size_t capacity, size_t item_size);

/* Copies the item in, waiting while the channel is full. Result: 0, or -1 and EPIPE (closed),
 * ECANCELED, ENOMEM; the item is then not in it. */
SALUT_PUBLIC int salut_channel_send(salut_channel *c, const void *item);

/* The same without waiting: EAGAIN when it is full. */
SALUT_PUBLIC int salut_channel_try_send(salut_channel *c, const void *item);

/* Copies the oldest item out, waiting while there is none. Result: 1; 0 when the channel is
 * closed and empty; or -1 and ECANCELED, ENOMEM. */
SALUT_PUBLIC int salut_channel_recv(salut_channel *c, void *item);

/* No more items: sends fail with EPIPE, receives go on until it is empty. Result: 0, or -1. */
SALUT_PUBLIC int salut_channel_close(salut_channel *c);

/* Frees it; nobody may be using it any more. NULL is fine. */
SALUT_PUBLIC void salut_channel_free(salut_channel *c);

/* ---- A server for many --------------------------------------------------------------------- */

/* How salut_serve() serves; 0 is the default of each. Begin with `salut_serve_options o = {0};`,
 * so that options of later versions are 0 too. */
typedef struct salut_serve_options {
    unsigned workers;         /* threads; default: one for each core this process may run on */
    unsigned connections_max; /* conversations at once; further clients wait in the backlog.
                                 Default: as many as there are descriptors */
    double idle_seconds;      /* for each call on a client's socket (salut_settimeout());
                                 default: for ever */
    double request_seconds;   /* for a whole conversation, against clients that drip: its calls
                                 fail with ETIMEDOUT from then on; default: for ever */
    double drain_seconds;     /* for conversations to end by themselves when stopping; default 5 */
    size_t stack_bytes;       /* of each handler's fiber; default 64 KiB */
    int leave_signals;        /* 1: SIGINT and SIGTERM keep doing what they did */
} salut_serve_options;

/* Serves until it is stopped: handler(client, argument) runs in a fiber for each client, on one
 * of the worker threads, and the socket is closed when it returns. The calling thread is the
 * first worker, and the one that accepts; each client goes to the worker that has the fewest, so
 * handlers of different clients run in parallel and share nothing but channels (with workers = 1
 * they only take turns).
 * options: NULL is all defaults.
 * SIGINT, SIGTERM and salut_stop() drain: the clients that wait in the backlog are still taken,
 * then no more; conversations have drain_seconds to end; what is left is canceled. A second
 * signal cancels at once. The listener stays the caller's, to be closed.
 * Result: 0 when all conversations had ended by themselves; or -1 and ETIMEDOUT (some were
 *   canceled: the sentence says how many), EAGAIN (not all worker threads could be started;
 *   nobody was served), EINVAL (not listening, an option makes no sense), ENOMEM, or what made
 *   accepting impossible. */
SALUT_PUBLIC int salut_serve(salut_sock *listener,
                             void (*handler)(salut_sock *client, void *argument), void *argument,
                             const salut_serve_options *options);

/* Stops the salut_serve() of this listener, as SIGTERM does. From any thread; it doesn't wait.
 * Result: 0, or -1 and EINVAL (nobody is serving it). */
SALUT_PUBLIC int salut_stop(salut_sock *listener);

/* ---- What went wrong ----------------------------------------------------------------------- */

/* The sentence of this fiber's last failure: what was being done, to what address, what went
 * wrong and, where known, what to try. "" if nothing has failed. Good until the next failure on
 * this fiber. Bytes that came from a peer are escaped in it. */
SALUT_PUBLIC const char *salut_error(void);

/* 1 if any word has failed on this fiber since it began or since salut_clear_error(), else 0. */
SALUT_PUBLIC int salut_failed(void);

/* If any word has failed on this fiber: prints the program's name and the sentence on standard
 * error and exits with status 1, as an uncaught exception does in Python. */
SALUT_PUBLIC void salut_check(void);

/* Forgets the failure: for one that was expected and dealt with. */
SALUT_PUBLIC void salut_clear_error(void);

/* The version of the library that runs, as SALUT_VERSION is of the one compiled against. */
SALUT_PUBLIC const char *salut_version(void);

#ifdef __cplusplus
}
#endif
#endif
