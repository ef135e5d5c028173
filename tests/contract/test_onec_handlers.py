"""What only the handlers of 1C do: speak in ways of their own, and make of a repeat what their programmers did."""

import time

import fakeredis
import pytest

from connectors.base import WriteClass
from connectors.errors import InDoubt, Throttled
from tests.contract.subjects import SUBJECTS, failure, is_wrong, together

ORDERS = SUBJECTS["base_orders"]


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"bom": False, "content_type": "text/plain; charset=utf-8"},
        {"content_type": "text/html", "link_shape": "https"},
    ],
    ids=str,
)
def test_a_good_answer_is_read_however_it_is_written(sandbox, connect, switches):
    sandbox("POST", "/switches/onec_handlers", **switches)
    connector = connect("onec_handlers")
    made = connector.target("orders").create(ORDERS.payload("5"))
    ((_, stored),) = sandbox.held(ORDERS)
    assert (made, made.link) == (stored["id_1c"], stored["link"])
    (document,) = connector.get_orders(5)
    assert (document["title"].partition(" от ")[0], document["link"]) == (
        f"Заказ клиента {stored['number']}",
        made.link,
    )
    assert connector.handlers_version() == "1.4.2"
    assert connector.send_table([{"amo_name": "Город", "amo_id": 100010, "entity_name": "Контакт"}]) == 1
    assert [row["amo_id"] for row in sandbox.table("onec_handlers", "corr_table")] == [100010]


def test_parties_of_an_order_are_those_that_were_sent_alone(sandbox, connect):
    connector = connect("onec_handlers")
    parties = {name: ORDERS.payload("5")[name] for name in ("contact", "company")}
    alone = {
        "contact": connector.target("contacts").create(parties["contact"]),
        "company": connector.target("companies").create(parties["company"]),
    }
    connector.target("orders").create(ORDERS.payload("5"))
    ((_, stored),) = sandbox.held(ORDERS)
    assert {name: stored[f"{name}_id_1c"] for name in parties} == alone
    assert len(sandbox.table("onec_handlers", "counterparties")) == 2


@pytest.mark.parametrize("shape", ["error", "success", "Ошибка"])
def test_a_complaint_is_the_records_in_any_shape_and_does_not_stop_the_base(sandbox, connect, shape):
    connector = connect("onec_handlers")
    sandbox("POST", "/switches/onec_handlers", error="Контрагент с таким ИНН уже существует", error_shape=shape)
    error = failure(sandbox, "onec_handlers", lambda: connector.target("orders").create(ORDERS.payload("5")))
    assert is_wrong(error)
    assert "ИНН" in error.told
    connector.probe()
    assert sandbox.keys(ORDERS) == []


@pytest.mark.parametrize("shape", ["html", "json"])
@pytest.mark.parametrize("is_safe", [True, False])
def test_an_exception_may_have_written_something_which_matters_where_a_repeat_does_harm(
    sandbox, connect, shape, is_safe
):
    orders = connect("onec_handlers", repeats_are_safe=is_safe).target("orders")
    sandbox("POST", "/switches/onec_handlers", exception="Деление на 0", exception_shape=shape)
    error = failure(sandbox, "onec_handlers", lambda: orders.create(ORDERS.payload("5")))
    assert is_wrong(error) if is_safe else type(error) is InDoubt
    assert "ОбщийМодуль.ОбменAmoCRM.Модуль(412)" in str(error)


def test_where_a_repeat_makes_a_second_one_the_class_says_so(sandbox, connect):
    sandbox("POST", "/switches/onec_handlers", repeats="double")
    orders = connect("onec_handlers", repeats_are_safe=False).target("orders")
    assert orders.write_class is WriteClass.CREATE_BLIND
    made = orders.create(ORDERS.payload("5"))
    assert orders.create(ORDERS.payload("5")) != made
    assert orders.update(made, ORDERS.payload("5")) == made
    assert sandbox.keys(ORDERS) == ["5", "5"]


def test_all_workers_together_never_have_more_requests_under_way_than_the_base_shall_bear(sandbox, connect):
    sandbox("POST", "/switches/onec_handlers", latency_s=0.05)
    how = {"redis": fakeredis.FakeRedis(server=fakeredis.FakeServer()), "sleep": time.sleep, "concurrency": 2}
    workers = [connect("onec_handlers", **how).target("orders") for _ in range(2)]
    made = together(12, lambda number: workers[number % 2].create(ORDERS.payload(str(number))))
    assert set(made) - {Throttled} == {row["id_1c"] for _, row in sandbox.held(ORDERS)}
    arrivals = [entry["at"] for entry in sandbox.journal("onec_handlers")]
    assert len(arrivals) > 2
    assert max(sum(at - 0.05 < other <= at for other in arrivals) for at in arrivals) <= 2
