"""What the engine works out itself for gates, branches and arrays, with files and without the rest of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from core.compiler.building import array, branch, compiled, equals, gate, run, tasks, workflow
from core.types.samples import BOOL, INT, list_of, optional, value
from sailplane_core.errors import Unavailable
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import (
    ArrayOpened,
    BindingFailed,
    BranchTaken,
    ExecutionState,
    ItemsGathered,
    NodeKind,
    NodeState,
    SignalTaken,
    scopes,
)
from sailplane_core.phases import NodePhase
from sailplane_core.plan import Closure, Plan
from sailplane_core.ports import BlobStore, Clock, PodLauncher, Queue
from sailplane_propeller import gate_nodes, graph_nodes, records
from sailplane_propeller.inputs import Literals
from sailplane_propeller.live import Definition, Live
from sailplane_propeller.logs import Logs
from sailplane_propeller.pods import PodNames
from sailplane_propeller.ports import PropellerPorts, PropellerSettings
from sailplane_propeller.tools import Tools
from sailplane_protos.core import literals_pb2, types_pb2, workflow_pb2
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.store.port import Store

X = ExecutionId("p", "development", "x")
INPUTS = {"x": INT, "maybe": optional(INT), "xs": list_of(INT), "ys": list_of(INT)}
CHOICE = {"n.x": ".x"}

TEMPLATE = workflow(
    gate("approve", workflow_pb2.ApproveCondition(signal_id="ok"), x=".x", xs=".xs"),
    gate("ask", workflow_pb2.SignalCondition(signal_id="how many", type=INT, output_variable_name="o0")),
    branch(
        "branch",
        CHOICE,
        (equals("n.x", 1), run("one", "double", x=".x")),
        (equals("n.x", 2), run("two", "double", x=".x")),
        otherwise="neither one nor two",
    ),
    array("array", run("item", "add"), {"x": ".xs", "y": ".ys"}),
    inputs=INPUTS,
)
KNOWN = tasks(double=({"x": INT}, {"o0": INT}), add=({"x": list_of(INT), "y": list_of(INT)}, {"o0": list_of(INT)}))
KINDS = {"approve": NodeKind.GATE, "ask": NodeKind.GATE, "branch": NodeKind.BRANCH, "array": NodeKind.ARRAY}


@dataclass
class Signals:
    """An admin that knows the values of some signals, and what it was asked."""

    values: dict[str, literals_pb2.Literal] = field(default_factory=dict[str, literals_pb2.Literal])
    asked: list[tuple[str, types_pb2.LiteralType]] = field(default_factory=list[tuple[str, types_pb2.LiteralType]])

    async def signal(
        self, execution: ExecutionId, signal_id: str, declared: types_pb2.LiteralType
    ) -> literals_pb2.Literal | None:
        """The value, if it has one."""
        assert execution == X
        self.asked.append((signal_id, declared))
        return self.values.get(signal_id)


@dataclass
class Work:
    """An execution whose every node is running."""

    tools: Tools
    live: Live
    signals: Signals

    def node(self, id: str) -> NodeState:
        """One of the nodes."""
        return self.live.definition.state.nodes[id]

    async def written(self, id: str) -> literals_pb2.LiteralMap:
        """What lies in the store as a node's outputs."""
        uri = self.live.definition.layout.outputs_uri(id, 0)
        return literals_pb2.LiteralMap.FromString(await self.tools.ports.blobs.get(uri))


