"""A TCP proxy whose links go bad on command: what stands between the processes of a chaos run.

All links share one event loop in one daemon thread; the harness calls from its own thread, and when a call returns, the
new weather holds. Never looks into the bytes. Both sockets of a connection have TCP_NODELAY: asyncio sets it by itself.
"""

import asyncio
import concurrent.futures
import fcntl
import socket
import struct
import termios
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

Upstream = Callable[[], tuple[str, int] | str]
"""Host and port, or the path of a unix socket."""
LINGER_0 = struct.pack("ii", 1, 0)
"""A socket closed with this sends RST and not FIN."""
PATIENCE = 10.0
DRIPS_PER_SECOND = 50
HELD_BY_DELAY = 64 << 20
"""Bytes under way each way at which the sender must wait: enough that a delay costs no throughput."""
HELD_BY_DRIP = 64 << 10
UNSENT_POLL = 0.005
READ_SIZE = 64 << 10
"""asyncio's own 256 KB is over malloc's mmap threshold: a map and an unmap for each small chunk, thrice the CPU."""


@dataclass(frozen=True)
class Weather:
    """What a link does to every connection until told otherwise."""

    delay: float = 0.0
    rate: float | None = None
    cut_after: int | None = None
    refuses: bool = False
    swallows: bool = False


CALM = Weather()


class Proxies:
    """The thread and its loop; `stop()`, or leaving the `with`, ends every connection of every link by RST."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._links = []
        self._thread = threading.Thread(target=self._run, name="proxies", daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def link(self, name: str, upstream: Upstream) -> "Link":
        """Listen on a free port of 127.0.0.1.

        `upstream` is asked in the loop's thread for each connection: it must answer at once, and raise OSError when
        there is no server just now; the client then gets RST.
        """
        link = Link(name, upstream, loop=self._loop)
        asyncio.run_coroutine_threadsafe(link.listen(), self._loop).result(PATIENCE)
        self._links.append(link)
        return link

    def stop(self):
        if not self._thread.is_alive():
            return
        for link in self._links:
            link.close()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE)

    def _run(self):
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._stopping.wait())


class Link:
    """One listening port in front of one server; the weather may be changed from any thread but the loop's.

    One weather holds at a time: each call replaces the one before. Bytes that the proxy has already given to a socket
    are on their way whatever comes.
    """

    def __init__(self, name: str, upstream: Upstream, *, loop):
        self.name = name
        self.upstream = upstream
        self.loop = loop
        self.port = 0
        self.weather = CALM
        self.open: set[Connection] = set()
        self._server = None

    @property
    def connections(self) -> int:
        """How many are open now; a half-open one counts until it is ended."""
        return len(self.open)

    def calm(self):
        """Bytes pass from now on, those held back at once; connections that were half-open end by RST."""
        self._call(self._change, CALM)

    def delay(self, seconds: float):
        """Every chunk arrives this much later, each way, in order and at full throughput."""
        self._call(self._change, Weather(delay=seconds))

    def drip(self, bytes_per_second: float):
        """Bytes pass this slowly, each way and on each connection."""
        if bytes_per_second <= 0:
            raise ValueError("a link that passes nothing is half_open()")
        self._call(self._change, Weather(rate=bytes_per_second))

    def reset(self):
        """Every connection ends by RST now; new ones meet the same weather as before."""
        self._call(self._end_all)

    def refuse(self):
        """Every connection ends by RST, those there are and those to come."""
        self._call(self._change, Weather(refuses=True))

    def half_open(self):
        """Bytes vanish both ways and nobody is told; new connections are accepted and hang as well."""
        self._call(self._change, Weather(swallows=True))

    def cut(self, after_bytes: int):
        """Each connection ends by RST when this many more bytes have reached the client.

        With 0 the request arrives and its answer is lost whole.
        """
        self._call(self._change, Weather(cut_after=after_bytes))

    async def listen(self):
        self._server = await self.loop.create_server(lambda: Connection(self).client, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self):
        self._call(self._server.close)
        self.refuse()

    def _call(self, act, *args):
        """Do it in the loop's thread; returns when the sockets it ended are closed."""
        done = concurrent.futures.Future()

        def run():
            try:
                act(*args)
            except BaseException as error:  # noqa: BLE001 -- the caller's to handle, in the caller's thread
                done.set_exception(error)
            else:
                # An aborted transport closes its socket in the loop's next turn, before what is queued after it.
                self.loop.call_soon(done.set_result, None)

        self.loop.call_soon_threadsafe(run)
        done.result(PATIENCE)

    def _change(self, weather):
        self.weather = weather
        for connection in list(self.open):
            connection.meet(weather)

    def _end_all(self):
        for connection in list(self.open):
            connection.end()


