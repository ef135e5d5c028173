"""A process of Parom that can be told where to die: `python -m tests.chaos.process worker` is `parom worker` otherwise.

Orders are files in the folder CHAOS_ORDERS, each for the first process that comes to its seam; it moves the
file to `obeyed/`, adds when and who, and is killed or stopped by its own hand, at that very instruction.
CHAOS_MUTATION takes away a mechanism, CHAOS_CLOCK sets this process's wall clock wrong by so many seconds.
"""

import json
import os
import re
import signal
import time
from pathlib import Path

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Orders:
    """The orders that stand, read again only when the folder has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._changed = 0
        self._standing: list[tuple[Path, re.Pattern[str], str]] = []

    def reach(self, seam: str) -> None:
        """Called at every seam, by any thread."""
        changed = self._folder.stat().st_mtime_ns
        if changed != self._changed:
            self._changed = changed
            self._standing = [self._read(path) for path in sorted(self._folder.glob("*.json"))]
        for path, pattern, act in self._standing:
            if pattern.fullmatch(seam):
                self._obey(path, seam, act)

    def _read(self, path: Path) -> tuple[Path, re.Pattern[str], str]:
        try:
            order = json.loads(path.read_text())
        except FileNotFoundError:  # obeyed by another process, just now
            return path, re.compile("(?!)"), "kill"
        return path, re.compile(order["seam"]), order["act"]

    def _obey(self, path: Path, seam: str, act: str) -> None:
        taken = path.with_name("obeyed") / path.name
        try:
            path.rename(taken)
        except FileNotFoundError:
            return
        receipt = {"pid": os.getpid(), "at": time.time(), "seam": seam}
        draft = taken.with_suffix(".new")
        draft.write_text(json.dumps(receipt))
        draft.rename(taken.with_suffix(".receipt"))
        os.kill(os.getpid(), SIGNALS[act])


def _set_clock_wrong(seconds: float) -> None:
    import time_machine

    time_machine.travel(time.time() + seconds, tick=True).start()


def main() -> None:
    from tests.chaos import mutations, seams
    from workers.cli import main as parom

    if mutation := os.environ.get("CHAOS_MUTATION"):
        mutations.MUTATIONS[mutation]()
    seams.install(Orders(Path(os.environ["CHAOS_ORDERS"])).reach)
    if wrong_by := float(os.environ.get("CHAOS_CLOCK", "0")):
        _set_clock_wrong(wrong_by)
    parom()


if __name__ == "__main__":
    main()
