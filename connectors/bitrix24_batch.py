"""Commands that leave for a Bitrix24 portal together, up to fifty in a call (facts/bitrix24.md §4).

Every command may be repeated safely: it reads, or writes absolute values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from connectors.bitrix24_portal import Portal, section
from connectors.coalesce import Coalescer

COMMANDS_PER_BATCH = 50


@dataclass(frozen=True)
class Command:
    """A method and its parameters, flat as in a query: `{"id": "7", "fields[TITLE]": "text"}`."""

    method: str
    params: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.method}?{urlencode(self.params, quote_via=quote, errors='replace')}"


class Batches:
    """The commands of every caller in this process, whatever they ask: rows, users, notes."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._commands: Coalescer[Command, Any] = Coalescer(self._send, limit=COMMANDS_PER_BATCH)

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Per command, in order: the vendor's result, or the ConnectorError that it came to."""
        return self._commands.submit(commands)

    def _send(self, commands: list[Command]) -> list[Any]:
        """Commands of a method that the portal blocks stay behind, so that the others are not blocked with it."""
        held = {method: self._portal.held(method) for method in {command.method for command in commands}}
        results = iter(self._call([command for command in commands if held[command.method] is None]))
        return [held[command.method] or next(results) for command in commands]

    def _call(self, commands: list[Command]) -> list[Any]:
        if not commands:
            return []
        # Keys that are not numbers keep PHP from turning the answer's maps into lists.
        asked = {f"c{number}": command for number, command in enumerate(commands)}
        cmd = {key: str(command) for key, command in asked.items()}
        result = self._portal.call("batch", {"halt": 0, "cmd": cmd})["result"]
        if not isinstance(result, dict):
            raise self._portal.unusable("batch", "the answer holds no results")
        times = section(result.get("result_time"))
        for key, command in asked.items():
            self._portal.heed_running_time(command.method, times.get(key))
        done, failed = section(result.get("result")), section(result.get("result_error"))
        return [self._outcome(key, command, done, failed) for key, command in asked.items()]

    def _outcome(self, key: str, command: Command, done: Mapping[str, Any], failed: Mapping[str, Any]) -> Any:
        if key in failed:
            return self._portal.command_error(command.method, failed[key])
        # A result may be null; one that is missing was not executed, or nobody knows.
        return done[key] if key in done else self._portal.unusable("batch", "a command was not executed")
