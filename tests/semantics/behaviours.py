"""What Python's sockets do: a line "name: outcome" for each behaviour, as behaviours.c prints for
ours. The two files have the same behaviours in the same order; test_semantics.py compares them.

An outcome is what the calls that matter returned, in their order: a number, "5 hello" for bytes
that came, or the name of an error.
"""
import contextlib
import errno
import os
import select
import signal
import socket
import struct
import threading
from socket import AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET

BRIEFLY = 0.05  # for a wait that is meant to end in vain
HOST = "127.0.0.1"
MEBIBYTE = 1 << 20
NO_DESCRIPTOR = 99999

behaviours = []
outcomes = []
opened = []  # closed after each behaviour


def behaviour(function):
    behaviours.append(function)
    return function


# ---- What happened -----------------------------------------------------------------------------

def name_of(error):
    if isinstance(error, TimeoutError) and error.errno is None:
        return "ETIMEDOUT"
    if isinstance(error, UnicodeDecodeError):
        return "EILSEQ"
    if isinstance(error, (ValueError, OverflowError)):
        return "EINVAL"
    if isinstance(error, socket.gaierror):
        return next(name for name in dir(socket)
                    if name.startswith("EAI_") and getattr(socket, name) == error.errno)
    if error.errno is None:
        return type(error).__name__
    name = errno.errorcode[error.errno]
    return "EOPNOTSUPP" if name == "ENOTSUP" else name


def tell(call, *arguments):
    """Calls, and notes the outcome."""
    try:
        result = call(*arguments)
    except (OSError, ValueError, OverflowError) as error:
        result = name_of(error)
    if isinstance(result, bytes):
        result = f"{len(result)} {result.decode()}".strip()
    outcomes.append("0" if result is None else str(result))


def tell_only_failure(call, *arguments):
    """The same when the result is a socket, an address or so: "0" is all there is to say."""
    def without_result():
        call(*arguments)
    tell(without_result)


# ---- Ends of conversations ---------------------------------------------------------------------

def keep(s):
    opened.append(s)
    return s


def new(family=AF_INET, kind=SOCK_STREAM):
    return keep(socket.socket(family, kind))


def udp():
    return new(kind=SOCK_DGRAM)


def bound(s, address=(HOST, 0)):
    s.bind(address)
    return s


def listener(backlog=8):
    s = bound(new())
    s.listen(backlog)
    return s


def pair():
    """Two ends of a TCP connection: the one that connected, the one that was accepted."""
    server = listener()
    client = new()
    client.connect(server.getsockname())
    return client, keep(server.accept()[0])


def narrow_pair():
    """The same with small buffers, whatever this system's are."""
    client, server = pair()
    client.setsockopt(SOL_SOCKET, socket.SO_SNDBUF, 65536)
    server.setsockopt(SOL_SOCKET, socket.SO_RCVBUF, 65536)
    return client, server


def nobody():
    """An address where nobody listens, though the port is taken."""
    return bound(new()).getsockname()


def wait_for(s, events):
    poll = select.poll()
    poll.register(s, events)
    if not poll.poll(60_000):
        raise AssertionError("the event did not come")


def count_all(s):
    """How many bytes come until the end."""
    count = 0
    while data := s.recv(4096):
        count += len(data)
    return count


