"""One of several processes that share an amoCRM account's tokens: python -m tests.unit.amocrm_worker URL VAULT GO.

It waits for the file GO, calls the account a few times, and prints how each call ended.
"""

import fcntl
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import fakeredis

from connectors.amocrm import AmoCrm
from connectors.amocrm_config import AmoCrmConfig
from connectors.base import Secret
from connectors.errors import ConnectorError
from tasks.ledger.database import Ledger
from tasks.ledger.vault import LedgerVault

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
CALLS = 5


class FileVault:
    """A vault in a folder, without encryption."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def read(self, name):
        path = self._path(name)
        return path.read_text() if path.exists() else None

    def write(self, name, value):
        draft = self._path(name).with_suffix(f".{time.monotonic_ns()}")
        draft.write_text(value)
        draft.replace(self._path(name))

    @contextmanager
    def exclusively(self, name, *, longest):
        assert longest >= timedelta(seconds=30)
        with self._path(f"{name}-lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _path(self, name):
        return self.folder / name.replace(":", "-")


def vault_at(place):
    return LedgerVault(Ledger(place), KEY) if place.startswith("sqlite:") else FileVault(place)


def config_of(url):
    return AmoCrmConfig(
        base_url=url,
        client_id="5a4d0000-0000-4000-8000-00000000c11e",
        client_secret=Secret("s3cret"),
        redirect_uri="https://parom.example/oauth",
        refresh_token=Secret("refresh-0"),
        requests_per_second=10_000.0,
        account_requests_per_second=10_000.0,
    )


def main(url, place, go):
    connector = AmoCrm(config_of(url), fakeredis.FakeRedis(), sleep=time.sleep, vault=vault_at(place))
    while not Path(go).exists():
        time.sleep(0.005)
    for _ in range(CALLS):
        try:
            connector.probe()
            print("ok", flush=True)
        except ConnectorError as error:
            print(f"{type(error).__name__}: {error}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