class Connection:
    """A client's socket and the server's socket that belongs to it."""

    def __init__(self, link: Link):
        self.link = link
        self.client = Side(self)
        self.server = Side(self)
        self.client.other, self.server.other = self.server, self.client
        self.left = None
        """Bytes that may still go towards the client; None is no limit."""
        self.is_dead = False
        """Half-open: reads, passes nothing on."""
        self.is_over = False
        self._connecting = None

    def start(self):
        """The client is there; find the server."""
        self.link.open.add(self)
        self.meet(self.link.weather)
        if not self.is_over and not self.is_dead:
            self._connecting = self.link.loop.create_task(self._connect())

    async def _connect(self):
        try:
            where = self.link.upstream()
            if isinstance(where, str):
                await self.link.loop.create_unix_connection(lambda: self.server, where)
            else:
                await self.link.loop.create_connection(lambda: self.server, *where)
        except OSError:
            pass
        finally:
            if self.server.transport is None:
                self.end()

    def meet(self, weather: Weather):
        if weather.refuses or (self.is_dead and not weather.swallows):
            self.end()
            return
        self.is_dead = weather.swallows
        self.left = weather.cut_after
        self.client.replan()
        self.server.replan()

    def cut(self):
        """End once the client has all it was meant to get: RST throws away what is still unsent."""
        self.is_dead = True
        if self.is_over:
            return
        if self.client.unsent():
            self.link.loop.call_later(UNSENT_POLL, self.cut)
        else:
            self.end()

    def end(self):
        self.is_over = True
        self.link.open.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        self.client.abort()
        self.server.abort()

    def finish(self):
        """Both ways are at their end: close as the two ends did."""
        self.client.transport.close()
        self.server.transport.close()

    def forget_if_lost(self):
        if self.client.transport is None and self.server.transport is None:
            self.is_over = True
            self.link.open.discard(self)


class Side(asyncio.Protocol):
    """One socket of a connection, and the way of its bytes to the other socket."""

    other: "Side"

    def __init__(self, connection: Connection):
        self.connection = connection
        self.link = connection.link
        self.transport = None
        self.is_full = True
        """Takes no more bytes: not connected yet, or slower than they come."""
        self.has_ended = False
        """Its FIN was read."""
        self.has_closed = False
        """Its FIN was passed on."""
        self._held: deque[tuple[float, bytes | memoryview]] = deque()
        """When it arrived, and what; empty bytes are the FIN."""
        self._held_size = 0
        self._timer = None
        self._next_drip = 0.0

    def connection_made(self, transport):
        self.transport = transport
        self.is_full = False
        transport.max_size = READ_SIZE
        if self.connection.is_over:
            self.abort()
        elif self is self.connection.client:
            self.connection.start()
        else:
            self.other.throttle()

    def data_received(self, data):
        if self.link.weather is CALM:  # nothing is held then: replan() let it go
            self.other.transport.write(data)
        elif not self.connection.is_dead:
            self._hold(data)

    def eof_received(self):
        self.has_ended = True
        if not self.connection.is_dead:
            self._hold(b"")
        return True  # this socket can still be written to

    def pause_writing(self):
        self.is_full = True
        self.other.throttle()

    def resume_writing(self):
        self.is_full = False
        self.other.throttle()

    def connection_lost(self, exc):
        self.transport = None
        if exc is not None and not self.connection.is_dead and not self.connection.is_over:
            self.connection.end()
        self.connection.forget_if_lost()

    def throttle(self):
        """Read on, or wait until what was read has gone."""
        # After its FIN a transport would read the same end again.
        if self.transport is None or self.has_ended:
            return
        limit = HELD_BY_DRIP if self.link.weather.rate else HELD_BY_DELAY
        if not self.connection.is_dead and (self.other.is_full or self._held_size > limit):
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def replan(self):
        """The weather has changed: what is held goes by the new one."""
        self._stop_timer()
        self._next_drip = 0.0
        if self.connection.is_dead:
            self._drop_held()
        self._pump()

    def unsent(self) -> int:
        """Bytes written to this socket that its peer's kernel does not have yet."""
        if self.transport is None:
            return 0
        queued = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        return self.transport.get_write_buffer_size() + int.from_bytes(queued, "little")

    def abort(self):
        self._stop_timer()
        self._drop_held()
        if self.transport is not None:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            self.transport.abort()

    def _hold(self, data):
        self._held.append((self.link.loop.time(), data))
        self._held_size += len(data)
        if self._timer is None:
            self._pump()
        else:
            self.throttle()

    def _pump(self):
        """Pass on what is due, and come again for the rest."""
        self._timer = None
        while self._held and self.other.transport is not None:
            now = self.link.loop.time()
            due = max(self._held[0][0] + self.link.weather.delay, self._next_drip)
            if due > now:
                self._timer = self.link.loop.call_at(due, self._pump)
                break
            self._pass_on(self._take(now))
        self.throttle()

    def _take(self, now):
        arrived, data = self._held.popleft()
        if rate := self.link.weather.rate:
            size = max(1, int(rate / DRIPS_PER_SECOND))
            if len(data) > size:
                self._held.appendleft((arrived, memoryview(data)[size:]))
                data = data[:size]
            self._next_drip = max(now, self._next_drip) + len(data) / rate
        self._held_size -= len(data)
        return data

    def _pass_on(self, data):
        connection = self.connection
        if not data:
            self._pass_end_on()
        elif connection.left is None or self is connection.client:
            self.other.transport.write(data)
        elif len(data) < connection.left:
            connection.left -= len(data)
            self.other.transport.write(data)
        else:
            self.other.transport.write(data[: connection.left])
            self._drop_held()
            connection.cut()

    def _pass_end_on(self):
        self.has_closed = True
        try:
            self.other.transport.write_eof()
        except OSError:  # its peer is gone already, by RST
            self.connection.end()
            return
        if self.other.has_closed:
            self.connection.finish()

    def _drop_held(self):
        self._held.clear()
        self._held_size = 0

    def _stop_timer(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
