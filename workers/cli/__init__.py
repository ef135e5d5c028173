"""The `parom` command. Exit codes: 0 done, 1 work failed, 2 usage or configuration.

Each command is a module of its name, imported only when it is called, so that starting is fast.
"""

from importlib import import_module
from typing import Any

import click

COMMANDS = {
    "init": "write a commented parom.toml",
    "check": "compare the configuration with the live systems",
    "demo": "carry 500 invented contacts, on this machine alone",
    "up": "run everything in one process tree",
    "worker": "work on records",
    "beat": "send the ticks",
    "web": "answer 1C, receive webhooks",
    "flower": "watch the workers in a browser",
    "sandbox": "run stand-ins of the outside systems",
    "base": "1C bases: approve where they are called, ask them",
    "migrate": "bring the ledger to this release's shape",
    "status": "how the flows stand",
    "history": "what happened to one record",
    "preview": "what would be sent for one record; writes nothing",
    "resync": "deliver records again",
    "pause": "stop a flow",
    "resume": "let a paused flow run again",
}


class LazyGroup(click.Group):
    """A group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"workers.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - a module without its command is our mistake
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        from workers.cli.failures import told_plainly

        with told_plainly():
            return super().invoke(ctx)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="parom")
def main() -> None:
    """Parom carries contacts, deals, orders and Interests between your systems: nothing lost, nothing twice."""