async def begun(tmp_path: Path, **inputs: object) -> Work:
    """The workflow with these inputs."""
    blobs = FileBlobs(tmp_path, UrlSigner(b"s" * 32), ManualClock(), public_base_url="http://localhost")
    signals = Signals()
    ports = PropellerPorts(
        cast("Store", None),
        cast("Queue", None),
        cast("BlobStore", blobs),
        cast("PodLauncher", None),
        cast("Clock", None),
        cast("Any", signals),
        PropellerSettings(array_items_max=3),
    )
    root = blobs.uri("root")
    given = literals_pb2.LiteralMap(literals={name: value(one) for name, one in inputs.items()})
    await blobs.put(f"{root}/inputs.pb", given.SerializeToString())
    start = queue_pb2.Start(inputs_uri=f"{root}/inputs.pb", raw_output_prefix=f"{root}/raw")
    state = ExecutionState(records.start_info(X, start, root, ports.settings))
    state.replace(
        NodeState(
            "start-node", "start-node", "", NodeKind.START, phase=NodePhase.SUCCEEDED, outputs_uri=start.inputs_uri
        )
    )
    live = Live(X, loaded=Definition(start, state, Plan(Closure(compiled(TEMPLATE, KNOWN)))))
    for id, kind in KINDS.items():
        uri = live.definition.layout.inputs_uri(id)
        state.replace(NodeState(id, id, "", kind, phase=NodePhase.RUNNING, inputs_uri=uri))
    return Work(Tools(ports, Literals(blobs), PodNames(), Logs(ports)), live, signals)


async def with_items(tmp_path: Path, *outputs: dict[str, object] | None) -> Work:
    """The array with its items ended; None for those that failed."""
    work = await begun(tmp_path, xs=[0] * len(outputs), ys=[0] * len(outputs))
    state = work.live.definition.state
    opened = NodeState("array", "array", "", NodeKind.ARRAY, phase=NodePhase.RUNNING, size=len(outputs))
    state.replace(opened)
    for index, given in enumerate(outputs):
        id = scopes.item_id(opened, index)
        uri = work.live.definition.layout.outputs_uri(id, 0)
        phase = NodePhase.FAILED if given is None else NodePhase.SUCCEEDED
        state.replace(NodeState(id, "item", "array", NodeKind.TASK, item=index, phase=phase, outputs_uri=uri))
        if given is not None:
            written = literals_pb2.LiteralMap(literals={name: value(one) for name, one in given.items()})
            await work.tools.ports.blobs.put(uri, written.SerializeToString())
    return work


def literals(**values: object) -> literals_pb2.LiteralMap:
    return literals_pb2.LiteralMap(literals={name: value(one) for name, one in values.items()})


# Gates


async def test_a_gate_asks_for_its_signal_and_waits(tmp_path: Path) -> None:
    work = await begun(tmp_path, x=1, xs=[1, 2])
    assert await gate_nodes.take_signal(work.tools, work.live, work.node("approve")) is None
    assert await gate_nodes.take_signal(work.tools, work.live, work.node("ask")) is None
    assert work.signals.asked == [("ok", BOOL), ("how many", INT)]
    bound = await work.tools.ports.blobs.get(work.node("approve").inputs_uri)
    assert literals_pb2.LiteralMap.FromString(bound) == literals(x=1, xs=[1, 2])


async def test_an_approval_passes_on_what_was_approved(tmp_path: Path) -> None:
    work = await begun(tmp_path, x=1, xs=[1, 2])
    work.signals.values["ok"] = value(True)
    for _ in range(2):
        assert await gate_nodes.take_signal(work.tools, work.live, work.node("approve")) == SignalTaken("approve", 0)
    assert await work.written("approve") == literals(x=1, xs=[1, 2])


async def test_a_rejection_is_a_users_failure_for_good(tmp_path: Path) -> None:
    work = await begun(tmp_path, x=1, xs=[])
    work.signals.values["ok"] = value(False)
    seen = await gate_nodes.take_signal(work.tools, work.live, work.node("approve"))
    failure = Failure("ReceivedRejectSignal", "signal 'ok' was rejected", FailureKind.USER, retryable=False)
    assert seen == SignalTaken("approve", 0, failure)


async def test_what_is_given_to_a_gate_is_its_output(tmp_path: Path) -> None:
    work = await begun(tmp_path)
    work.signals.values["how many"] = value(0)
    assert await gate_nodes.take_signal(work.tools, work.live, work.node("ask")) == SignalTaken("ask", 0)
    assert await work.written("ask") == literals(o0=0)


