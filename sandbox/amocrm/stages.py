"""Where a lead stands (facts/amocrm.md §8): 142 and 143 are in every pipeline, the incoming stage takes nobody."""

from typing import Any

from sandbox.amocrm.call import Call
from sandbox.amocrm.reference import CLOSED, LOST, MAIN_PIPELINE, PIPELINES, UNSORTED_TYPE
from sandbox.amocrm.refusal import Wrong

Row = dict[str, Any]


def place(call: Call, values: Row, held: Row | None) -> None:
    """Pipeline and stage, which is why 142 alone says nothing; raises Wrong."""
    if "status_id" not in values and "pipeline_id" not in values and held:
        return
    pipeline = values.get("pipeline_id", held["pipeline_id"] if held else MAIN_PIPELINE)
    status = values.get("status_id")
    if "pipeline_id" not in values and status and status not in CLOSED:
        home = next((one["id"] for one in PIPELINES.values() if status in _stages(one["id"])), pipeline)
        if call.switches.status_without_pipeline == "resolves":
            pipeline = home
    if pipeline not in PIPELINES:
        raise Wrong("NotSupportedChoice", "pipeline_id")
    stages = _stages(pipeline)
    status = next(iter(stages)) if status is None else status
    if status not in stages:
        raise Wrong("NotSupportedChoice", "status_id")
    values |= {"pipeline_id": pipeline, "status_id": status}
    if status != LOST:
        values["loss_reason_id"] = None


def _stages(pipeline: int) -> list[int]:
    """Those that a lead can be moved to: the incoming one is for incoming leads."""
    return [one["id"] for one in PIPELINES[pipeline]["statuses"] if one["type"] != UNSORTED_TYPE]
