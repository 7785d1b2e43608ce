"""Whatever JSON or query is sent to any binding, it is taken or refused: never a fault, whatever the place and kind.

make fuzz CASES=10000
"""

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from services.runtime.asking import JSON, ask
from wire import fuzz
from wire.test_gateway_bindings import BINDINGS, CASES, World

WORLD = World()
MANY = settings(CASES, max_examples=int(os.environ.get("FUZZ_CASES", "200")))
NAMES = ("id", "spec", "closure", "project", "fields", "value", "limit", "@type", "", "x", "sort_by", "filters.y")
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(fuzz.TEXTS)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoiled(draw: Any, value: Any) -> Any:
    """JSON with something else in some place."""
    if not value or not isinstance(value, dict | list) or draw(st.integers(0, 3)) == 0:
        return draw(JSON_VALUES)
    if isinstance(value, list):
        return [draw(spoiled(value[0])), *value[1:]]
    name = draw(st.sampled_from(sorted(value)))
    return {**value, name: draw(spoiled(value[name]))}


WRITING = [one for one in BINDINGS if one[3]]
READING = [one for one in BINDINGS if not one[3]]


@MANY
@given(
    st.sampled_from(WRITING).flatmap(lambda one: st.tuples(st.just(one), fuzz.messages(one[0].input_type))), st.data()
)
def test_whatever_json_a_body_is_it_is_taken_or_refused(one: Any, data: Any) -> None:
    (_, verb, template, _), request = one
    try:
        value = json_format.MessageToDict(request, preserving_proto_field_name=data.draw(st.booleans()))
    except Exception:
        value = {}
    body = json.dumps(data.draw(spoiled(value))).encode()
    answer = asyncio.run(ask(WORLD.gateway, verb, template.replace("{", "").replace("}", ""), JSON, body=body))
    assert answer.status in (200, 400), answer.body


@MANY
@given(st.sampled_from(READING), st.data())
def test_whatever_a_query_is_it_is_taken_or_refused(one: Any, data: Any) -> None:
    method, verb, template, _ = one
    texts = st.sampled_from(fuzz.TEXTS) | st.text(max_size=5)
    names = st.sampled_from([*fields_below(method.input_type, 3), *NAMES]) | texts
    pairs = data.draw(st.lists(st.tuples(names, texts), max_size=4))
    path = "/".join(quote(data.draw(texts), safe="") if part.startswith("{") else part for part in template.split("/"))
    query = "&".join(f"{quote(name)}={quote(text, safe='')}" for name, text in pairs)
    answer = asyncio.run(ask(WORLD.gateway, verb, f"{path}?{query}"))
    assert answer.status in (200, 400), answer.body


def fields_below(message: Any, depth: int) -> Iterator[str]:
    for field in message.fields:
        yield field.name
        if depth and field.message_type is not None:
            yield from (f"{field.name}.{name}" for name in fields_below(field.message_type, depth - 1))