def reset(s):
    """Closes so that the peer is told off instead of told goodbye."""
    s.setsockopt(SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def fill(s):
    """Connects to it until that fails, and notes how."""
    for _ in range(16):
        client = new(s.family)
        client.settimeout(BRIEFLY)
        try:
            client.connect(s.getsockname())
        except OSError as error:
            outcomes.append(name_of(error))
            return


# ---- Time --------------------------------------------------------------------------------------

@behaviour
def recv_times_out():
    client, _ = pair()
    client.settimeout(BRIEFLY)
    tell(client.recv, 10)


@behaviour
def recvfrom_times_out():
    s = bound(udp())
    s.settimeout(BRIEFLY)
    tell_only_failure(s.recvfrom, 10)


@behaviour
def accept_times_out():
    s = listener()
    s.settimeout(BRIEFLY)
    tell_only_failure(s.accept)


@behaviour
def connect_times_out_when_the_backlog_is_full():
    fill(listener(1))


@behaviour
def recv_at_timeout_0():
    client, _ = pair()
    client.settimeout(0)
    tell(client.recv, 10)


@behaviour
def recv_at_timeout_0_when_bytes_are_there():
    client, server = pair()
    server.sendall(b"hello")
    wait_for(client, select.POLLIN)
    client.settimeout(0)
    tell(client.recv, 10)
    tell(client.recv, 10)


@behaviour
def accept_at_timeout_0():
    s = listener()
    s.settimeout(0)
    tell_only_failure(s.accept)


@behaviour
def connect_at_timeout_0():
    client = new()
    client.settimeout(0)
    tell(client.connect, listener().getsockname())


@behaviour
def connect_at_timeout_0_and_again_with_time():
    client = new()
    address = listener().getsockname()
    client.settimeout(0)
    tell(client.connect, address)
    client.settimeout(60)
    tell(client.connect, address)


@behaviour
def send_at_timeout_0_while_there_is_no_room_and_again_when_there_is():
    a, b = map(keep, socket.socketpair())
    a.settimeout(0)
    b.settimeout(0)
    sent = 0
    try:
        while True:
            sent += a.send(bytes(1024))
    except OSError as error:
        outcomes.append(name_of(error))
    while sent:
        sent -= len(b.recv(1024))
    tell(a.send, b"x")


@behaviour
def send_again_after_a_timeout_in_the_middle():
    client, _ = narrow_pair()
    client.settimeout(BRIEFLY)
    tell(client.sendall, bytes(8 * MEBIBYTE))
    tell(client.send, b"x")


@behaviour
def send_a_lot_with_a_timeout_to_one_who_reads_when_there_is_no_more_room():
    client, _ = narrow_pair()
    client.settimeout(60)
    tell(lambda: "all" if client.send(bytes(8 * MEBIBYTE)) == 8 * MEBIBYTE else "a part")
    # only now would the peer read


@behaviour
def settimeout_negative():
    tell(new().settimeout, -1)


@behaviour
def settimeout_not_a_number():
    tell(new().settimeout, float("nan"))


@behaviour
def accepted_socket_has_no_timeout_though_the_listener_has():
    server = listener()
    server.settimeout(BRIEFLY)
    client = new()
    client.connect(server.getsockname())
    accepted = keep(server.accept()[0])
    late = threading.Timer(3 * BRIEFLY, client.send, [b"late"])
    late.start()
    tell(accepted.recv, 10)
    late.join()


# ---- The end of a conversation -----------------------------------------------------------------

@behaviour
def recv_a_part():
    client, server = pair()
    server.sendall(b"hello")
    tell(client.recv, 2)
    tell(client.recv, 10)


@behaviour
def recv_after_the_peer_closed():
    client, server = pair()
    server.sendall(b"hello")
    server.close()
    tell(client.recv, 10)
    tell(client.recv, 10)
    tell(client.recv, 10)


@behaviour
def recv_after_a_reset():
    client, server = pair()
    reset(server)
    tell(client.recv, 10)
    tell(client.recv, 10)


@behaviour
def recv_after_bytes_and_a_reset():
    client, server = pair()
    server.sendall(b"hello")
    wait_for(client, select.POLLIN)
    reset(server)
    wait_for(client, select.POLLERR)
    tell(client.recv, 10)
    tell(client.recv, 10)


@behaviour
def send_after_a_reset():
    client, server = pair()
    reset(server)
    wait_for(client, select.POLLERR)
    tell(client.send, b"x")
    tell(client.send, b"x")


@behaviour
def send_and_then_recv_after_a_reset():
    client, server = pair()
    reset(server)
    wait_for(client, select.POLLERR)
    tell(client.send, b"x")
    tell(client.recv, 10)


@behaviour
def recv_and_then_send_after_a_reset():
    client, server = pair()
    reset(server)
    wait_for(client, select.POLLERR)
    tell(client.recv, 10)
    tell(client.send, b"x")
    tell(client.send, b"x")


@behaviour
def shutdown_after_a_reset():
    client, server = pair()
    reset(server)
    wait_for(client, select.POLLERR)
    tell(client.shutdown, socket.SHUT_WR)


@behaviour
def send_after_the_peer_closed():
    client, server = pair()
    server.close()
    wait_for(client, select.POLLIN)
    tell(client.send, b"x")
    wait_for(client, select.POLLERR)
    tell(client.send, b"x")


@behaviour
def recv_after_a_send_that_the_peer_had_closed_to():
    client, server = pair()
    server.close()
    wait_for(client, select.POLLIN)
    tell(client.send, b"x")
    wait_for(client, select.POLLERR)
    tell(client.recv, 10)
    tell(client.send, b"x")
    tell(client.recv, 10)


@behaviour
def send_to_the_gone_raises_no_signal():
    client, server = pair()
    client.shutdown(socket.SHUT_WR)
    tell(client.send, b"x")
    outcomes.append(signal.getsignal(signal.SIGPIPE).name)


@behaviour
def recv_after_the_peer_closed_with_bytes_unread():
    client, server = pair()
    client.sendall(b"unread")
    wait_for(server, select.POLLIN)
    server.close()
    tell(client.recv, 10)


@behaviour
def send_after_the_peer_closed_with_bytes_unread():
    client, server = pair()
    client.sendall(b"unread")
    wait_for(server, select.POLLIN)
    server.close()
    wait_for(client, select.POLLERR)
    tell(client.send, b"x")
    tell(client.send, b"x")


@behaviour
def send_a_lot_to_one_who_breaks_off():
    client, server = narrow_pair()
    late = threading.Timer(BRIEFLY, reset, [server])
    late.start()
    tell(client.sendall, bytes(8 * MEBIBYTE))
    tell(client.send, b"x")
    tell(client.recv, 10)
    late.join()


@behaviour
def close_with_bytes_on_their_way():
    client, server = narrow_pair()
    client.sendall(bytes(32 * 1024))
    client.close()
    tell(count_all, server)


@behaviour
def half_close_with_bytes_on_their_way():
    client, server = narrow_pair()
    client.sendall(bytes(32 * 1024))
    tell(client.shutdown, socket.SHUT_WR)
    tell(count_all, server)
    tell(server.send, b"late")
    tell(client.recv, 10)


@behaviour
def accept_a_client_that_is_gone():
    server = listener()
    client = new()
    client.connect(server.getsockname())
    reset(client)
    accepted = keep(server.accept()[0])
    tell(accepted.recv, 10)


@behaviour
def accept_a_client_that_has_said_goodbye():
    server = listener()
    client = new()
    client.connect(server.getsockname())
    client.sendall(b"hello")
    client.close()
    accepted = keep(server.accept()[0])
    tell(accepted.recv, 10)
    tell(accepted.recv, 10)


@behaviour
def recv_after_the_listener_closed_before_it_accepted():
    server = listener()
    client = new()
    client.connect(server.getsockname())
    server.close()
    tell(client.recv, 10)


@behaviour
def conversation_goes_on_when_the_listener_closes():
    server = listener()
    client = new()
    client.connect(server.getsockname())
    accepted = keep(server.accept()[0])
    server.close()
    tell(client.send, b"hello")
    tell(accepted.recv, 10)


@behaviour
def half_close_and_still_receive():
    client, server = pair()
    tell(client.shutdown, socket.SHUT_WR)
    tell(server.recv, 10)
    tell(server.send, b"late")
    tell(client.recv, 10)


@behaviour
def half_close_of_both_ends():
    client, server = pair()
    tell(client.shutdown, socket.SHUT_WR)
    tell(server.shutdown, socket.SHUT_WR)
    tell(client.recv, 10)
    tell(server.recv, 10)
    tell(client.send, b"x")


@behaviour
def shutdown_after_both_ends_are_closed():
    client, server = pair()
    client.shutdown(socket.SHUT_WR)
    server.shutdown(socket.SHUT_WR)
    wait_for(client, select.POLLIN)
    tell(server.shutdown, socket.SHUT_RDWR)


@behaviour
def send_after_half_close():
    client, _ = pair()
    client.shutdown(socket.SHUT_WR)
    tell(client.send, b"x")


@behaviour
def recv_after_shutting_down_reading():
    client, server = pair()
    tell(client.shutdown, socket.SHUT_RD)
    tell(client.recv, 10)
    tell(server.send, b"x")


@behaviour
def shutdown_both_ways():
    client, server = pair()
    tell(client.shutdown, socket.SHUT_RDWR)
    tell(client.recv, 10)
    tell(client.send, b"x")
    tell(server.recv, 10)


@behaviour
def shutdown_twice():
    client, _ = pair()
    tell(client.shutdown, socket.SHUT_WR)
    tell(client.shutdown, socket.SHUT_WR)


@behaviour
def shutdown_unconnected():
    tell(new().shutdown, socket.SHUT_RDWR)


@behaviour
def shutdown_of_a_listener():
    tell(listener().shutdown, socket.SHUT_RDWR)


@behaviour
def shutdown_in_no_direction():
    client, _ = pair()
    tell(client.shutdown, 7)


@behaviour
def recv_0_bytes():
    client, server = pair()
    server.sendall(b"hello")
    wait_for(client, select.POLLIN)
    tell(client.recv, 0)


@behaviour
def send_0_bytes():
    client, _ = pair()
    tell(client.send, b"")


@behaviour
def recv_unconnected():
    tell(new().recv, 10)


@behaviour
def send_unconnected():
    tell(new().send, b"x")


@behaviour
def recv_on_a_listener():
    tell(listener().recv, 10)


# ---- Beginning one -----------------------------------------------------------------------------

@behaviour
def connect_where_nobody_listens_and_then_where_somebody_does():
    client = new()
    tell(client.connect, nobody())
    tell(client.connect, listener().getsockname())


@behaviour
def connect_when_the_listener_has_closed():
    server = listener()
    address = server.getsockname()
    server.close()
    tell(new().connect, address)


@behaviour
def connect_a_bound_socket_where_nobody_listens_and_then_where_somebody_does():
    client = bound(new())
    port = client.getsockname()[1]
    tell(client.connect, nobody())
    tell(client.connect, listener().getsockname())
    tell(lambda: int(client.getsockname()[1] == port))


@behaviour
def connect_twice():
    client, _ = pair()
    tell(client.connect, listener().getsockname())


@behaviour
def connect_a_listener():
    tell(listener().connect, listener().getsockname())


@behaviour
def connect_by_ipv6_where_only_ipv4_is_heard():
    tell(new(AF_INET6).connect, ("::1", listener().getsockname()[1]))


@behaviour
def connect_by_ipv4_where_only_ipv6_is_heard():
    server = bound(new(AF_INET6), ("::1", 0))
    server.listen()
    tell(new().connect, (HOST, server.getsockname()[1]))


@behaviour
def connect_to_a_mapped_address():
    client = new(AF_INET6)
    tell(client.connect, ("::ffff:127.0.0.1", listener().getsockname()[1]))
    tell(lambda: client.getpeername()[0])


@behaviour
def connect_to_any_address():
    client = new()
    tell(client.connect, ("0.0.0.0", listener().getsockname()[1]))
    tell(lambda: client.getpeername()[0])


@behaviour
def connect_to_a_broadcast_address():
    tell(new().connect, ("127.255.255.255", listener().getsockname()[1]))


@behaviour
def clients_that_wait_in_a_backlog_of_1():
    server = listener(1)
    count = 0
    try:
        while True:
            client = new()
            client.settimeout(BRIEFLY)
            client.connect(server.getsockname())
            count += 1
    except TimeoutError:
        tell(lambda: count)


@behaviour
def clients_are_accepted_in_the_order_they_came():
    server = listener()
    for text in (b"a", b"b", b"c"):
        client = new()
        client.connect(server.getsockname())
        client.sendall(text)
    for _ in range(3):
        tell(keep(server.accept()[0]).recv, 10)


@behaviour
def connect_to_port_0():
    tell(new().connect, (HOST, 0))


@behaviour
def connect_to_port_65536():
    tell(new().connect, (HOST, 65536))


@behaviour
def connect_to_no_host():
    tell(new().connect, ("", listener().getsockname()[1]))


@behaviour
def bind_twice():
    tell(bound(new()).bind, (HOST, 0))


@behaviour
def bind_where_somebody_listens():
    tell(new().bind, listener().getsockname())


@behaviour
def bind_where_somebody_is_who_does_not_listen():
    tell(new().bind, nobody())


@behaviour
def bind_to_every_interface_where_somebody_listens():
    tell(new().bind, ("", listener().getsockname()[1]))


@behaviour
def bind_where_somebody_listens_to_every_interface():
    server = keep(socket.create_server(("", 0), family=AF_INET6, dualstack_ipv6=True))
    tell(new().bind, (HOST, server.getsockname()[1]))


@behaviour
def bind_to_ipv6_where_somebody_listens_by_ipv4():
    tell(new(AF_INET6).bind, ("::1", listener().getsockname()[1]))


@behaviour
def bind_to_every_ipv4_interface_where_somebody_listens_by_ipv6():
    server = bound(new(AF_INET6), ("::1", 0))
    server.listen()
    tell(new().bind, ("0.0.0.0", server.getsockname()[1]))


@behaviour
def bind_for_datagrams_where_somebody_listens():
    tell(udp().bind, listener().getsockname())


@behaviour
def bind_for_datagrams_where_somebody_is():
    tell(udp().bind, bound(udp()).getsockname())


@behaviour
def bind_to_an_address_of_another_machine():
    tell(new().bind, ("192.0.2.1", 0))


@behaviour
def bind_to_an_ipv6_address_of_another_machine():
    tell(new(AF_INET6).bind, ("2001:db8::1", 0))


@behaviour
def bind_when_connected():
    client, _ = pair()
    tell(client.bind, (HOST, 0))


@behaviour
def bind_to_port_65536():
    tell(new().bind, (HOST, 65536))


@behaviour
def bind_while_the_port_is_in_time_wait():
    server = listener()
    address = server.getsockname()
    client = new()
    client.connect(address)
    accepted = keep(server.accept()[0])
    accepted.close()  # who closes first keeps the port busy
    tell(client.recv, 10)
    client.close()
    server.close()
    tell(new().bind, address)


@behaviour
def bind_to_localhost():
    tell(bound(new(), ("localhost", 0)).getsockname().__getitem__, 0)


@behaviour
def bind_to_every_interface():
    tell(bound(new(), ("", 0)).getsockname().__getitem__, 0)


@behaviour
def listen_without_bind():
    s = new()
    tell(s.listen, 1)
    tell(s.getsockname().__getitem__, 0)


@behaviour
def listen_after_a_bind_that_failed():
    s = new()
    tell(s.bind, listener().getsockname())
    tell(s.listen, 1)


@behaviour
def listen_twice():
    s = listener()
    tell(s.listen, 1)


@behaviour
def listen_where_another_came_first():
    first, second = new(), new()
    for s in first, second:
        s.setsockopt(SOL_SOCKET, socket.SO_REUSEADDR, 1)
    second.bind(bound(first).getsockname())
    tell(first.listen, 1)
    tell(second.listen, 1)


@behaviour
def listen_when_connected():
    client, _ = pair()
    tell(client.listen, 1)


@behaviour
def listen_for_datagrams():
    tell(bound(udp()).listen, 1)


@behaviour
def accept_without_listen():
    tell_only_failure(bound(new()).accept)


# ---- Datagrams ---------------------------------------------------------------------------------

@behaviour
def datagram_to_oneself():
    s = bound(udp())
    tell(s.sendto, b"hello", s.getsockname())
    tell(lambda: s.recvfrom(10)[0])


@behaviour
def empty_datagram():
    s = bound(udp())
    tell(s.sendto, b"", s.getsockname())
    tell(lambda: s.recvfrom(10)[0])


@behaviour
def empty_datagram_on_a_connected_socket():
    peer, s = bound(udp()), bound(udp())
    s.connect(peer.getsockname())
    tell(s.send, b"")
    tell(s.send, b"next")
    tell(peer.recv, 10)
    tell(peer.recv, 10)


@behaviour
def datagram_longer_than_the_buffer_and_the_one_after_it():
    s = bound(udp())
    s.sendto(b"hello", s.getsockname())
    s.sendto(b"next", s.getsockname())
    tell(s.recv, 4)
    tell(s.recv, 4)


@behaviour
def datagrams_come_in_the_order_they_were_sent():
    s, other = bound(udp()), udp()
    for text in (b"a", b"b", b"c", b"d", b"e"):
        other.sendto(text, s.getsockname())
    for _ in range(5):
        tell(s.recv, 10)


@behaviour
def largest_udp_datagram_and_one_byte_more():
    s = bound(udp())
    tell(s.sendto, bytes(65507), s.getsockname())
    tell(s.sendto, bytes(65508), s.getsockname())


@behaviour
def largest_udp_datagram_by_ipv6_and_one_byte_more():
    s = bound(new(AF_INET6, SOCK_DGRAM), ("::1", 0))
    tell(s.sendto, bytes(65527), s.getsockname())
    tell(s.sendto, bytes(65528), s.getsockname())


@behaviour
def udp_connected_where_nobody_is():
    nowhere = bound(udp())
    nowhere.connect(nowhere.getsockname())  # from now on it hears only itself
    s = udp()
    s.settimeout(60)
    tell(s.connect, nowhere.getsockname())
    tell(s.send, b"x")
    tell(s.recv, 10)
    tell(s.send, b"x")


@behaviour
def udp_unconnected_hears_of_no_refusal():
    nowhere, s = bound(udp()), bound(udp())
    nowhere.connect(nowhere.getsockname())
    s.settimeout(BRIEFLY)
    tell(s.sendto, b"x", nowhere.getsockname())
    tell(s.sendto, b"x", nowhere.getsockname())
    tell(s.recv, 10)


@behaviour
def udp_refusal_is_told_once():
    nowhere, s = bound(udp()), udp()
    nowhere.connect(nowhere.getsockname())
    s.connect(nowhere.getsockname())
    tell(s.send, b"x")
    wait_for(s, select.POLLERR)
    tell(s.send, b"x")
    s.settimeout(BRIEFLY)
    tell(s.recv, 10)


@behaviour
def udp_connected_twice():
    one, other, s = bound(udp()), bound(udp()), udp()
    tell(s.connect, one.getsockname())
    tell(s.connect, other.getsockname())
    s.send(b"hello")
    tell(other.recv, 10)


@behaviour
def udp_connected_hears_only_its_peer():
    peer, stranger, s = bound(udp()), bound(udp()), bound(udp())
    s.settimeout(60)
    s.connect(peer.getsockname())
    stranger.sendto(b"stranger", s.getsockname())
    peer.sendto(b"peer", s.getsockname())
    tell(s.recv, 10)


@behaviour
def udp_connected_sends_elsewhere():
    peer, other, s = bound(udp()), bound(udp()), udp()
    s.connect(peer.getsockname())
    tell(s.sendto, b"x", other.getsockname())


@behaviour
def udp_to_port_0():
    tell(udp().sendto, b"x", (HOST, 0))


@behaviour
def udp_shutdown_unconnected():
    tell(bound(udp()).shutdown, socket.SHUT_WR)


@behaviour
def udp_send_after_half_close():
    s = udp()
    s.connect(bound(udp()).getsockname())
    tell(s.shutdown, socket.SHUT_WR)
    tell(s.send, b"x")


@behaviour
def udp_recv_after_shutting_down_reading():
    s = udp()
    s.connect(bound(udp()).getsockname())
    tell(s.shutdown, socket.SHUT_RD)
    s.settimeout(BRIEFLY)
    tell(s.recv, 10)


@behaviour
def udp_send_unconnected():
    tell(udp().send, b"x")


@behaviour
def udp_recv_unbound():
    s = udp()
    s.settimeout(BRIEFLY)
    tell(s.recv, 10)


@behaviour
def udp_own_name_of_one_who_has_sent():
    s = udp()
    s.sendto(b"x", bound(udp()).getsockname())
    tell(lambda: s.getsockname()[0])
    tell(lambda: int(s.getsockname()[1] > 0))


@behaviour
def udp_own_name_of_one_who_is_connected():
    s = udp()
    s.connect(bound(udp()).getsockname())
    tell(lambda: s.getsockname()[0])
    tell(lambda: s.getpeername()[0])


@behaviour
def udp_by_ipv4_at_a_socket_of_both_families():
    s = new(AF_INET6, SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("", 0))
    tell(udp().sendto, b"hello", (HOST, s.getsockname()[1]))
    data, source = s.recvfrom(10)
    tell(lambda: data)
    tell(lambda: source[0])
    tell(s.sendto, b"back", source)


@behaviour
def udp_to_ipv6_from_ipv4():
    tell(bound(udp()).sendto, b"x", ("::1", 9))


@behaviour
def udp_to_a_mapped_address_from_one_who_speaks_only_ipv6():
    s = new(AF_INET6, SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("::1", 0))
    tell(s.sendto, b"x", ("::ffff:127.0.0.1", 9))


@behaviour
def udp_broadcast_without_leave():
    tell(udp().sendto, b"x", ("127.255.255.255", 9))


@behaviour
def recvfrom_on_a_stream():
    client, server = pair()
    server.sendall(b"hello")
    tell(lambda: client.recvfrom(10)[0])


@behaviour
def sendto_on_a_stream():
    client, server = pair()
    tell(client.sendto, b"hello", server.getsockname())


# ---- Unix --------------------------------------------------------------------------------------

def leave_behind(path, kind=SOCK_STREAM):
    """A socket's file whose program is gone."""
    bound(new(AF_UNIX, kind), path).close()


@behaviour
def unix_connect_where_there_is_no_file():
    tell(new(AF_UNIX).connect, "missing")


@behaviour
def unix_connect_to_a_plain_file():
    with open("plain", "wb"):
        tell(new(AF_UNIX).connect, "plain")
    os.unlink("plain")


@behaviour
def unix_connect_to_what_a_program_left_behind():
    leave_behind("stale")
    tell(new(AF_UNIX).connect, "stale")
    os.unlink("stale")


@behaviour
def unix_connect_to_one_who_does_not_listen():
    bound(new(AF_UNIX), "bound")
    tell(new(AF_UNIX).connect, "bound")
    os.unlink("bound")


@behaviour
def unix_connect_to_a_socket_for_datagrams():
    bound(new(AF_UNIX, SOCK_DGRAM), "datagrams")
    tell(new(AF_UNIX).connect, "datagrams")
    os.unlink("datagrams")


@behaviour
def unix_connect_to_an_abstract_name_that_nobody_has():
    tell(new(AF_UNIX).connect, "\0salut-semantics-nobody")


@behaviour
def unix_connect_twice():
    client = new(AF_UNIX)
    bound(new(AF_UNIX), "path").listen()
    tell(client.connect, "path")
    tell(client.connect, "path")
    os.unlink("path")


@behaviour
def unix_names_of_both_ends():
    server = bound(new(AF_UNIX), "path")
    server.listen()
    client = new(AF_UNIX)
    client.connect("path")
    accepted = keep(server.accept()[0])
    for call in (client.getsockname, client.getpeername,
                 accepted.getsockname, accepted.getpeername):
        tell(lambda call=call: repr(call()))
    os.unlink("path")


@behaviour
def unix_recv_after_the_listener_closed_before_it_accepted():
    server = bound(new(AF_UNIX), "path")
    server.listen()
    client = new(AF_UNIX)
    client.connect("path")
    server.close()
    tell(client.recv, 10)
    os.unlink("path")


@behaviour
def unix_recv_and_send_after_the_peer_closed():
    client, server = map(keep, socket.socketpair())
    server.sendall(b"hello")
    server.close()
    tell(client.send, b"x")
    tell(client.recv, 10)
    tell(client.recv, 10)


@behaviour
def unix_recv_after_the_peer_closed_with_bytes_unread():
    client, server = map(keep, socket.socketpair())
    client.sendall(b"unread")
    server.close()
    tell(client.recv, 10)


@behaviour
def unix_send_after_the_peer_closed_with_bytes_unread():
    client, server = map(keep, socket.socketpair())
    client.sendall(b"unread")
    server.close()
    tell(client.send, b"x")
    tell(client.send, b"x")


@behaviour
def unix_recv_bytes_after_the_peer_closed_with_bytes_unread():
    client, server = map(keep, socket.socketpair())
    client.sendall(b"unread")
    server.sendall(b"hello")
    server.close()
    tell(client.recv, 10)
    tell(client.recv, 10)


@behaviour
def unix_half_close_and_still_receive():
    client, server = map(keep, socket.socketpair())
    tell(client.shutdown, socket.SHUT_WR)
    tell(server.recv, 10)
    tell(server.send, b"late")
    tell(client.recv, 10)
    tell(client.send, b"x")


@behaviour
def unix_send_to_one_who_shut_down_reading():
    client, server = map(keep, socket.socketpair())
    tell(client.shutdown, socket.SHUT_RD)
    tell(client.recv, 10)
    tell(server.send, b"x")
    tell(client.send, b"back")
    tell(server.recv, 10)


@behaviour
def unix_shutdown_after_the_peer_closed():
    client, server = map(keep, socket.socketpair())
    server.close()
    tell(client.shutdown, socket.SHUT_WR)


@behaviour
def unix_send_and_recv_unconnected():
    tell(new(AF_UNIX).send, b"x")
    tell(new(AF_UNIX).recv, 10)


@behaviour
def unix_bind_to_what_a_program_left_behind():
    leave_behind("stale")
    tell(new(AF_UNIX).bind, "stale")
    os.unlink("stale")


@behaviour
def unix_bind_to_a_path_in_use():
    bound(new(AF_UNIX), "used").listen()
    tell(new(AF_UNIX).bind, "used")
    os.unlink("used")


@behaviour
def unix_bind_to_an_abstract_name_in_use():
    name = f"\0salut-semantics-{os.getpid()}"
    bound(new(AF_UNIX), name).listen()
    tell(new(AF_UNIX).bind, name)


@behaviour
def unix_bind_where_there_is_no_directory():
    tell(new(AF_UNIX).bind, "missing/s")


@behaviour
def unix_path_of_107_and_of_108_bytes():
    tell(new(AF_UNIX).bind, "x" * 107)
    tell(new(AF_UNIX).bind, "x" * 108)
    os.unlink("x" * 107)


@behaviour
def unix_close_unlinks_the_path():
    bound(new(AF_UNIX), "path").close()
    outcomes.append("there" if os.path.exists("path") else "gone")
    if os.path.exists("path"):
        os.unlink("path")


@behaviour
def unix_abstract_name():
    server = bound(new(AF_UNIX), f"\0salut-semantics-{os.getpid()}")
    server.listen()
    client = new(AF_UNIX)
    tell(client.connect, server.getsockname())
    accepted, peer = server.accept()
    keep(accepted).sendall(b"hello")
    tell(client.recv, 10)
    tell(lambda: repr(peer))


@behaviour
def unix_connect_times_out_when_the_backlog_is_full():
    server = bound(new(AF_UNIX), "full")
    server.listen(1)
    fill(server)
    os.unlink("full")


@behaviour
def unix_datagram_where_there_is_no_file_and_to_one_left_behind():
    s = new(AF_UNIX, SOCK_DGRAM)
    tell(s.sendto, b"x", "missing")
    leave_behind("stale", SOCK_DGRAM)
    tell(s.sendto, b"x", "stale")
    os.unlink("stale")


@behaviour
def unix_datagram_to_one_who_never_reads():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "slow")
    s = new(AF_UNIX, SOCK_DGRAM)
    s.settimeout(BRIEFLY)
    try:
        while True:
            s.sendto(b"x", receiver.getsockname())
    except OSError as error:
        outcomes.append(name_of(error))
    os.unlink("slow")


