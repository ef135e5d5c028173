"""What `parom check` is to find in a target, by what a flow is configured to do there."""

from mappings.onec_handlers_to_amocrm import EventOptions, LeadOptions
from mappings.onec_handlers_to_amocrm.event_options import Effect, Stage
from tasks.flows import KINDS


def demanded(kind, options):
    return {(need.code, need.types) for need in KINDS[kind].demands(options)}


def test_orders_need_the_pipeline_or_the_stage_in_it_where_new_leads_go():
    kind = "onec-orders-to-amocrm-leads"
    assert demanded(kind, LeadOptions()) == set()
    assert demanded(kind, LeadOptions(pipeline_id=31)) == {("31", ("pipeline",))}
    assert demanded(kind, LeadOptions(pipeline_id=31, status_id=142)) == {("31/142", ("status",))}


def test_events_need_the_stages_and_fields_that_they_write():
    paid = Effect(stage=Stage(pipeline_id=31, status_id=142), fields={"PAID": "{sum}"})
    lost = Effect(stage=Stage(pipeline_id=31, status_id=143))
    options = EventOptions(effects={"payment": paid, "part_payment": paid, "cancel_order": lost})
    needs = KINDS["onec-events-to-amocrm"].demands(options)
    assert demanded("onec-events-to-amocrm", options) == {
        ("31/142", ("status",)),
        ("31/143", ("status",)),
        ("PAID", ()),
    }
    assert len(needs) == 3
