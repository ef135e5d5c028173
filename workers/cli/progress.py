"""Progress of a drain while it works, and the table at its end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tasks.ledger.report import FlowReport
from workers.cli.status import advice, flows_table
from workers.drain import Drained

SETTLED = ("done", "skipped", "rejected", "parked", "waiting")

Watch = Callable[[Sequence[FlowReport]], None]


@contextmanager
def shown_progress(console: Console) -> Iterator[Watch]:
    """A bar per flow: records settled of records seen. Yields the function that is told of every look."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[doing]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, redirect_stderr=False) as progress:
        bars: dict[str, TaskID] = {}

        def watch(reports: Sequence[FlowReport]) -> None:
            for each in reports:
                if each.name not in bars:
                    bars[each.name] = progress.add_task(each.name, total=None, doing="")
                settled = sum(each.by_state.get(state, 0) for state in SETTLED)
                seen = sum(each.by_state.values())
                progress.update(bars[each.name], completed=settled, total=seen or None, doing=_doing(each))

        yield watch


def _doing(flow: FlowReport) -> str:
    if flow.paused_by:
        return "paused"
    if flow.is_polling:
        return "reading the source"
    return f"{flow.notes_due} notes to write" if flow.notes_due else ""


def summary(console: Console, drained: Drained) -> None:
    """What happened, and what a person should do next."""
    console.print()
    console.print(flows_table(list(drained.reports)))
    lines = advice(list(drained.reports))
    for line in lines:
        console.print(line, markup=False)
    if not lines:
        console.print("Nothing is left to do.")
    console.print(f"{drained.seconds:.1f} s", style="dim")