@behaviour
def unix_datagram_to_one_who_reads_late():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "slow")
    s = new(AF_UNIX, SOCK_DGRAM)
    s.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            s.sendto(b"x", "slow")
    late = threading.Timer(BRIEFLY, receiver.recv, [10])
    late.start()
    s.settimeout(60)
    tell(s.sendto, b"x", "slow")
    late.join()
    os.unlink("slow")


@behaviour
def unix_datagram_to_ones_peer_who_reads_late():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "slow")
    s = new(AF_UNIX, SOCK_DGRAM)
    s.connect("slow")
    s.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            s.send(b"x")
    late = threading.Timer(BRIEFLY, receiver.recv, [10])
    late.start()
    s.settimeout(60)
    tell(s.send, b"x")
    late.join()
    os.unlink("slow")


@behaviour
def unix_datagram_to_one_who_is_gone():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "gone")
    s = new(AF_UNIX, SOCK_DGRAM)
    s.connect("gone")
    tell(s.send, b"x")
    receiver.close()
    tell(s.send, b"x")
    tell(s.send, b"x")
    os.unlink("gone")


@behaviour
def unix_datagram_shutdown_when_the_peer_is_gone():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "gone")
    s = new(AF_UNIX, SOCK_DGRAM)
    s.connect("gone")
    receiver.close()
    tell(s.send, b"x")
    tell(s.shutdown, socket.SHUT_RDWR)
    tell(s.send, b"x")
    tell(s.recv, 10)
    os.unlink("gone")


