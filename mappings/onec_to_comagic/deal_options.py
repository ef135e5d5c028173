"""What a flow of Interests to the history of deals can configure; the stages are the customer's own (brief 000)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """A stage of CoMagic's sales funnel."""

    id: str = field(metadata={"help": "CoMagic's id of the stage (stage_ext_id)"})
    closes: bool = field(
        default=False, metadata={"help": "whether the deal ends there, won or lost; it then has a date of closing"}
    )


@dataclass(frozen=True, kw_only=True)
class DealOptions:
    """The part of a flow's configuration that this mapping reads."""

    funnel: str = field(metadata={"help": "CoMagic's id of the sales funnel (sales_funnel_ext_id)"})
    stages: Mapping[str, Stage] = field(
        metadata={
            "help": "state of an Interest (its GUID in 1C, or the code that 1C sends) to CoMagic's stage",
            "example": {"fill-in-guid-of-new": Stage("NEW"), "fill-in-guid-of-won": Stage("WON", closes=True)},
        }
    )
    skip_unknown_stages: bool = field(
        default=False, metadata={"help": "skip an Interest in a state that stages do not have; otherwise refuse it"}
    )
    communication_field: str = field(
        default="communication_id", metadata={"help": "CoMagic's custom field for the id of the call or request"}
    )
    send_comment: bool = field(default=True, metadata={"help": "send the description of the Interest as comments"})

    @property
    def codes(self) -> tuple[str, ...]:
        """All that makes a row of the history."""
        comment = ("comment",) if self.send_comment else ()
        return (
            *("id", "name", "created_at", "stage", "stage_changed_at", "modified_at", "revenue", *comment),
            *("phones", "emails", "communication_id", "communication_type", "is_deleted"),
        )

    def stage_of(self, state: str) -> Stage | None:
        """CoMagic's stage for a state of 1C, in whatever case either is written."""
        return {same(known): stage for known, stage in self.stages.items()}.get(same(state))

    def problems(self) -> Iterator[tuple[str, str]]:
        """What types cannot express: (dotted path below the flow, what is wrong and what to do about it)."""
        for option, hint in (("funnel", "ask get.sales_funnel for it"), ("communication_field", "or leave it out")):
            if not getattr(self, option).strip():
                yield option, f"is empty; name CoMagic's id, {hint}"
        if not self.stages:
            yield "stages", "is empty, so no Interest could be sent; name CoMagic's stage for every state"
        yield from self._stage_problems()

    def _stage_problems(self) -> Iterator[tuple[str, str]]:
        states: dict[str, str] = {}
        closes: dict[str, bool] = {}
        for state, stage in self.stages.items():
            if not state.strip():
                yield "stages", "has an empty state, which no Interest has; take it out"
            if same(state) in states:
                yield f"stages.{state}", f"is the same state as {states[same(state)]}; take one out"
            if not stage.id.strip():
                yield f"stages.{state}.id", "is empty; ask get.sales_funnel for it"
            if closes.get(stage.id, stage.closes) != stage.closes:
                yield f"stages.{state}.closes", f"differs from that of another state with {stage.id}; make them agree"
            states.setdefault(same(state), state)
            closes.setdefault(stage.id, stage.closes)


def same(state: str) -> str:
    """A form in which equal states are equal."""
    return state.strip().casefold()
