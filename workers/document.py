"""`parom.toml` as it is written: its values before any check, and the line on which each key stands."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.faults import Fault, Problem, SettingsError

WHERE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")
SEGMENT = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
DOTTED = rf"\s*({SEGMENT}(?:\s*\.\s*{SEGMENT})*)\s*"
HEADER = re.compile(rf"\s*\[(\[)?{DOTTED}\]\]?\s*(?:#.*)?$")
ASSIGNMENT = re.compile(rf"{DOTTED}=")


@dataclass(frozen=True)
class Document:
    path: Path
    values: Mapping[str, Any]
    lines: Mapping[tuple[str, ...], int]

    @property
    def folder(self) -> Path:
        """What the file's own paths are relative to."""
        return self.path.absolute().parent

    def error(self, faults: Iterable[Fault]) -> SettingsError:
        """The faults as problems, in the order of their lines."""
        problems = sorted(map(self._problem, faults), key=lambda problem: problem.line or 0)
        return SettingsError(self.path, problems)

    def _problem(self, fault: Fault) -> Problem:
        """On the line of its key or, if the file lacks that, of the nearest table around it."""
        places = (self.lines.get(fault.path[:length]) for length in range(len(fault.path), 0, -1))
        return Problem(".".join(fault.path), fault.message, fault.hint, next(filter(None, places), None))


def read_document(path: Path) -> Document:
    """Raises SettingsError if the file is missing, unreadable or not TOML."""
    text = _text(path)
    return Document(path, _values(path, text), _line_numbers(text))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise SettingsError(path, [Problem("", "there is no such file", "`parom init` writes one")]) from error
    except OSError as error:
        raise SettingsError(path, [Problem("", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise SettingsError(path, [Problem("", "is not UTF-8 text", "save it as UTF-8")]) from error


def _values(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = WHERE.search(str(error))
        line, column = (int(where[1]), int(where[2])) if where and where[1] else (text.rstrip().count("\n") + 1, 1)
        problem = Problem("", f"is not TOML at column {column}: {WHERE.sub('', str(error))}", line=line)
        raise SettingsError(path, [problem]) from error


def _line_numbers(text: str) -> dict[tuple[str, ...], int]:
    """Path → line, as far as a look at each line alone can tell."""
    found: dict[tuple[str, ...], int] = {}
    repeated: Counter[tuple[str, ...]] = Counter()
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := HEADER.match(line):
            table = _segments(header[2])
            if header[1]:
                repeated[table] += 1
                table = (*table, str(repeated[table] - 1))
            found.setdefault(table, number)
        elif assignment := ASSIGNMENT.match(line):
            found.setdefault((*table, *_segments(assignment[1])), number)
    return found


def _segments(dotted: str) -> tuple[str, ...]:
    return tuple(segment.strip("\"'") for segment in re.findall(SEGMENT, dotted))
