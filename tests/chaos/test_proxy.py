"""The chaos proxy does to a connection what its name says, and nothing in calm weather."""

import os
import socket
import socketserver
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxies

PATIENCE = 10.0
MEGABYTE = 1 << 20


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        with suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(self.server.greeting + data)


class Server(socketserver.ThreadingTCPServer):
    """Sends everything back, each chunk after its `greeting`; on a port of its own each time.

    `stop()` waits until every connection has ended.
    """

    def __init__(self, *, handler=Echo, greeting=b""):
        super().__init__(("127.0.0.1", 0), handler)
        self.greeting = greeting
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stop(self):
        self.shutdown()
        self._thread.join()
        self.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def proxies():
    with Proxies() as proxies:
        yield proxies


@pytest.fixture
def link(server, proxies):  # in this order: the proxies stop first
    return proxies.link("echo", lambda: server.server_address)


def connect(link, *, timeout=PATIENCE):
    return socket.create_connection(("127.0.0.1", link.port), timeout=timeout)


def read(client, size):
    data = b""
    while len(data) < size and (chunk := client.recv(size - len(data))):
        data += chunk
    return data


def read_until_reset(client):
    """What came before the RST; fails on FIN."""
    data = bytearray()
    try:
        while chunk := client.recv(65536):
            data += chunk
    except ConnectionResetError:
        return bytes(data)
    pytest.fail(f"FIN and not RST, after {len(data)} bytes")


def ask(client, question):
    client.sendall(question)
    return read(client, len(question))


def assert_new_connection_is_reset(link):
    with suppress(ConnectionResetError), connect(link) as client:  # RST may come before connect() has returned
        assert read_until_reset(client) == b""


def send_what_goes(client, data):
    with suppress(OSError):
        client.sendall(data)


def is_silent(client, *, seconds=0.2):
    client.settimeout(seconds)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(PATIENCE)
    return False


def test_five_megabytes_pass_both_ways_intact_and_the_end_comes_after_them(link):
    payload = os.urandom(5 * MEGABYTE)

    def send():
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)

    with connect(link) as client:
        sender = threading.Thread(target=send)
        sender.start()
        received = read(client, len(payload) + 1)
        sender.join()
    assert received == payload


def test_a_closed_connection_is_no_longer_counted(link):
    with connect(link) as client:
        assert ask(client, b"hello") == b"hello"
        assert link.connections == 1
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    link.calm()  # a turn of the loop: both sockets are closed when it returns
    assert link.connections == 0


def test_a_server_that_does_not_read_makes_the_client_wait_and_loses_nothing(proxies):
    may_read = threading.Event()

    class Late(Echo):
        def handle(self):
            may_read.wait(PATIENCE)
            size = 0
            while data := self.request.recv(MEGABYTE):
                size += len(data)
            self.request.sendall(struct.pack("q", size))

    server = Server(handler=Late)
    link = proxies.link("late", lambda: server.server_address)
    sent = 0
    with connect(link, timeout=0.3) as client:
        with suppress(TimeoutError):
            while sent < 256 * MEGABYTE:
                sent += client.send(bytes(MEGABYTE))
        assert sent < 256 * MEGABYTE
        may_read.set()
        client.settimeout(PATIENCE)
        client.shutdown(socket.SHUT_WR)
        assert struct.unpack("q", read(client, 8)) == (sent,)
    server.stop()


def test_a_server_restarted_on_another_port_is_found(proxies):
    servers = [Server(greeting=b"1")]
    link = proxies.link("echo", lambda: servers[-1].server_address)
    with connect(link) as client:
        client.sendall(b"?")
        assert read(client, 2) == b"1?"
    servers[0].stop()
    servers.append(Server(greeting=b"2"))
    with connect(link) as client:
        client.sendall(b"?")
        assert read(client, 2) == b"2?"
    servers[1].stop()


def test_a_server_that_refuses_resets_the_client(proxies):
    gone = Server()
    link = proxies.link("gone", lambda: gone.server_address)
    gone.stop()
    assert_new_connection_is_reset(link)
    assert link.connections == 0


def test_a_client_that_resets_resets_the_server(proxies):
    ends = []

    class Listening(Echo):
        def handle(self):
            self.request.sendall(b"x")
            try:
                ends.append(self.request.recv(1))
            except ConnectionResetError as error:
                ends.append(error)

    server = Server(handler=Listening)
    link = proxies.link("listening", lambda: server.server_address)
    client = connect(link)
    assert client.recv(1) == b"x"
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.stop()
    assert [type(end) for end in ends] == [ConnectionResetError]


def test_reset_ends_every_connection_and_spares_the_next(link):
    with connect(link) as one, connect(link) as two:
        assert ask(one, b"1") == b"1"
        assert ask(two, b"2") == b"2"
        link.reset()
        assert link.connections == 0
        assert read_until_reset(one) == b""
        assert read_until_reset(two) == b""
    with connect(link) as client:
        assert ask(client, b"3") == b"3"


