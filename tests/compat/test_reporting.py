"""What admin tells of an execution with nodes of every kind, as FlyteRemote shows it, at the end and on the way."""

import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from compat.raw import admin
from compat.runs import GATES, Runs, answer_gates, attempt, node_phase, phase, task_phases, tree
from flyteidl.admin.node_execution_pb2 import (
    NodeExecution,
    NodeExecutionGetDataRequest,
    NodeExecutionListRequest,
    NodeExecutionMetaData,
)
from flyteidl.core.execution_pb2 import NodeExecution as NodeExecutionPhase
from flyteidl.core.identifier_pb2 import NodeExecutionIdentifier
from flyteidl.core.metrics_pb2 import Span
from flytekit.models.core.execution import TaskExecutionPhase
from flytekit.remote.executions import FlyteNodeExecution, FlyteWorkflowExecution

NODES = ("start-node", *(f"n{index}" for index in range(11)), "end-node")
TASK, WORKFLOW, CHILD, BRANCH, APPROVAL, INPUT, SLEEP, MAP, DYNAMIC = (f"n{index}" for index in range(9))


@dataclass
class Told:
    """An execution that was looked at again and again until it had ended."""

    runs: Runs
    done: FlyteWorkflowExecution
    seen: dict[str, list[str]]
    """The phases in which each top-level node was seen, in their order."""

    def listed(self, parent: str = "") -> dict[str, NodeExecution]:
        """The nodes directly below a node as the raw list has them, by their ids."""
        request = NodeExecutionListRequest(
            workflow_execution_id=self.done.id.to_flyte_idl(), limit=100, unique_parent_id=parent
        )
        found = admin(self.runs.plane).ListNodeExecutions(request)
        assert found.token == ""
        return {one.id.node_id: one for one in found.node_executions}


@pytest.fixture(scope="module")
def told(runs: Runs) -> Told:
    """The tree is synced all the time, and the gates are answered as soon as they ask."""
    started = runs.start("everything.everything", {"x": 2, "xs": [0, 1, 2]})
    seen: dict[str, list[str]] = {}
    open_gates = set(GATES)
    deadline = time.monotonic() + 60
    while not started.is_done and time.monotonic() < deadline:
        runs.remote.sync(started, sync_nodes=True)
        for id, node in started.node_executions.items():
            phases = seen.setdefault(id, [])
            if node_phase(node) not in phases[-1:]:
                phases.append(node_phase(node))
        answer_gates(runs, started, open_gates)
    assert phase(started) == "SUCCEEDED"
    return Told(runs, started, seen)


def test_the_outputs_of_every_kind_went_on(told: Told) -> None:
    assert [told.done.outputs[name] for name in ("o0", "o1", "o2")] == [3, 1, 53]


def test_phases_never_go_back(told: Told) -> None:
    order = ["QUEUED", "RUNNING", "DYNAMIC_RUNNING", "SUCCEEDED"]
    for phases in told.seen.values():
        assert phases == sorted(phases, key=order.index)
        assert phases[-1] == "SUCCEEDED"


def test_the_whole_tree_is_there(told: Told) -> None:
    nodes = tree(told.done)
    assert set(told.done.node_executions) == set(NODES)
    assert {node_phase(node) for node in nodes.values()} == {"SUCCEEDED"}
    kinds = {id: kind(told.done.node_executions[id]) for id in NODES[1:-1]}
    assert kinds == {
        TASK: "2 attempts",
        WORKFLOW: "4 nodes",
        CHILD: "1 execution",
        BRANCH: "1 nodes",
        APPROVAL: "nothing",
        INPUT: "nothing",
        SLEEP: "nothing",
        MAP: "1 attempts",
        DYNAMIC: "4 nodes",
        "n9": "1 attempts",
        "n10": "1 attempts",
    }


def kind(node: FlyteNodeExecution) -> str:
    """What a client finds below a node."""
    if node.subworkflow_node_executions:
        return f"{len(node.subworkflow_node_executions)} nodes"
    if node.workflow_executions:
        return f"{len(node.workflow_executions)} execution"
    return f"{len(node.task_executions)} attempts" if node.task_executions else "nothing"


