"""A tree of child processes that lives and dies together: none outlives the parent, a fallen one is started again."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workers.embedded import die_with_parent

log = logging.getLogger("parom.processes")

GRACE = 15.0
"""Seconds that children get to end what they are doing; after that they are killed, which loses nothing."""
RESTART_PAUSE = 2.0


@dataclass
class Child:
    """One process of the tree: how it is started, and the process as it runs now."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str]
    log_file: Path | None
    process: "subprocess.Popen[bytes]" = field(init=False)
    started_at: float = field(init=False)

    def start(self) -> None:
        """Start it (again), in a session of its own: Ctrl-C is for the parent, who ends it in order."""
        out = self.log_file.open("ab") if self.log_file else None
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own modules
                self.argv,
                env={**os.environ, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT if out else None,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - loads and locks nothing
            )
        finally:
            if out:
                out.close()
        self.started_at = time.monotonic()


class ProcessTree:
    """Children by name, started in order and ended in reverse."""

    def __init__(self, log_folder: Path | None = None) -> None:
        self.children: list[Child] = []
        self._log_folder = log_folder
        if log_folder:
            log_folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Child:
        """Start a child; its output goes to `NAME.log` in the log folder, or where ours goes."""
        log_file = self._log_folder / f"{name}.log" if self._log_folder else None
        child = Child(name, argv, environ or {}, log_file)
        child.start()
        self.children.append(child)
        return child

    def mend(self) -> None:
        """Start again what has ended, not more often than every few seconds."""
        for child in self.children:
            code = child.process.poll()
            if code is not None and time.monotonic() - child.started_at > RESTART_PAUSE:
                log.error("%s ended with %s and is started again", child.name, code)
                child.start()

    def stop(self) -> None:
        """End all children, the last one first; returns when none is left."""
        for child in reversed(self.children):
            _end(child, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for child in reversed(self.children):
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self.children.clear()


def _end(child: Child, number: signal.Signals) -> None:
    if child.process.poll() is None:
        child.process.send_signal(number)
