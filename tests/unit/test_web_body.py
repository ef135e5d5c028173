"""A stranger's JSON: read as every reader would, or not at all."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.web.onec_public.body import Unreadable, read_object
from workers.web.onec_public.envelope import Failure
from workers.web.onec_public.limits import Counters, Limits, _network

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_plain_object_is_read_as_it_is(body, is_ascii):
    assert read_object(json.dumps(body, ensure_ascii=is_ascii).encode()) == body


@given(st.binary(max_size=200) | st.text('{}[]":,\\a1', max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_whatever_comes_is_read_or_refused(data):
    with suppress(Unreadable):
        assert isinstance(read_object(data), dict)


@pytest.mark.parametrize("quotes", [b'"[\\"[[["', b'"\\\\"', b'"\\u005b["'])
def test_brackets_in_strings_are_no_levels(quotes):
    body = b'{"a":' + b"[" * 19 + quotes + b"]" * 19 + b"}"
    assert read_object(body)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3::4", "20010db800010002"),
        ("::ffff:203.0.113.9", "::ffff:cb00:7109"),
        ("", "unknown"),
    ],
)
def test_an_ipv6_network_is_one_asker(address, network):
    assert _network(address) == network


def test_a_window_begins_anew(redis):
    now = [1_000_000.0]
    counters = Counters(redis, Limits(per_base=2), clock=lambda: now[0])
    counters.base("b")
    counters.base("b")
    with pytest.raises(Failure) as caught:
        counters.base("b")
    assert caught.value.headers == {"Retry-After": "10"}
    now[0] += 10
    counters.base("b")
