"""The vault: secrets that connectors are given while they run, encrypted in the ledger (`connectors.base.Vault`).

`PAROM_SECRET_KEY` holds Fernet keys, by commas or lines: the first encrypts, each may decrypt. A ciphertext holds its
own name, so that nobody who can write the table makes one secret pass for another. No log or error shows a value.
"""

import random
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, or_, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from connectors.base import Secret
from connectors.errors import Refused, Throttled, Transient
from tasks.ledger.database import Ledger, insert_into
from tasks.ledger.tables import vault

PAUSE = 0.25
"""Seconds, about, between two looks whether a name is free."""
_AWAY = (OperationalError, InterfaceError, NoConnection)


def new_key() -> str:
    """A key fit for PAROM_SECRET_KEY."""
    return Fernet.generate_key().decode()


class LedgerVault:
    """As `connectors.base.Vault`. `keys` is the text of PAROM_SECRET_KEY, which only stored secrets need."""

    def __init__(self, ledger: Ledger, keys: str | None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._ledger = ledger
        self._keys = Secret(keys or "")
        self._sleep = sleep

    def read(self, name: str) -> str | None:
        """As `Vault`. Raises Refused if no key of ours opens it."""
        with _answering(), self._ledger.read() as connection:
            sealed = connection.execute(select(vault.c.value).where(vault.c.name == name)).scalar()
        return None if sealed is None else self._opened(name, sealed)

    def write(self, name: str, value: str) -> None:
        """As `Vault`. Raises Refused without a key. Whoever holds the name goes on holding it."""
        sealed = self._fernet.encrypt(f"{name}\n{value}".encode()).decode()
        with _answering(), self._ledger.write() as connection:
            now = self._ledger.now(connection)
            row = insert_into(connection, vault).values(name=name, value=sealed, changed_at=now)
            change = row.on_conflict_do_update(index_elements=["name"], set_={"value": sealed, "changed_at": now})
            connection.execute(change)

    @contextmanager
    def exclusively(self, name: str, *, longest: timedelta) -> Iterator[None]:
        """As `Vault`: the lease ends after `longest` by the database's clock, so that the dead hold nothing."""
        holder = secrets.token_hex(16)
        self._wait_for(name, holder, longest)
        try:
            yield
        finally:
            with suppress(Transient):  # its end frees the lease as well
                self._let_go(name, holder)

    def rotate(self) -> int:
        """Encrypt everything with the first key; returns how many secrets there are.

        Raises Refused, after all others were done, naming those that no key opens.
        """
        with _answering(), self._ledger.read() as connection:
            names = connection.execute(select(vault.c.name).where(vault.c.value.is_not(None))).scalars().all()
        lost = [name for name in names if not self._rotated(name)]
        if lost:
            raise Refused(f"PAROM_SECRET_KEY holds no key for {', '.join(lost)}")
        return len(names)

    def _rotated(self, name: str) -> bool:
        with _answering(), self._ledger.write() as connection:
            query = select(vault.c.value).where(vault.c.name == name).with_for_update()
            sealed = connection.execute(query).scalar()
            try:
                anew = sealed and self._fernet.rotate(sealed.encode()).decode()
            except InvalidToken:
                return False
            connection.execute(update(vault).where(vault.c.name == name).values(value=anew))
        return True

    def _wait_for(self, name: str, holder: str, longest: timedelta) -> None:
        waited, patience = 0.0, longest.total_seconds()
        while not self._take(name, holder, longest):
            if waited >= patience:
                raise Throttled(f"{name} is held by another process", wait=PAUSE)
            pause = min(random.uniform(PAUSE / 2, PAUSE), patience - waited)
            self._sleep(pause)
            waited += pause

    def _take(self, name: str, holder: str, longest: timedelta) -> bool:
        with _answering(), self._ledger.read() as connection:
            if self._is_held(connection, name):
                return False
        with _answering(), self._ledger.write() as connection:
            now = self._ledger.now(connection)
            connection.execute(insert_into(connection, vault).values(name=name).on_conflict_do_nothing())
            is_free = or_(vault.c.holder.is_(None), vault.c.held_until <= now)
            lease = {"holder": holder, "held_until": now + longest}
            return connection.execute(update(vault).where(vault.c.name == name, is_free).values(lease)).rowcount == 1

    def _is_held(self, connection: Connection, name: str) -> bool:
        now = self._ledger.now(connection)
        is_held = (vault.c.holder.is_not(None), vault.c.held_until > now)
        return connection.execute(select(vault.c.name).where(vault.c.name == name, *is_held)).first() is not None

    def _let_go(self, name: str, holder: str) -> None:
        with _answering(), self._ledger.write() as connection:
            is_ours = (vault.c.name == name, vault.c.holder == holder)
            connection.execute(update(vault).where(*is_ours).values(holder=None, held_until=None))

    def _opened(self, name: str, sealed: str) -> str:
        try:
            within, _, value = self._fernet.decrypt(sealed.encode()).decode().partition("\n")
        except InvalidToken:
            within, value = "", ""
        # Raised here and not in the handler, so that no error keeps a ciphertext in its `__context__`.
        if within != name:
            raise Refused(f"PAROM_SECRET_KEY holds no key for {name}: was a key dropped before `rotate`?")
        return value

    @cached_property
    def _fernet(self) -> MultiFernet:
        keys = re.split(r"[,\s]+", self._keys.strip())
        if keys == [""]:
            raise Refused("a secret must be kept and PAROM_SECRET_KEY is not set (docs/onec_handlers.md)")
        try:
            fernets = [Fernet(key) for key in keys if key]
        except ValueError:
            fernets = []
        if not fernets:
            raise Refused("PAROM_SECRET_KEY must hold Fernet keys: 32 bytes each, in URL-safe base64, by commas")
        return MultiFernet(fernets)


@contextmanager
def _answering() -> Iterator[None]:
    """A database that is away makes a call fail as any outage does."""
    try:
        yield
    except _AWAY:
        raise Transient("the vault's database does not answer") from None
