"""`parom web`: the HTTP side, served by waitress."""

import click

from workers.app import runtime, settings


@click.command()
@click.option("--listen", default="127.0.0.1:8080", show_default=True, help="HOST:PORT; put a TLS proxy before it")
@click.option("--threads", type=click.IntRange(1, 64), default=8, show_default=True)
def web(listen: str, threads: int) -> None:
    """Receive webhooks and answer health checks until stopped."""
    import waitress

    from workers.app import set_up_logging
    from workers.web.app import create_app

    set_up_logging()
    waitress.serve(create_app(settings(), runtime()), listen=listen, threads=threads, ident=None)
