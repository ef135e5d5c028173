"""The sandbox's time: real until the admin side offsets, freezes or advances it."""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Two readings: `now` is what vendors print into rows, `elapsed` is what limits and lags are counted in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self._offset = timedelta()
        self._frozen: datetime | None = None
        self._advanced_s = 0.0

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""
        return self._frozen or datetime.now(UTC) + self._offset

    def elapsed(self) -> float:
        """Monotonic seconds plus what was advanced; freezing does not stop it, or a rate limit would never drain."""
        return time.monotonic() + self._advanced_s

    def change(
        self, *, offset_s: float | None = None, freeze: str | bool | None = None, advance_s: float | None = None
    ) -> None:
        """`freeze` takes true (here), false (run on) or an ISO moment; `offset_s` is absolute, `advance_s` adds up."""
        with self._lock:
            if offset_s is not None:
                self._offset = timedelta(seconds=float(offset_s))
            if freeze is not None:
                self._frozen = self._moment(freeze=freeze)
            if advance_s is not None:
                self._advance(float(advance_s))

    def state(self) -> dict[str, object]:
        return {
            "now": self.now().isoformat(),
            "offset_s": self._offset.total_seconds(),
            "frozen": self._frozen is not None,
            "advanced_s": self._advanced_s,
        }

    def _moment(self, *, freeze: str | bool) -> datetime | None:
        if isinstance(freeze, str):
            moment = datetime.fromisoformat(freeze)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        return self.now() if freeze else None

    def _advance(self, seconds: float) -> None:
        self._advanced_s += seconds
        if self._frozen is not None:
            self._frozen += timedelta(seconds=seconds)
        else:
            self._offset += timedelta(seconds=seconds)