@behaviour
def unix_datagram_to_ones_peer_who_shut_down_reading():
    a, b = bound(new(AF_UNIX, SOCK_DGRAM), "a"), bound(new(AF_UNIX, SOCK_DGRAM), "b")
    a.connect("b")
    b.connect("a")
    tell(a.send, b"one")
    tell(b.shutdown, socket.SHUT_RD)
    tell(a.send, b"two")
    tell(b.recv, 10)
    tell(b.recv, 10)
    os.unlink("a")
    os.unlink("b")


@behaviour
def unix_datagram_to_a_stream():
    bound(new(AF_UNIX), "stream").listen()
    s = new(AF_UNIX, SOCK_DGRAM)
    tell(s.sendto, b"x", "stream")
    tell(s.connect, "stream")
    os.unlink("stream")


@behaviour
def unix_datagram_to_one_who_is_connected_elsewhere():
    peer = bound(new(AF_UNIX, SOCK_DGRAM), "peer")
    s = bound(new(AF_UNIX, SOCK_DGRAM), "connected")
    stranger = new(AF_UNIX, SOCK_DGRAM)
    s.connect("peer")
    tell(stranger.sendto, b"x", "connected")
    tell(peer.sendto, b"x", "connected")
    tell(stranger.connect, "connected")
    os.unlink("peer")
    os.unlink("connected")


