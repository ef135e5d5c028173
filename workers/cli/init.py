"""`parom init`: a commented parom.toml to begin with."""

from pathlib import Path

import click

from tasks.flows import KINDS
from workers.compose import SYSTEMS
from workers.example import render


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="parom.toml")
@click.option("--force", is_flag=True, help="overwrite an existing file")
def init(path: Path, *, force: bool) -> None:
    """Write a commented example configuration to PATH (parom.toml)."""
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists already; --force overwrites it")
    path.write_text(render({name: system.config for name, system in SYSTEMS.items()}, KINDS), encoding="utf-8")
    click.echo(f"{path} is written. Fill in what it asks for, put secrets into the environment, then: parom check")
