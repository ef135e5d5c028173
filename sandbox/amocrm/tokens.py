"""OAuth 2.0 of one integration (facts/amocrm.md §2): codes, access tokens, and refresh tokens that work only once.

The caller holds the lock. Lives are counted on the sandbox's elapsed seconds, so that `advance_s` ends them.
"""

import base64
import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sandbox.amocrm.reference import ACCOUNT_ID, ADMIN
from sandbox.amocrm.refusal import Refusal, grant_refused
from sandbox.amocrm.switches import Switches
from sandbox.clock import Clock

_KEY = b"sandbox-amocrm-signing-key"
_FIRST_MOMENT, _FIVE_YEARS = 1_735_689_600, 5 * 365 * 86_400


@dataclass(slots=True)
class Grant:
    """A code or a refresh token: when it ends, whether it was used; `family` is the first refresh token's number."""

    ends: float
    family: int
    is_spent: bool = False


def jwt(claims: dict[str, Any]) -> str:
    """Signed, because clients read the claims and some look for three pieces."""
    pieces = [_base64(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "HS256"}, claims)]
    signature = hmac.new(_KEY, ".".join(pieces).encode(), hashlib.sha256).digest()
    return ".".join((*pieces, _base64(signature)))


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _claims(client_id: str, token_id: str, issued: int, ttl_s: float) -> dict[str, Any]:
    return {
        "aud": client_id,
        "jti": token_id,
        "iat": issued,
        "nbf": issued,
        "exp": int(issued + ttl_s),
        "sub": str(ADMIN),
        "account_id": ACCOUNT_ID,
        "base_domain": "amocrm.example",
        "version": 2,
        "scopes": ["crm", "notifications"],
        "api_domain": "api-b.amocrm.example",
    }


LONG_LIVED = jwt(_claims(Switches().client_id, "long-lived", _FIRST_MOMENT, _FIVE_YEARS))
FIRST_REFRESH = f"def50200{hashlib.sha512(b'first').hexdigest()}"


class Tokens:
    def __init__(self, clock: Clock, switches: Switches) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._access: dict[str, tuple[float, int]] = {}
        self._codes: dict[str, Grant] = {}
        self._refresh = {FIRST_REFRESH: Grant(clock.elapsed() + switches.refresh_ttl_s, 0)}

    def is_valid(self, token: str, switches: Switches) -> bool:
        """Whether a bearer of it is let in."""
        if hmac.compare_digest(token.encode(), LONG_LIVED.encode()):
            return switches.token_state == "active"  # noqa: S105 - a state
        return token in self._access and self._clock.elapsed() < self._access[token][0]

    def new_code(self, switches: Switches) -> str:
        """As a person's consent gives one."""
        number = next(self._numbers)
        code = f"def50200{hashlib.sha256(f'code {number}'.encode()).hexdigest()}"
        self._codes[code] = Grant(self._clock.elapsed() + switches.code_ttl_s, number)
        return code

    def new_pair(self, switches: Switches, family: int | None = None) -> dict[str, Any]:
        """The body of a successful exchange."""
        number, now = next(self._numbers), int(self._clock.now().timestamp())
        access = jwt(_claims(switches.client_id, f"access-{number}", now, switches.access_ttl_s))
        refresh = f"def50200{hashlib.sha512(f'refresh {number}'.encode()).hexdigest()}"
        family = number if family is None else family
        self._access[access] = (self._clock.elapsed() + switches.access_ttl_s, family)
        self._refresh[refresh] = Grant(self._clock.elapsed() + switches.refresh_ttl_s, family)
        return {
            "token_type": "Bearer",
            "expires_in": int(switches.access_ttl_s),
            "access_token": access,
            "refresh_token": refresh,
            "server_time": now,
        }

    def exchange(self, body: Any, switches: Switches) -> dict[str, Any]:
        """The answer to POST /oauth2/access_token; raises Refusal."""
        given = body if isinstance(body, dict) else {}
        grants = {"authorization_code": self._by_code, "refresh_token": self._by_refresh}
        take = grants.get(str(given.get("grant_type")))
        if take is None:
            raise grant_refused(switches, "Check the grant_type parameter")
        known = {"client_id": switches.client_id, "client_secret": switches.client_secret}
        if any(given.get(name) != value for name, value in known.items()):
            raise grant_refused(switches, "Client authentication failed")
        if given.get("redirect_uri") != switches.redirect_uri:
            raise grant_refused(switches, "Redirect URI does not match the registered one")
        return self.new_pair(switches, take(given, switches))

    def current_subdomain(self, refresh: str, switches: Switches) -> dict[str, Any]:
        """Whose refresh token this is, which is not spent by asking; raises Refusal."""
        grant = self._refresh.get(refresh)
        if grant is None or grant.is_spent or self._clock.elapsed() >= grant.ends:
            raise Refusal(HTTPStatus.UNAUTHORIZED)
        domain = f"{switches.subdomain}.amocrm.example"
        return {
            "id": ACCOUNT_ID,
            "subdomain": switches.subdomain,
            "domain": domain,
            "top_level_domain": "amocrm.example",
        }

    def revoke(self) -> None:
        """Every code and token of the integration, as an uninstall does; the long-lived one has a switch."""
        self._access.clear()
        for grant in [*self._codes.values(), *self._refresh.values()]:
            grant.is_spent = True

    def farewell(self, switches: Switches) -> dict[str, Any]:
        """The parameters with which amoCRM calls the integration's address when it is uninstalled."""
        signed = f"{switches.client_id}|{ACCOUNT_ID}".encode()
        signature = hmac.new(switches.client_secret.encode(), signed, hashlib.sha256).hexdigest()
        return {"client_uuid": switches.client_id, "account_id": ACCOUNT_ID, "signature": signature}

    def expire_access(self) -> None:
        self._access.clear()

    def counts(self) -> dict[str, int]:
        now = self._clock.elapsed()
        return {
            "access": sum(ends > now for ends, _ in self._access.values()),
            "refresh": sum(not grant.is_spent and grant.ends > now for grant in self._refresh.values()),
            "spent": sum(grant.is_spent for grant in self._refresh.values()),
        }

    def _by_code(self, given: dict[str, Any], switches: Switches) -> None:
        grant = self._codes.get(str(given.get("code")))
        if grant is None:
            raise grant_refused(switches, "Cannot decrypt the authorization code")
        if grant.is_spent:
            raise grant_refused(switches, "Authorization code has been revoked")
        if self._clock.elapsed() >= grant.ends:
            raise grant_refused(switches, "Authorization code has expired")
        grant.is_spent = True

    def _by_refresh(self, given: dict[str, Any], switches: Switches) -> int:
        grant = self._refresh.get(str(given.get("refresh_token")))
        if grant is None or (not grant.is_spent and self._clock.elapsed() >= grant.ends):
            raise grant_refused(switches, "Invalid refresh token")
        if grant.is_spent:
            if switches.reuse_revokes_family:
                self._revoke_family(grant.family)
            raise grant_refused(switches, "Token has been revoked")
        grant.is_spent = True
        if switches.refresh_revokes_access:
            self._drop_access(grant.family)
        return grant.family

    def _revoke_family(self, family: int) -> None:
        self._drop_access(family)
        for grant in self._refresh.values():
            grant.is_spent = grant.is_spent or grant.family == family

    def _drop_access(self, family: int) -> None:
        self._access = {token: held for token, held in self._access.items() if held[1] != family}