def test_flags_tell_the_kinds(told: Told) -> None:
    nodes = told.listed()

    def flagged(flag: str) -> set[str]:
        return {id for id, node in nodes.items() if getattr(node.metadata, flag)}

    assert flagged("is_dynamic") == {DYNAMIC}
    assert flagged("is_array") == {MAP}
    assert {WORKFLOW, DYNAMIC} <= flagged("is_parent_node") <= {WORKFLOW, DYNAMIC, BRANCH}
    assert nodes[CHILD].closure.workflow_node_metadata.executionId.name
    assert nodes[TASK].metadata == NodeExecutionMetaData(spec_node_id=TASK)


def test_nodes_inside_name_their_spec_id_and_their_parents_attempt(told: Told) -> None:
    assert told.listed(WORKFLOW).keys() == {f"n1-0-{id}" for id in ("start-node", "n0", "n1", "end-node")}
    inside = told.listed(DYNAMIC)["n8-0-dn1"]
    assert inside.metadata == NodeExecutionMetaData(spec_node_id="dn1", retry_group="0")
    [case] = told.listed(BRANCH).values()
    assert case.metadata.spec_node_id == "n3-n0"
    assert {one.metadata.spec_node_id for one in told.listed(case.id.node_id).values()} == {
        "start-node",
        "n0",
        "n1",
        "end-node",
    }


def test_times_agree(told: Told) -> None:
    nodes = {id: node for id, node in told.listed().items() if id not in ("start-node", "end-node")}
    for id, node in nodes.items():
        closure = node.closure
        assert closure.phase == NodeExecutionPhase.SUCCEEDED
        started, ended = closure.started_at.ToNanoseconds(), closure.updated_at.ToNanoseconds()
        assert closure.created_at.ToNanoseconds() <= started <= ended, id
        assert abs(started + closure.duration.ToNanoseconds() - ended) < 1e9, id
    ends = {
        id: one.closure.started_at.ToNanoseconds() + one.closure.duration.ToNanoseconds() for id, one in nodes.items()
    }
    for before, after in ((TASK, WORKFLOW), (WORKFLOW, CHILD), (CHILD, BRANCH), (SLEEP, MAP), (MAP, "n9")):
        assert ends[before] <= nodes[after].closure.started_at.ToNanoseconds()


def test_attempts_of_a_task(told: Told) -> None:
    node = told.done.node_executions[TASK]
    assert task_phases(node) == ["FAILED", "SUCCEEDED"]
    first, second = sorted(node.task_executions, key=attempt)
    assert "attempt 0" in first.closure.error.message
    assert second.outputs["o0"] == 1
    assert second.inputs["succeed_at"] == 1


def test_the_logs_of_an_attempt_can_be_found(told: Told) -> None:
    attempts = sorted(told.done.node_executions[TASK].task_executions, key=attempt)
    for number, one in enumerate(attempts):
        [log] = one.closure.logs
        assert f"this is attempt {number}" in Path(urlsplit(log.uri).path).read_text()
    [mapped] = told.done.node_executions[MAP].task_executions
    for item in mapped.closure.metadata.external_resources:
        [log] = item.logs
        assert Path(urlsplit(log.uri).path).exists()


def test_inputs_and_outputs_of_nodes(told: Told) -> None:
    nodes = told.done.node_executions
    assert nodes[WORKFLOW].inputs["x"] == 1
    assert nodes[WORKFLOW].outputs["o0"] == 4
    assert nodes[CHILD].outputs["o0"] == 11
    assert nodes[DYNAMIC].inputs.get("n", int) == 2
    assert nodes[DYNAMIC].outputs.get("o0", int) == 1
    assert nodes[MAP].outputs.get("o0", list[int]) == [0, 1, 2]


