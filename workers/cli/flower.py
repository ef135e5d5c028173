"""`parom flower`: Flower on loopback. It shows tasks; records are shown by `parom status` and `parom history`."""

import click

from workers.app import app, runtime


@click.command()
@click.option("--port", type=int, default=5555, show_default=True)
@click.option("--address", default="127.0.0.1", show_default=True, help="keep it on loopback, or set --basic-auth")
@click.option("--basic-auth", envvar="PAROM_FLOWER_AUTH", help="NAME:PASSWORD, needed on any other address")
def flower(port: int, address: str, basic_auth: str | None) -> None:
    """Watch the workers in a browser (needs `pip install parom[flower]`)."""
    if address not in {"127.0.0.1", "localhost", "::1"} and not basic_auth:
        raise click.UsageError("without --basic-auth anybody who reaches this address could send tasks")
    runtime()
    protection = [f"--basic-auth={basic_auth}"] if basic_auth else []
    app.start(["flower", f"--port={port}", f"--address={address}", *protection])