def test_refuse_resets_old_and_new_connections_until_calm(link):
    with connect(link) as old:
        assert ask(old, b"1") == b"1"
        link.refuse()
        assert read_until_reset(old) == b""
    assert_new_connection_is_reset(link)
    link.calm()
    with connect(link) as client:
        assert ask(client, b"2") == b"2"


def test_half_open_swallows_in_silence_and_calm_does_not_revive(link):
    with connect(link) as old:
        assert ask(old, b"1") == b"1"
        link.half_open()
        with connect(link) as new:
            old.sendall(b"lost")
            new.sendall(b"lost")
            assert is_silent(old)
            assert is_silent(new)
            assert link.connections == 2
            link.calm()
            assert read_until_reset(old) == b""
            assert read_until_reset(new) == b""
    with connect(link) as client:
        assert ask(client, b"2") == b"2"


def test_a_half_open_server_is_not_told_that_its_client_left(proxies):
    left = threading.Event()

    class Watching(Echo):
        def handle(self):
            super().handle()
            left.set()

    server = Server(handler=Watching)
    link = proxies.link("watching", lambda: server.server_address)
    with connect(link) as client:
        assert ask(client, b"1") == b"1"
        link.half_open()
    assert not left.wait(0.2)
    link.calm()
    assert left.wait(PATIENCE)
    server.stop()


def test_drip_passes_bytes_no_faster_than_told(link):
    with connect(link) as client:
        assert ask(client, b"warm") == b"warm"
        link.drip(200)
        started = time.monotonic()
        assert ask(client, bytes(range(60))) == bytes(range(60))
        elapsed = time.monotonic() - started
        # The first drop of 4 bytes goes at once, so the last of 60 goes 56 bytes later.
        assert 56 / 200 <= elapsed < PATIENCE
        link.calm()
        assert ask(client, bytes(MEGABYTE)) == bytes(MEGABYTE)


def test_calm_lets_go_of_what_drips_in_order(link):
    payload = os.urandom(100_000)
    with connect(link) as client:
        link.drip(10)
        client.sendall(payload)
        first = read(client, 1)
        link.calm()
        assert first + read(client, len(payload) - 1) == payload


@pytest.mark.parametrize("after", [0, 1, 1000, MEGABYTE])
def test_cut_breaks_an_answer_after_exactly_so_many_bytes(link, after):
    payload = os.urandom(after + 1000)
    with connect(link) as client:
        assert ask(client, b"before") == b"before"
        link.cut(after)
        sender = threading.Thread(target=send_what_goes, args=(client, payload))
        sender.start()
        assert read_until_reset(client) == payload[:after]
        sender.join()


def test_cut_waits_for_a_client_that_reads_slowly(link):
    payload = os.urandom(MEGABYTE)
    link.cut(MEGABYTE - 1)
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # most of the answer is unsent when it is cut
        client.connect(("127.0.0.1", link.port))
        sender = threading.Thread(target=send_what_goes, args=(client, payload))
        sender.start()
        assert read_until_reset(client) == payload[:-1]
        sender.join()


def test_cut_counts_each_connection_by_itself(link):
    link.cut(6)
    for _ in range(2):
        with connect(link) as client:
            assert ask(client, b"abcd") == b"abcd"
            client.sendall(b"efgh")
            assert read_until_reset(client) == b"ef"


def test_delay_keeps_order_and_adds_itself_each_way(link):
    payload = os.urandom(MEGABYTE)
    with connect(link) as client:
        link.delay(0.1)
        started = time.monotonic()
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        received = client.recv(1)
        assert time.monotonic() - started >= 0.2
        received += read(client, len(payload))
        # Sixteen recv() of the server, each delayed: one after the other they would take three seconds.
        assert time.monotonic() - started < 1.5
    assert received == payload


def test_delayed_bytes_stay_ahead_of_those_sent_in_calm(link):
    with connect(link) as client:
        link.delay(60)
        client.sendall(b"slow ")
        link.calm()
        client.sendall(b"fast")
        assert read(client, 9) == b"slow fast"


def test_stop_leaves_no_thread_no_socket_and_no_open_end(server):
    def sockets():
        opened = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]  # noqa: PTH115
        return sum(target.startswith(("socket:", "anon_inode:[eventpoll]")) for target in opened)

    before = sockets()
    with Proxies() as proxies:
        links = [proxies.link(name, lambda: server.server_address) for name in ("calm", "slow", "dead")]
        links[1].delay(60)
        clients = [connect(link) for link in links]
        assert ask(clients[0], b"1") == b"1"
        clients[1].sendall(b"1")
        links[2].half_open()
    for link, client in zip(links, clients, strict=True):
        assert read_until_reset(client) == b""
        client.close()
        with pytest.raises(ConnectionRefusedError):
            connect(link)
    proxies.stop()
    assert "proxies" not in {thread.name for thread in threading.enumerate()}
    server.stop()
    assert sockets() < before
