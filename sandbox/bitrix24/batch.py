"""`batch` (facts/bitrix24.md §4): sequential, one rate token, every command fails alone, sections printed PHP-style."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.bitrix24.errors import Refusal, batch_too_long, not_array
from sandbox.bitrix24.listing import Result
from sandbox.bitrix24.php import parse_query, php_array
from sandbox.wire import Trace

MAX_COMMANDS = 50
_REFERENCE = re.compile(r"\$result((?:\[[^\]]*\])+)")
_STEP = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call came to, its `time` block (empty after a refusal), and what the journal shall say."""

    result: Result | Refusal
    time: dict[str, Any]
    trace: Trace


Run = Callable[[str, dict[str, Any]], Outcome]


@dataclass(slots=True)
class Sections:
    result: dict[str, Any] = field(default_factory=dict)
    result_error: dict[str, Any] = field(default_factory=dict)
    result_total: dict[str, Any] = field(default_factory=dict)
    result_next: dict[str, Any] = field(default_factory=dict)
    result_time: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {name: php_array(getattr(self, name)) for name in self.__slots__}


def run_batch(params: dict[str, Any], run: Run, *, unresolved: str) -> tuple[dict[str, Any], list[Trace]]:
    """The five sections and a trace per command that was executed. Raises Refusal if `cmd` is no array."""
    sections, traces = Sections(), []
    halts = params.get("halt") in (True, 1, "1", "true", "Y")
    for number, (key, command) in enumerate(_commands(params).items()):
        if number >= MAX_COMMANDS:
            sections.result_error[key] = batch_too_long().body
        else:
            traces.append(_run_one(sections, key, str(command), run, unresolved=unresolved))
        if halts and sections.result_error:
            break
    return sections.as_json(), traces


def _commands(params: dict[str, Any]) -> dict[str, Any]:
    commands = params.get("cmd")
    if isinstance(commands, list):
        return {str(index): command for index, command in enumerate(commands)}
    if not isinstance(commands, dict):
        raise not_array("cmd")
    return commands


def _run_one(sections: Sections, key: str, command: str, run: Run, *, unresolved: str) -> Trace:
    method, _, query = command.partition("?")
    params = _resolved(parse_query(query), sections.result, unresolved)
    outcome = run(method, params)
    result = outcome.result
    if isinstance(result, Refusal):
        sections.result_error[key] = result.body
        return outcome.trace
    sections.result[key] = result.value
    sections.result_time[key] = outcome.time
    if result.total is not None:
        sections.result_total[key] = result.total
    if result.next is not None:
        sections.result_next[key] = result.next
    return outcome.trace


def _resolved(value: Any, results: dict[str, Any], unresolved: str) -> Any:
    """Parameters with `$result[key][0][ID]` replaced by what earlier commands returned."""
    if isinstance(value, dict):
        return {name: _resolved(item, results, unresolved) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, results, unresolved) for item in value]
    reference = _REFERENCE.fullmatch(value)
    if reference is None:
        return value
    found: Any = results
    for step in _STEP.findall(reference[1]):
        found = _step(found, step)
    if found is None:
        return value if unresolved == "literal" else ""
    return found


def _step(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
        return value[int(step)]
    return None