def test_the_map_tells_of_each_item_and_attempt(told: Told) -> None:
    [task] = told.done.node_executions[MAP].task_executions
    resources = task.closure.metadata.external_resources
    assert [(one.index, one.retry_attempt, TaskExecutionPhase.enum_to_string(one.phase)) for one in resources] == [
        (0, 0, "SUCCEEDED"),
        (1, 0, "FAILED"),
        (1, 1, "SUCCEEDED"),
        (2, 0, "SUCCEEDED"),
    ]


def test_the_graph_of_the_dynamic_node_can_be_had(told: Told) -> None:
    id = NodeExecutionIdentifier(node_id=DYNAMIC, execution_id=told.done.id.to_flyte_idl())
    data = admin(told.runs.plane).GetNodeExecutionData(NodeExecutionGetDataRequest(id=id))
    compiled = data.dynamic_workflow.compiled_workflow
    assert {"dn0", "dn1"} <= {node.id for node in compiled.primary.template.nodes}
    assert [task.template.id.name for task in compiled.tasks] == ["dynamics.add"]


def test_the_child_names_its_parent(told: Told) -> None:
    [child] = told.done.node_executions[CHILD].workflow_executions
    parent = child.spec.metadata.parent_node_execution
    assert (parent.execution_id.name, parent.node_id) == (told.done.id.name, CHILD)


def spans_of(span: Span, kind: str) -> dict[str, Span]:
    """The spans directly below this one that are about nodes, attempts or executions, by what they are about."""
    found = [one for one in span.spans if one.WhichOneof("id") == kind]
    names = {"node_id": lambda one: one.node_id.node_id, "workflow_id": lambda one: one.workflow_id.name}
    return {names.get(kind, lambda one: str(one.task_id.retry_attempt))(one): one for one in found}


def operations(span: Span) -> list[str]:
    """What was done for the thing itself, in order."""
    return [one.operation_id for one in span.spans if one.WhichOneof("id") == "operation_id"]


def depth_of(span: Span) -> int:
    """How many levels there are."""
    return 1 + max(map(depth_of, span.spans), default=0)


def test_where_the_time_went(told: Told) -> None:
    whole = told.runs.remote.get_execution_metrics(told.done.id, depth=10).to_flyte_idl()
    assert operations(whole) == ["WORKFLOW_SETUP", "WORKFLOW_TEARDOWN"]
    nodes = spans_of(whole, "node_id")
    assert set(nodes) == set(NODES[1:-1])
    assert operations(nodes[TASK]) == ["NODE_TRANSITION", "NODE_SETUP", "NODE_RESET", "NODE_TEARDOWN"]
    assert [operations(one) for one in spans_of(nodes[TASK], "task_id").values()] == [
        ["TASK_SETUP", "TASK_RUNTIME", "TASK_TEARDOWN"]
    ] * 2
    assert set(spans_of(nodes[WORKFLOW], "node_id")) == {"n1-0-n0", "n1-0-n1"}
    [child] = spans_of(nodes[CHILD], "workflow_id").values()
    assert spans_of(child, "node_id")
    assert len(spans_of(nodes[BRANCH], "node_id")) == 1
    assert operations(nodes[APPROVAL]) == ["NODE_TRANSITION", "NODE_SETUP", "NODE_IDLE", "NODE_TEARDOWN"]
    assert list(spans_of(nodes[MAP], "task_id")) == ["0"]
    assert set(spans_of(nodes[DYNAMIC], "node_id")) == {"n8-0-dn0", "n8-0-dn1"}


def test_no_more_levels_of_spans_than_asked_for(told: Told) -> None:
    asked = (told.runs.remote.get_execution_metrics(told.done.id, depth=depth).to_flyte_idl() for depth in range(4))
    assert [depth_of(span) for span in asked] == [1, 3, 4, 5]


def test_the_command_line_shows_where_the_time_went(told: Told) -> None:
    place = ("-p", "flytesnacks", "-d", "development")
    dumped = told.runs.plane.run("pyflyte", "metrics", *place, "dump", told.done.id.name)
    assert "TASK_RUNTIME" in dumped
    explained = told.runs.plane.run("pyflyte", "metrics", *place, "explain", told.done.id.name)
    assert "WORKFLOW_TEARDOWN" in explained
