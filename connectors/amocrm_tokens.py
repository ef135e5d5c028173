"""Where the access token of a call comes from (facts/amocrm.md §2).

A refresh token works once: whoever spends it a second time loses the account until a person authorises us again. So
one process in the whole cluster exchanges it, under the vault's lock, having read the stored pair again inside, and
what comes back is stored before anybody uses it. A refusal is remembered, and that credential never sent again. Nothing
but a new pair is ever written over a pair: a process that was slow may store what it got long after its lease.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from connectors.base import Secret, Vault
from connectors.budget import PATIENCE
from connectors.errors import ConnectorError, InDoubt, Refused, Transient

if TYPE_CHECKING:
    from connectors.amocrm_config import AmoCrmConfig

log = logging.getLogger("parom.amocrm")

AHEAD = 600.0
"""Seconds before its end at which a token is exchanged; more than the clocks of workers differ."""
YOUNG = 60.0
MOST_YOUNG = 5
"""Tokens in a row that were refused within so many seconds: then it is not for their age, and another will not help."""
LIFETIME = 86_400.0
RESPITE = 30.0
"""Seconds without another attempt after one that failed, while the old token still works."""
SAVINGS = 3
"""How often a pair is offered to a vault that is away: there is no other copy of it in the world."""

Grant = Callable[[Mapping[str, str]], Mapping[str, Any]]


class Revoked(Refused):
    """A refresh token or authorization code is worth nothing: only a person can help."""


class Tokens(Protocol):
    """What a caller needs."""

    def current(self) -> Secret:
        """The token to use. Raises Transient, Throttled or Refused."""

    def instead_of(self, token: Secret) -> Secret:
        """Another one, for the vendor does not accept `token`. Raises as `current`; Refused if there is none."""


@dataclass(frozen=True)
class Permanent:
    """A long-lived token, which only people renew."""

    token: Secret
    name: str

    def current(self) -> Secret:
        return self.token

    def instead_of(self, token: Secret) -> Secret:  # noqa: ARG002 - there is no other
        raise Refused(f"{self.name}: the long-lived token is expired or revoked: make a new one in the integration")


@dataclass(frozen=True)
class _Pair:
    """What is stored. Times are Unix seconds. `young` tells how many tokens before this one were refused while new."""

    access: str = ""
    refresh: str = ""
    ends: float = 0.0
    since: float = 0.0
    young: int = 0


class Rotating:
    """The tokens of one authorisation by OAuth2; safe for many threads, processes and hosts."""

    def __init__(
        self,
        config: "AmoCrmConfig",
        vault: Vault,
        grant: Grant,
        *,
        name: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._vault, self._grant, self._name, self._clock = config, vault, grant, name, clock
        # Named after what a person put into the configuration: a new authorisation starts anew, and a renamed
        # account or a changed secret goes on with what is stored.
        first = config.refresh_token or config.authorization_code or ""
        self._place = f"amocrm:{config.client_id}:{_digest(first)}"
        self._refusal = f"{self._place}:refused"
        self._longest = timedelta(seconds=2 * (config.deadline.total_seconds() + PATIENCE))
        self._turn = threading.Lock()
        self._known = _Pair()
        self._unsaved: _Pair | None = None
        self._respite_ends = 0.0
        self._told = ""

    def current(self) -> Secret:
        """As `Tokens`. A token that still works is used for as long as it cannot be exchanged."""
        known, now = self._known, self._clock()
        if not known.access or known.ends <= now:
            with self._turn:
                return self._renewed("")
        if self._is_due(known) and now >= self._respite_ends and self._turn.acquire(blocking=False):
            try:
                return self._renewed("")
            except (Transient, Refused) as error:
                self._respite_ends = now + RESPITE
                self._tell_once(error, known)
            finally:
                self._turn.release()
        return Secret(known.access)

    def instead_of(self, token: Secret) -> Secret:
        with self._turn:
            return self._renewed(str(token))

    def _tell_once(self, error: ConnectorError, known: _Pair) -> None:
        """A person has until the end of the known token to help."""
        if isinstance(error, Refused) and self._told != known.access:
            self._told = known.access
            log.error("the access token cannot be renewed: %s", error, extra={"alert": True})

    def _renewed(self, refused: str) -> Secret:
        if self._unsaved is None:
            self._known = self._stored()
        if self._is_due(self._known) or self._known.access == refused or self._unsaved:
            with self._vault.exclusively(self._place, longest=self._longest):
                self._exchange_unless_done(refused)
        return Secret(self._known.access)

    def _exchange_unless_done(self, refused: str) -> None:
        self._known = self._stored()
        if self._unsaved and self._known.since <= self._unsaved.since:
            self._save(self._unsaved)
            return
        self._unsaved = None
        if not self._is_due(self._known) and self._known.access != refused:
            return
        is_young = bool(refused) and self._clock() - self._known.since < YOUNG
        if is_young and self._known.young >= MOST_YOUNG:
            raise Refused(f"{self._name}: tokens that were granted a moment ago are not accepted: check base_url")
        self._exchange(self._known, young=self._known.young + 1 if is_young else 0)

    def _exchange(self, pair: _Pair, *, young: int) -> None:
        request = self._request(pair)
        mark = _digest(json.dumps(request, sort_keys=True) + self._config.root)
        refusal = self._vault.read(self._refusal) or ""
        if refusal == mark:
            raise self._lost_access("it was refused before")
        reason = ""
        # Whether the vault takes what we write must be known before the only refresh token is spent.
        self._vault.write(self._refusal, refusal)
        try:
            shown = self._grant(request)
        except Revoked as error:
            reason = str(error)
        except InDoubt as error:
            # Nothing of the record was sent. If the exchange was carried out, the next attempt will be told so.
            reason = f"{error}: the refresh token may be spent"
            raise Transient(reason) from None
        else:
            lives = shown.get("expires_in")
            lives = float(lives) if isinstance(lives, int | float) and lives > 0 else LIFETIME
            now = self._clock()
            self._save(_Pair(shown["access_token"], shown["refresh_token"], now + lives, now, young))
            return
        self._vault.write(self._refusal, mark)
        self._known = self._stored()
        if self._known == pair:
            raise self._lost_access(reason)

    def _request(self, pair: _Pair) -> dict[str, str]:
        config = self._config
        request = {
            "client_id": config.client_id,
            "client_secret": str(config.client_secret or ""),
            "redirect_uri": config.redirect_uri,
        }
        refresh = pair.refresh or str(config.refresh_token or "")
        if refresh:
            return {**request, "grant_type": "refresh_token", "refresh_token": refresh}
        return {**request, "grant_type": "authorization_code", "code": str(config.authorization_code or "")}

    def _save(self, pair: _Pair) -> None:
        """Raises Transient if the vault is away; then this process tries again before it does anything else."""
        self._unsaved = pair
        text = json.dumps(asdict(pair))
        for _ in range(SAVINGS - 1):
            with suppress(Transient):
                self._vault.write(self._place, text)
                break
        else:
            self._vault.write(self._place, text)
        self._known, self._unsaved = pair, None

    def _stored(self) -> _Pair:
        text = self._vault.read(self._place)
        return _Pair(**json.loads(text)) if text else _Pair()

    def _is_due(self, pair: _Pair) -> bool:
        """A tenth of a short life is enough ahead, or such a token would be due for ever."""
        ahead = min(AHEAD, (pair.ends - pair.since) / 10)
        return not pair.access or pair.ends - self._clock() <= ahead

    def _lost_access(self, reason: str) -> Refused:
        return Refused(
            f"{self._name}: needs re-authorisation ({reason}): open the integration in amoCRM, grant access again and "
            "put the new refresh_token or authorization_code into the configuration"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