@behaviour
def unix_datagram_that_is_empty_and_one_longer_than_the_buffer():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "path")
    s = new(AF_UNIX, SOCK_DGRAM)
    tell(s.sendto, b"", "path")
    tell(s.sendto, b"hello", "path")
    tell(s.sendto, b"next", "path")
    for _ in range(3):
        tell(lambda: receiver.recvfrom(4)[0])
    os.unlink("path")


@behaviour
def unix_datagram_of_64_kib_and_of_8_mib():
    bound(new(AF_UNIX, SOCK_DGRAM), "path")
    s = new(AF_UNIX, SOCK_DGRAM)
    tell(s.sendto, bytes(65536), "path")
    tell(s.sendto, bytes(8 * MEBIBYTE), "path")
    os.unlink("path")


@behaviour
def unix_datagram_names_of_senders():
    receiver = bound(new(AF_UNIX, SOCK_DGRAM), "path")
    named = bound(new(AF_UNIX, SOCK_DGRAM), "named")
    new(AF_UNIX, SOCK_DGRAM).sendto(b"x", "path")
    named.sendto(b"x", "path")
    for _ in range(2):
        data, source = receiver.recvfrom(10)
        tell(lambda data=data: len(data))
        tell(lambda source=source: repr(source or ""))
    os.unlink("path")
    os.unlink("named")


