"""Puts what stands outside `parom.toml` in the place of `${NAME}` and `${file:PATH}`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from connectors.base import Secret
from workers.faults import Fault

REFERENCE = re.compile(r"\$\{([^}]*)\}")


class Given(Secret):
    """Text that came whole from the environment or a file, not from `parom.toml`."""

    __slots__ = ()


class Substitution:
    """Expands every text of a document; what cannot be found becomes "" and a fault."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self.faults: list[Fault] = []
        self._environ, self._folder = environ, folder

    def expand(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        if isinstance(value, dict):
            return {key: self.expand(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*path, str(number))) for number, item in enumerate(value)]
        return self._text(value, path) if isinstance(value, str) and REFERENCE.search(value) else value

    def _text(self, text: str, path: tuple[str, ...]) -> Secret:
        try:
            value = REFERENCE.sub(lambda match: self._look_up(match[1]), text)
        except LookupError as error:
            self.faults.append(Fault(path, str(error.args[0])))
            return Given("")
        return Given(value) if REFERENCE.fullmatch(text) else Secret(value)

    def _look_up(self, name: str) -> str:
        if name.startswith("file:"):
            return self._read(name.removeprefix("file:"))
        if not (value := self._environ.get(name)):
            raise LookupError(f"the environment variable {name} is {'not set' if value is None else 'empty'}")
        return value

    def _read(self, name: str) -> str:
        try:
            text = (self._folder / name).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise LookupError(f"the file {name} cannot be read: {reason}") from error
        if not text:
            raise LookupError(f"the file {name} is empty")
        return text
