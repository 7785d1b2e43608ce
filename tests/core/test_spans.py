"""Where the time of an execution went, from what was recorded."""

from datetime import UTC, datetime, timedelta

import pytest
from core.machine.world import compiled
from sailplane_core.plan import Closure
from sailplane_core.spans import Course, NodeExecution, Span, TaskExecution, execution_span
from sailplane_protos.admin import execution_pb2
from sailplane_protos.core import compiler_pb2

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def node(id: str, created: float, updated: float) -> NodeExecution:
    made = NodeExecution()
    made.id.node_id = made.metadata.spec_node_id = id
    made.closure.created_at.FromDatetime(at(created))
    made.closure.updated_at.FromDatetime(at(updated))
    return made


def attempt(number: int, created: float, started: float | None, ran_s: float | None, updated: float) -> TaskExecution:
    made = TaskExecution()
    made.id.retry_attempt = number
    made.closure.created_at.FromDatetime(at(created))
    if started is not None:
        made.closure.started_at.FromDatetime(at(started))
    if ran_s is not None:
        made.closure.duration.FromTimedelta(timedelta(seconds=ran_s))
    made.closure.updated_at.FromDatetime(at(updated))
    return made


def course(*nodes: NodeExecution, attempts: list[TaskExecution]) -> Course:
    """A chain of `a` and `b`; `a` had these attempts."""
    execution = execution_pb2.Execution()
    execution.closure.created_at.FromDatetime(at(0))
    execution.closure.updated_at.FromDatetime(at(100))
    message = compiler_pb2.CompiledWorkflowClosure(primary=compiled("w", {"a": [], "b": ["a"]}))
    return Course(execution, Closure(message), {"": nodes}, {"a": attempts})


def told(span: Span) -> list[tuple[str, float, float]]:
    """Every operation below a span, with when it began and ended."""
    found: list[tuple[str, float, float]] = []
    for one in span.spans:
        since, until = (stamp.ToDatetime(UTC) - NOON for stamp in (one.start_time, one.end_time))
        if one.operation_id:
            found.append((one.operation_id, since.total_seconds(), until.total_seconds()))
        found += told(one)
    return found


START, END = node("start-node", 1, 2), node("end-node", 90, 95)


def test_all_the_time_is_somewhere() -> None:
    tries = [attempt(0, 4, 6, 3, 10), attempt(1, 12, 15, 20, 36)]
    recorded = course(START, node("a", 3, 40), node("b", 41, 90), END, attempts=tries)
    assert told(execution_span(recorded, -1)) == [
        ("WORKFLOW_SETUP", 0, 2),
        ("NODE_TRANSITION", 2, 3),
        ("NODE_SETUP", 3, 4),
        ("TASK_SETUP", 4, 6),
        ("TASK_RUNTIME", 6, 9),
        ("TASK_TEARDOWN", 9, 10),
        ("NODE_RESET", 10, 12),
        ("TASK_SETUP", 12, 15),
        ("TASK_RUNTIME", 15, 35),
        ("TASK_TEARDOWN", 35, 36),
        ("NODE_TEARDOWN", 36, 40),
        ("NODE_TRANSITION", 40, 41),
        ("NODE_SETUP", 41, 90),
        ("WORKFLOW_TEARDOWN", 90, 100),
    ]


@pytest.mark.parametrize(
    ("tries", "expected"),
    [
        ([attempt(0, 4, None, None, 7)], [("TASK_SETUP", 4, 7)]),
        ([attempt(0, 4, 6, None, 7)], [("TASK_SETUP", 4, 6), ("TASK_RUNTIME", 6, 7)]),
    ],
)
def test_what_goes_on_has_the_spans_that_it_came_to(
    tries: list[TaskExecution], expected: list[tuple[str, float, float]]
) -> None:
    found = told(execution_span(course(START, node("a", 3, 7), attempts=tries), -1))
    assert [one for one in found if one[0].startswith("TASK")] == expected


def test_clocks_that_disagree_make_no_span_of_less_than_nothing() -> None:
    recorded = course(START, node("a", 1, 5), attempts=[attempt(0, 6, 4, 1, 5)])
    assert all(since <= until for _, since, until in told(execution_span(recorded, -1)))


def test_before_anything_ran_all_of_it_is_setup() -> None:
    assert told(execution_span(course(attempts=[]), -1)) == [("WORKFLOW_SETUP", 0, 100)]