# ---- Who is there, and what is set -------------------------------------------------------------

@behaviour
def close_twice():
    s = new()
    tell(s.close)
    tell(s.close)


@behaviour
def use_after_close():
    s = new()
    address = nobody()
    s.close()
    for call, *arguments in ((s.send, b"x"), (s.recv, 10), (s.accept,), (s.bind, address),
                             (s.listen, 1), (s.connect, address), (s.getsockname,),
                             (s.settimeout, 1), (s.shutdown, socket.SHUT_RDWR)):
        tell(call, *arguments)


@behaviour
def descriptor_before_bind():
    tell(lambda: "there" if new().fileno() >= 0 else "EBADF")


@behaviour
def descriptor_after_close():
    s = bound(new())
    s.close()
    tell(s.fileno)


@behaviour
def descriptor_of_nothing():
    tell_only_failure(lambda: socket.socket(fileno=NO_DESCRIPTOR))


@behaviour
def close_while_a_duplicate_of_the_descriptor_is_open():
    client, server = pair()
    duplicate = os.dup(server.fileno())
    server.close()
    client.settimeout(0)
    tell(client.recv, 10)
    again = keep(socket.socket(fileno=duplicate))
    again.sendall(b"hello")
    wait_for(client, select.POLLIN)
    tell(client.recv, 10)


