"""`parom web`: the HTTP side, served by waitress."""

from typing import Any

import click

from workers.app import settings, working_runtime

LARGEST_UPLOAD = 16 * 1024 * 1024
"""Bytes: what is beyond our own limit and below this is refused in the shape that its sender reads."""


@click.command()
@click.option("--listen", default="127.0.0.1:8080", show_default=True, help="HOST:PORT; put a TLS proxy before it")
@click.option("--threads", type=click.IntRange(1, 256), default=32, show_default=True, help="requests at a time")
@click.option("--trusted-proxy", metavar="ADDRESS", help="whose X-Forwarded-For is believed: that of the TLS proxy")
def web(listen: str, threads: int, trusted_proxy: str | None) -> None:
    """Answer 1C, receive webhooks and answer health checks until stopped."""
    import waitress

    from workers.app import set_up_logging
    from workers.web.app import create_app

    set_up_logging()
    proxy: dict[str, Any] = {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": {"x-forwarded-for"}}
    waitress.serve(
        create_app(settings(), working_runtime()),
        listen=listen,
        threads=threads,
        ident=None,
        max_request_body_size=LARGEST_UPLOAD,
        clear_untrusted_proxy_headers=True,
        **(proxy if trusted_proxy else {}),
    )
