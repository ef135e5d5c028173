"""The sandbox as a process: `python -m sandbox --ready-file PATH`; ends on SIGTERM and SIGINT without a trace."""

import argparse
import json
import signal
import sys
from pathlib import Path

from sandbox.admin import Admin
from sandbox.world import Sandbox, World

LISTENERS = ("admin", "bitrix24", "bitrix24_tls", "otmechalka", "comagic", "onec", "onec_handlers", "amocrm")
STOPPING = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    options = _options()
    # Blocked before any thread exists, so that the signal waits for sigwait and interrupts nothing.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    world = World()
    ports = {name: getattr(options, f"{name}_port") for name in LISTENERS}
    with Sandbox(world, Admin(world).handle, ports) as sandbox:
        if sandbox.without_tls:
            sys.stderr.write(f"{sandbox.without_tls}\n")
        line = json.dumps(sandbox.addresses())
        if options.ready_file:
            _write_whole(options.ready_file, line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        signal.sigwait(STOPPING)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sandbox", description="The outside systems in miniature.")
    for name in LISTENERS:
        parser.add_argument(f"--{name.replace('_', '-')}-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--ready-file", type=Path, help="where to write the addresses once everything listens")
    return parser.parse_args()


def _write_whole(path: Path, text: str) -> None:
    """A reader sees nothing or everything."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(text)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