@behaviour
def name_of_the_peer_when_unconnected():
    tell(new().getpeername)


@behaviour
def name_of_the_peer_after_its_reset():
    client, server = pair()
    reset(server)
    wait_for(client, select.POLLERR)
    tell(client.getpeername)


@behaviour
def name_of_the_peer_after_it_closed():
    client, server = pair()
    server.close()
    wait_for(client, select.POLLIN)
    tell(lambda: client.getpeername()[0])


@behaviour
def name_of_the_peer_after_both_ends_are_closed():
    client, server = pair()
    client.shutdown(socket.SHUT_WR)
    server.shutdown(socket.SHUT_WR)
    wait_for(client, select.POLLIN)
    tell(server.getpeername)


@behaviour
def names_of_both_ends_agree():
    client, server = pair()
    tell(lambda: int(server.getpeername() == client.getsockname()))
    tell(lambda: int(client.getpeername() == server.getsockname()))
    tell(lambda: client.getsockname()[0])
    tell(lambda: server.getsockname()[0])


@behaviour
def own_name_after_a_reset():
    client, server = pair()
    reset(server)
    wait_for(client, select.POLLERR)
    tell(lambda: client.getsockname()[0])


@behaviour
def name_of_a_listeners_peer():
    tell(listener().getpeername)


