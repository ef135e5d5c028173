"""What is wrong with `parom.toml`, and how a person is told. Nothing here holds a value: it may be a secret."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from workers.logs import escape


class Fault(NamedTuple):
    """What a check finds at `path`, which may be relative to the table that is checked."""

    path: tuple[str, ...]
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Problem:
    """One thing to correct; `key` is the dotted path in the file, or the environment variable."""

    key: str
    message: str
    hint: str = ""
    line: int | None = None


class SettingsError(Exception):
    """All that is wrong with a configuration; `str` gives one line per problem."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path, self.problems = path, tuple(problems)
        super().__init__("\n".join(map(self._line, self.problems)))

    def _line(self, problem: Problem) -> str:
        place = f"{self.path}:{problem.line}" if problem.line else str(self.path)
        hint = f"({problem.hint})" if problem.hint else ""
        return escape(" ".join(filter(None, [f"{place}:", problem.key and f"{problem.key}:", problem.message, hint])))


def suggestion(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt word."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names) or 'none'}"
