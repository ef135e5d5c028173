"""`parom sandbox`: the outside world in miniature, as a process of its own."""

import subprocess
import sys

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def sandbox(options: tuple[str, ...]) -> None:
    """Run stand-ins of the outside systems on loopback, and print their addresses.

    OPTIONS are ports, `--bitrix24-port 8024` and so on (free ones by default), and `--ready-file PATH`.
    """
    with subprocess.Popen([sys.executable, "-m", "sandbox", *options]) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            code = process.wait()
    raise SystemExit(code)
