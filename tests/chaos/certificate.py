"""What a chaos run showed, as a table to print and as a section of the page that keeps the last results."""

import os
import platform
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles

from tests.chaos.oracle import Verdict
from tests.chaos.round import Result

PROMISES = {
    "lost": "lost",
    "duplicated": "duplicated",
    "reordered": "reordered",
    "orphaned": "child before its parent",
    "untrue_notes": "wrong notes",
    "restless": "writes with nothing changed",
    "other": "other",
}
RULE_OF_THREE = 3
"""With nothing found in n trials, the rate is below 3/n with a probability of 95 %."""


def machine() -> str:
    """What the figures were measured on."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "redis", "SQLAlchemy"))
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


class Certificate:
    """The page; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def put_run(self, results: Sequence[Result], measured_on: str) -> str:
        """Keep a run under its database, in place of the last one; returns its text."""
        text = _run(results, measured_on)
        self._put(f"run on {results[0].database}", text)
        return text

    def put_recovery(self, results: Sequence[Result], measured_on: str) -> str:
        """Keep how soon others went on after a worker's death, in place of the last such run; returns its text."""
        recoveries = sorted(time for result in results for time in result.recoveries)
        deaths = sum(result.faults.total() for result in results)
        text = f"{_today()}, {measured_on}, {results[0].database}: {deaths} deaths; {_recovery(recoveries)}."
        self._put("recovery", text)
        return text

    def put_mutations(self, caught: Mapping[str, tuple[int, str] | None]) -> None:
        """Keep which missing mechanism was noticed, and when."""
        rows = [
            f"| {name} | {found[0]} | {_without_ids(found[1])} |" if found else f"| {name} | **not noticed** | |"
            for name, found in caught.items()
        ]
        self._put("mutations", "\n".join(["| without | faults | the first violation |", "|---|---|---|", *rows]))

    def _put(self, section: str, text: str) -> None:
        if self._path is None:
            return
        begin, end = f"<!-- {section}: written by make chaos -->", f"<!-- end of {section} -->"
        page = self._path.read_text()
        block = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not block.search(page):
            raise ValueError(f"{self._path} has no place for: {section}")
        self._path.write_text(block.sub(lambda _: f"{begin}\n{text}\n{end}", page))


def _run(results: Sequence[Result], measured_on: str) -> str:
    verdict = sum((result.verdict for result in results), Verdict())
    faults = sum((result.faults for result in results), Counter())
    seconds = sum(result.seconds for result in results)
    rows = {
        "faults": f"{faults.total()} of {len(faults)} kinds",
        "rounds, seeds": f"{len(results)}, {results[0].seed} to {results[-1].seed}",
        "acts of people in the source": sum(result.acts for result in results),
        "records, versions of them, writes to targets": f"{verdict.records}, {verdict.versions}, {verdict.writes}",
        **{title: len(getattr(verdict, name)) for name, title in PROMISES.items()},
        "parked": sum(result.parked for result in results),
        "minutes": f"{seconds / 60:.0f}",
    }
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
    bound = RULE_OF_THREE / max(1, verdict.records)
    return (
        f"{_today()}, {measured_on}.\n\n{table}\n\n"
        f"With nothing found, fewer than {bound:.2%} of records are lost, doubled or overtaken (95 %).\n\n"
        f"Faults by kind: {kinds}."
    )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _recovery(times: Sequence[float]) -> str:
    if len(times) < 2:
        return "none was held"
    hundredths = quantiles(times, n=100, method="inclusive")
    return f"p50 {hundredths[49]:.1f} s, p99 {hundredths[98]:.1f} s, longest {times[-1]:.1f} s (of {len(times)})"


def _without_ids(violation: str) -> str:
    return re.sub(r"\d+:", "…:", violation)
