"""What an execution takes over from those that it recovers: outputs over several of them, and the last checkpoint."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout
from sailplane_core.machine import ExecutionState, LaunchPod, NodeKind, NodeState, PodRemoved, TaskEnded
from sailplane_core.phases import NodePhase, TaskPhase
from sailplane_core.ports import Message
from sailplane_propeller import records, recovery
from sailplane_propeller.ports import PropellerPorts
from sailplane_propeller.recovery import Earlier
from sailplane_propeller.worker import EXECUTIONS_TOPIC
from sailplane_protos.propeller import queue_pb2
from sailplane_runtime.blobs.files import FileBlobs
from sailplane_runtime.blobs.signed_urls import UrlSigner
from sailplane_runtime.clock import SystemClock
from services.propeller.conftest import X, abort_message, engine, start_message
from services.propeller.test_worker import until

Y, Z = (ExecutionId(X.project, X.domain, name) for name in ("y", "z"))
NODE = NodeState("n0", "n0", "", NodeKind.TASK, attempt=2, task_phase=TaskPhase.QUEUED)
PATH = ("n0",)


def recovering(id: ExecutionId, source: ExecutionId) -> Message:
    message = start_message(id)
    order = queue_pb2.ExecutionCommand.FromString(message.payload)
    order.start.recover_from.CopyFrom(source.to_message())
    return replace(message, payload=order.SerializeToString())


async def test_what_succeeded_two_executions_ago_is_not_run_again(ports: PropellerPorts) -> None:
    running = engine(ports)
    confirmations = ports.queue.confirmed(EXECUTIONS_TOPIC)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: ("x", LaunchPod("a", 0)) in running.handed)
    running.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: ("x", LaunchPod("b", 0)) in running.handed)
    await ports.queue.publish([abort_message()])
    running.worker.post(X, PodRemoved("b", 0))
    async with asyncio.timeout(5):
        while f"abort:{X}" not in await anext(confirmations):
            pass
    start = queue_pb2.ExecutionCommand.FromString(recovering(Y, X).payload).start
    ended_early = ExecutionState(records.start_info(Y, start, "file:///blobs", ports.settings))
    await ports.store.write(lambda tx: records.keep(tx, start, ended_early))  # it got to nothing of what X had done
    await ports.queue.publish([recovering(Z, Y)])
    await until(lambda: ("z", LaunchPod("b", 0)) in running.handed)
    assert ("z", LaunchPod("a", 0)) not in running.handed
    intake.cancel()


def at(**columns: Any) -> NodeState:
    return replace(NODE, **columns)


@pytest.mark.parametrize(
    ("nearest_first", "taken"),
    [
        ([at(phase=NodePhase.ABORTED), at(phase=NodePhase.SUCCEEDED)], 1),
        ([at(phase=NodePhase.RECOVERED), at(phase=NodePhase.SUCCEEDED)], 0),
        ([at(phase=NodePhase.QUEUED), at(phase=NodePhase.FAILED, graph_uri="g")], 1),
        ([at(phase=NodePhase.FAILED, child_name="c"), at(phase=NodePhase.FAILED, child_name="d")], 0),
        ([None, at(phase=NodePhase.FAILED)], 1),
    ],
)
def test_of_each_node_that_is_taken_which_got_farthest(nearest_first: Sequence[NodeState | None], taken: int) -> None:
    layout = Layout("file:///blobs", "file:///raw", X)
    earlier = [Earlier({} if node is None else {PATH: node}, layout) for node in nearest_first]
    assert recovery.merged(earlier)[PATH] is nearest_first[taken]


async def test_the_last_checkpoint_that_was_kept_is_gone_on_from(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, UrlSigner(b"s" * 32), SystemClock())
    raw = blobs.uri("raw").rstrip("/")
    own, before, first = (Layout("file:///blobs", f"{raw}/{name}", id) for name, id in (("z", Z), ("y", Y), ("x", X)))
    earlier = [
        Earlier({PATH: at(attempt=1, task_phase=TaskPhase.UNDEFINED)}, before),
        Earlier({PATH: at(attempt=1, task_phase=TaskPhase.FAILED)}, first),
    ]

    async def found(node: NodeState = NODE) -> str:
        return await recovery.checkpoint_uri(blobs, own, PATH, node, earlier)

    assert await found() == ""
    for kept in (first.checkpoint_uri("n0", 1), before.checkpoint_uri("n0", 0), own.checkpoint_uri("n0", 0)):
        await blobs.put(kept, b"so far")
        assert await found() == kept
    await blobs.put(before.checkpoint_uri("n0", 1), b"of an attempt that never began")
    await blobs.put(f"{own.checkpoint_uri('n0', 1)}/in/a/folder", b"so far")
    assert await found() == own.checkpoint_uri("n0", 1)
    assert await found(at(attempt=0)) == before.checkpoint_uri("n0", 0)