@pytest.mark.parametrize(("id", "signal", "given"), [("approve", "ok", 1), ("ask", "how many", True)])
async def test_a_value_of_a_type_that_another_gate_asked_for_fails(
    tmp_path: Path, id: str, signal: str, given: object
) -> None:
    work = await begun(tmp_path, x=1, xs=[])
    work.signals.values[signal] = value(given)
    seen = await gate_nodes.take_signal(work.tools, work.live, work.node(id))
    assert isinstance(seen, SignalTaken)
    assert seen.failure is not None
    assert (seen.failure.code, seen.failure.kind) == ("SignalTypeMismatch", FailureKind.USER)
    assert repr(signal) in seen.failure.message


async def test_a_gate_whose_inputs_are_missing_asks_nobody(tmp_path: Path) -> None:
    work = await begun(tmp_path, x=1)
    seen = await gate_nodes.take_signal(work.tools, work.live, work.node("approve"))
    assert isinstance(seen, BindingFailed)
    assert "xs" in seen.failure.message
    assert work.signals.asked == []


async def test_admin_being_away_is_left_to_who_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = await begun(tmp_path)

    async def away(*asked: object) -> None:
        raise Unavailable("admin")

    monkeypatch.setattr(work.signals, "signal", away)
    with pytest.raises(Unavailable):
        await gate_nodes.take_signal(work.tools, work.live, work.node("ask"))


# Branches


@pytest.mark.parametrize(("x", "case"), [(1, "one"), (2, "two"), (2.0, "two")])
async def test_a_branch_takes_the_case_that_its_inputs_choose(tmp_path: Path, x: object, case: str) -> None:
    work = await begun(tmp_path, x=x)
    chosen = f"branch-{case}"
    assert await graph_nodes.take_branch(work.tools, work.live, work.node("branch")) == BranchTaken("branch", 0, chosen)


@pytest.mark.parametrize(("x", "code"), [(3, "UserProvidedError"), ("1", "MalformedBranchUserError")])
async def test_a_branch_that_takes_no_case_fails(tmp_path: Path, x: object, code: str) -> None:
    work = await begun(tmp_path, x=x)
    seen = await graph_nodes.take_branch(work.tools, work.live, work.node("branch"))
    assert isinstance(seen, BindingFailed)
    assert (seen.failure.code, seen.failure.kind, seen.failure.retryable) == (code, FailureKind.USER, False)


# Arrays


@pytest.mark.parametrize("length", [0, 1, 3])
async def test_an_array_opens_with_as_many_items_as_its_lists_have(tmp_path: Path, length: int) -> None:
    work = await begun(tmp_path, xs=[1] * length, ys=[2] * length)
    assert await graph_nodes.open_array(work.tools, work.live, work.node("array")) == ArrayOpened("array", 0, length)


@pytest.mark.parametrize(
    ("xs", "ys", "code"), [([1], [1, 2], "InvalidArrayLength"), ([1] * 4, [1] * 4, "ArrayTooLarge")]
)
async def test_an_array_that_cannot_be_opened_fails(tmp_path: Path, xs: object, ys: object, code: str) -> None:
    work = await begun(tmp_path, xs=xs, ys=ys)
    seen = await graph_nodes.open_array(work.tools, work.live, work.node("array"))
    assert isinstance(seen, BindingFailed)
    assert (seen.failure.code, seen.failure.kind) == (code, FailureKind.USER)


async def test_results_of_items_are_gathered_in_their_order(tmp_path: Path) -> None:
    work = await with_items(tmp_path, {"o0": 5}, None, {"o0": 4})
    assert await graph_nodes.gather_items(work.tools, work.live, work.node("array")) == ItemsGathered("array", 0)
    assert await work.written("array") == literals(o0=[5, None, 4])


async def test_no_items_give_empty_lists(tmp_path: Path) -> None:
    work = await with_items(tmp_path)
    assert await graph_nodes.gather_items(work.tools, work.live, work.node("array")) == ItemsGathered("array", 0)
    assert await work.written("array") == literals(o0=[])