@behaviour
def own_name_when_unbound():
    tell(lambda: "{} {}".format(*new().getsockname()))


@behaviour
def names_of_a_pair():
    client, _ = map(keep, socket.socketpair())
    tell(lambda: repr(client.getsockname()))
    tell(lambda: repr(client.getpeername()))


@behaviour
def peer_by_ipv6():
    server = bound(new(AF_INET6), ("::1", 0))
    server.listen()
    client = new(AF_INET6)
    client.connect(server.getsockname())
    accepted, peer = server.accept()
    keep(accepted)
    tell(peer.__getitem__, 0)


@behaviour
def peer_by_ipv4_at_a_listener_of_both_families():
    server = keep(socket.create_server(("", 0), family=AF_INET6, dualstack_ipv6=True))
    client = new()
    client.connect((HOST, server.getsockname()[1]))
    accepted, peer = server.accept()
    keep(accepted)
    tell(peer.__getitem__, 0)


@behaviour
def option_tcp_nodelay_of_both_ends():
    for s in pair():
        tell(s.getsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY)


@behaviour
def option_reuseaddr_of_a_listener():
    tell(listener().getsockopt, SOL_SOCKET, socket.SO_REUSEADDR)


@behaviour
def descriptors_are_closed_on_exec():
    for s in (*pair(), listener(), bound(udp())):
        tell(lambda descriptor=s.fileno(): int(not os.get_inheritable(descriptor)))


# ---- Text --------------------------------------------------------------------------------------

def size_of_text(data):
    return len(data.decode().encode())


@behaviour
def decode_text():
    for data in (b"", b"Salut", "é".encode(), "€".encode(), "😀".encode(), b"\xef\xbb\xbf"):
        tell(size_of_text, data)


@behaviour
def decode_what_is_not_utf_8():
    for data in (b"\xe9", b"\x80", b"\xc3", b"\xe2\x82", b"\xc0\xaf", b"\xe0\x80\xaf",
                 b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff", b"ok \xfe"):
        tell(size_of_text, data)


@behaviour
def decode_a_zero_byte():
    tell(size_of_text, b"a\0b")


def main():
    for function in behaviours:
        outcomes.clear()
        function()
        print(f"{function.__name__}: {', '.join(outcomes)}", flush=True)
        for s in opened:
            s.close()
        opened.clear()


main()
