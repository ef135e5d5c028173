"""What an outside call can end in, named by what happens next. `tasks/policy.py` alone decides the rest.

    ConnectorError
    ├── Transient      down, throttled, failed before it was sent   → later; nothing was written
    │   └── Throttled  the vendor or our own budget says "not now"  → later; costs no attempt
    ├── InDoubt        sent, but no usable answer                   → find by key before writing again
    ├── Rejected       this record is wrong in the target's eyes    → the manager is told
    │   ├── LimitReached  the target takes no more new entities     → creations pause, operator is told
    │   └── ParentMissing the target lacks what this one belongs to → it waits, the parent is delivered first
    └── Refused        key revoked, scope or field gone             → the flow pauses, operator is told

Situation → raise this:

    connection refused, DNS failure, TLS failure before sending     Transient
    no answer, reset, 5xx, HTML or garbage after a READ             Transient
    no answer, reset, 5xx, HTML or garbage after a WRITE            InDoubt
    429, 503 with the vendor's "too many requests" code             Throttled
    4xx naming this record                                          Rejected
    401, 403, unknown method or field, expired certificate          Refused
"""

from collections.abc import Mapping


class ConnectorError(Exception):
    """Base of everything a connector raises on purpose.

    `str(error)` goes to the log and to `parom history`: it names the system, the call and the reason,
    and never holds a secret, a payload or a person's data.
    """


class Transient(ConnectorError):
    """The call changed nothing and may work later. `wait` is the vendor's own word, in seconds, if it gave one."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Throttled(Transient):
    """Refused for its rate, by the vendor or by our own budget; says nothing about the system's health."""


class InDoubt(ConnectorError):
    """A write was sent and its fate is unknown."""


class Rejected(ConnectorError):
    """The target refuses this one record. `told` is the text for the manager: Russian, at most 255 characters.

    `culprit` is the place of the one row for which a call of several was refused, if the target seems to name it.
    """

    culprit: int | None = None

    def __init__(self, message: str, *, told: str) -> None:
        super().__init__(message)
        self.told = told


class LimitReached(Rejected):
    """The target's plan allows no further entity of this type; updates still work."""


class ParentMissing(Rejected):
    """The target does not hold what this entity belongs to; the record waits until its parent is delivered (again)."""


class Refused(ConnectorError):
    """The connection itself is not allowed or not configured as the flow needs; every record would fail alike."""


# What a bare HTTP status means when a system's own error code says nothing better.
# Everything absent from the table: 4xx is Rejected, 5xx is Transient after a read and InDoubt after a write.
STATUS_MEANING: Mapping[int, type[ConnectorError]] = {
    401: Refused,
    403: Refused,
    407: Refused,
    408: Transient,
    425: Transient,
    429: Throttled,
}
