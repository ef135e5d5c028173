"""What a vendor's stand-in must offer to be served: a pure `handle` over its own store, everything else is shared."""

from typing import Any, Protocol

from sandbox.wire import Request, Response, Trace


class UnknownEntity(LookupError):
    """The admin side asked for rows that this system does not have."""


class System(Protocol):
    """One outside system. Thread-safe: `handle` guards its store with its own lock and sends nothing itself."""

    @property
    def name(self) -> str: ...

    @property
    def switches(self) -> Any:
        """The positions of the switches, a frozen dataclass."""

    def handle(self, request: Request) -> Response:
        """Answer as the vendor would; the response's trace says what was touched and whether it was committed."""

    def trace(self, request: Request) -> Trace:
        """What a request asks for, without doing it: a fault may keep it from ever being handled."""

    def revoked(self) -> Response:
        """The vendor's answer to a secret that is no longer valid."""

    def throttled(self, retry_after_s: int) -> Response:
        """The vendor's answer to a client that is too fast."""

    def failure(self, code: str, text: str) -> dict[str, Any]:
        """The vendor's error body for any code."""

    def rows(self, entity: str) -> list[dict[str, Any]]:
        """Every row of an entity, full, lowest id first; raises UnknownEntity."""

    def switch(self, changes: dict[str, Any]) -> None:
        """Turn switches; raises ValueError naming the wrong one."""

    def reset(self) -> None:
        """Back to the state of a fresh process, switches included."""
