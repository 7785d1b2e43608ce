"""Filters and sort keys of list requests."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core import filters
from sailplane_core.errors import InvalidRequest
from sailplane_core.filter_fields import Entity
from sailplane_core.filters import Filter, Function, SortBy
from sailplane_protos.admin import common_pb2

E = Entity


@pytest.mark.parametrize(
    ("primary", "text", "parsed"),
    [
        (E.EXECUTION, "eq(phase,RUNNING)", (E.EXECUTION, "phase", "eq", ("RUNNING",))),
        (E.EXECUTION, "eq(phase, RUNNING)", (E.EXECUTION, "phase", "eq", ("RUNNING",))),
        (E.EXECUTION, "value_in(phase,A;B)", (E.EXECUTION, "phase", "value_in", ("A", "B"))),
        (E.EXECUTION, "value_not_in(phase,A)", (E.EXECUTION, "phase", "value_not_in", ("A",))),
        (E.EXECUTION, "eq(state,1)", (E.EXECUTION, "state", "eq", (1,))),
        (E.EXECUTION, "eq(workflow.name,a.b)", (E.WORKFLOW, "name", "eq", ("a.b",))),
        (E.EXECUTION, "eq(admin_tag.name,t)", (E.EXECUTION_TAG, "key", "eq", ("t",))),
        (E.EXECUTION, "gt(duration,1.5)", (E.EXECUTION, "duration", "gt", (timedelta(seconds=1.5),))),
        (E.EXECUTION, "lt(duration,1h1m1.5s)", (E.EXECUTION, "duration", "lt", (timedelta(seconds=3661.5),))),
        (
            E.EXECUTION,
            "gte(started_at,2024-01-02T03:04:05Z)",
            (E.EXECUTION, "started_at", "gte", (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),)),
        ),
        (
            E.EXECUTION,
            "lte(started_at,2024-01-02T03:04:05-01:00)",
            (E.EXECUTION, "started_at", "lte", (datetime(2024, 1, 2, 4, 4, 5, tzinfo=UTC),)),
        ),
        (E.TASK, "ne(name,f(x,y))", (E.TASK, "name", "ne", ("f(x,y)",))),
        (E.TASK, "contains(name,a b)", (E.TASK, "name", "contains", ("a b",))),
        (E.NAMED_ENTITY, "not_like(name,.flytegen%)", (E.NAMED_ENTITY, "name", "not_like", (".flytegen%",))),
        (E.NAMED_ENTITY, "eq(state,0)", (E.NAMED_ENTITY_METADATA, "state", "eq", (0,))),
        (E.LAUNCH_PLAN, "eq(workflow.name,x)", (E.WORKFLOW, "name", "eq", ("x",))),
        (E.TASK_EXECUTION, "eq(node_execution.phase,FAILED)", (E.NODE_EXECUTION, "phase", "eq", ("FAILED",))),
    ],
)
def test_what_clients_send(primary: Entity, text: str, parsed: tuple[Entity, str, str, tuple[object, ...]]) -> None:
    (found,) = filters.parse_filters(primary, text)
    assert (found.entity, found.field, found.function, found.values) == parsed


def test_expressions_are_joined_by_plus() -> None:
    text = (
        "value_in(execution_tag.key,eager-exec)+value_in(execution_tag.value,a1b2)"
        "+value_in(phase,UNDEFINED;QUEUED;RUNNING)"
    )
    assert filters.parse_filters(E.EXECUTION, text) == (
        Filter(E.EXECUTION_TAG, "key", Function.VALUE_IN, ("eager-exec",)),
        Filter(E.EXECUTION_TAG, "value", Function.VALUE_IN, ("a1b2",)),
        Filter(E.EXECUTION, "phase", Function.VALUE_IN, ("UNDEFINED", "QUEUED", "RUNNING")),
    )
    assert filters.parse_filters(E.EXECUTION, "") == ()


@pytest.mark.parametrize(
    ("primary", "text", "message"),
    [
        (E.TASK, "nonsense", "invalid value for filters"),
        (E.TASK, "eq(name)", "invalid value for filters"),
        (E.TASK, "eq(name,a)+", "invalid value for filters"),
        (E.TASK, "like(name,a)", "unrecognized filter function: like"),
        (E.TASK, "eq(workflow.name,a)", "'workflow' entity is not allowed in filters"),
        (E.TASK, "eq(nobody.name,a)", "'nobody' entity is not allowed in filters"),
        (E.TASK, "eq(colour,a)", "'task.colour' is invalid filter"),
        (E.EXECUTION, "eq(name,a)", "'execution.name' is invalid filter"),
        (E.EXECUTION, "gt(duration,soon)", "Failed to parse duration [soon]"),
        (E.EXECUTION, "gt(duration,nan)", "Failed to parse duration [nan]"),
        (E.EXECUTION, "gt(duration,inf)", "Failed to parse duration [inf]"),
        (E.EXECUTION, "gt(duration,1e300)", "Failed to parse duration [1e300]"),
        (E.EXECUTION, "gt(started_at,yesterday)", "started_at is a time"),
        (E.EXECUTION, "gt(started_at,0001-01-01T00:00:00+23:00)", "invalid value for filters"),
        (E.EXECUTION, "gt(started_at,0001-01-01T00:00:00-23:59;)", "single value"),
        (E.EXECUTION, "eq(state,ACTIVE)", "state is a whole number"),
        (E.EXECUTION, "eq(state,99999999999999999999)", "state is a whole number"),
        (E.EXECUTION, "eq(phase,A;B)", "takes a single value"),
        (E.EXECUTION, "contains(state,1)", "needs a field of text"),
        (E.EXECUTION, "eq(phase,a\0b)", "must not contain NUL"),
        (E.TASK, "value_in(name," + ";".join("x" * 1001) + ")", "more than 1000 values"),
        (E.TASK, "+".join(["eq(name,a)"] * 51), "more than 50 expressions"),
    ],
)
def test_faults_in_flytes_words(primary: Entity, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        filters.parse_filters(primary, text)
    assert message in str(refused.value)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"eq(name,{text})", f"gt(started_at,{text})", f"lt(duration,{text})", f"{text}(a,b)"):
        for primary in (E.TASK, E.EXECUTION):
            try:
                filters.parse_filters(primary, candidate)
            except InvalidRequest as refused:
                assert refused.problems  # noqa: PT017


def test_sort_keys() -> None:
    sort = common_pb2.Sort
    assert filters.parse_sort(E.EXECUTION, None) is None
    assert filters.parse_sort(E.EXECUTION, sort(key="created_at")) == SortBy(E.EXECUTION, "created_at", True)
    ascending = filters.parse_sort(E.EXECUTION, sort(key="execution.execution_name", direction=sort.ASCENDING))
    assert ascending == SortBy(E.EXECUTION, "execution_name", False)
    for key in ("", "name", "workflow.name", "1;drop table", "nobody.x"):
        with pytest.raises(InvalidRequest):
            filters.parse_sort(E.EXECUTION, sort(key=key))
    with pytest.raises(InvalidRequest, match="invalid sort order specified: 7"):
        filters.parse_sort(E.EXECUTION, sort(key="created_at", direction=7))  # type: ignore[arg-type]  # as it may come by wire
