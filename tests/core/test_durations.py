"""Durations of any size."""

from datetime import UTC, datetime, timedelta

import pytest
from core.machine.language import Library
from core.machine.run import Run
from core.machine.world import USER
from google.protobuf.duration_pb2 import Duration
from sailplane_core.durations import LONGEST, timedelta_of
from sailplane_core.machine import SetTimer, Started, TaskEnded


@pytest.mark.parametrize("seconds", [315_576_000_000, 2**63 - 1])
def test_what_is_longer_than_a_century_is_a_century(seconds: int) -> None:
    assert timedelta_of(Duration(seconds=seconds)) == LONGEST
    assert timedelta_of(Duration(seconds=-seconds)) == -LONGEST
    assert timedelta_of(Duration(seconds=3, nanos=5_000_999)) == timedelta(seconds=3.005)


@pytest.mark.parametrize("field", ["timeout", "queued_timeout", "backoff", "backoff_max", "sleep", "workflow"])
def test_a_workflow_may_name_any_duration(field: str) -> None:
    library = Library()
    library.define("w", "a: task retries=60 timeout=30s\ng: gate sleep=5s")
    template = library.workflows["w"].template
    nodes = {node.id: node for node in template.nodes}
    for_ever = Duration(seconds=2**63 - 1)
    match field:
        case "sleep":
            nodes["g"].gate_node.sleep.duration.CopyFrom(for_ever)
        case "workflow":
            template.metadata.timeout.CopyFrom(for_ever)
        case "timeout" | "queued_timeout":
            getattr(nodes["a"].metadata, field).CopyFrom(for_ever)
        case _:
            nodes["a"].metadata.retries.backoff.CopyFrom(for_ever)
            nodes["a"].metadata.retries.backoff_max.CopyFrom(for_ever)
    run = Run(library, "w")
    set_at = run.see(Started()).commands + run.see(TaskEnded("a", 0, USER)).commands
    timers = [command for command in set_at if isinstance(command, SetTimer)]
    assert timers
    assert all(one.at < datetime(9000, 1, 1, tzinfo=UTC) for one in timers)
