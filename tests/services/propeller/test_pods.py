"""Whose a Pod is, by its name."""

from sailplane_core.machine import NodeKind, NodeState
from sailplane_propeller.live import Live
from sailplane_propeller.pods import PodNames
from services.propeller.conftest import X


def test_no_pod_is_known_of_an_execution_that_has_left_whether_it_is_loaded_or_not() -> None:
    names, live = PodNames(), Live(X, namespace="p-development")
    for attempt in (0, 1):
        names.add(live, NodeState("a", "a", "", NodeKind.TASK, attempt=attempt), "main")
    assert names.find("p-development", "x-a-1") is not None
    names.discard("p-development", "x-a-1")
    names.leave(live)
    assert names.find("p-development", "x-a-0") is None
    assert names.find("p-development", "x-a-1") is None
