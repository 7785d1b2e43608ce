"""What an execution takes over from those that it recovers: outputs over several of them, and the last checkpoint."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sailplane_core.ids import ExecutionId
from sailplane_core.layout import Layout
from sailplane_core.machine import ExecutionState, LaunchPod, NodeKind, NodeState, PodRemoved, TaskEnded
from sailplane_core.phases import TaskPhase
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
from sqlalchemy import text

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


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE nodes SET kind = 'zzz'",
        "UPDATE nodes SET phase = 99",
        "UPDATE nodes SET scope = 'gone'",
        "UPDATE nodes SET failure = '{not json'",
        "UPDATE executions SET start = x'ffff00'",
        "UPDATE executions SET start = x''",
    ],
)
async def test_what_cannot_be_read_is_not_taken_over(ports: PropellerPorts, damage: str) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: ("x", LaunchPod("a", 0)) in running.handed)
    running.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: ("x", LaunchPod("b", 0)) in running.handed)
    await ports.store.write(lambda tx: tx.connection.execute(text(f"{damage} WHERE 1 = 1")))
    again = engine(ports)
    intake.cancel()
    intake = asyncio.create_task(again.worker.run())
    await ports.queue.publish([recovering(Y, X)])
    await until(lambda: any(name == "y" and isinstance(one, LaunchPod) for name, one in again.handed))
    intake.cancel()


def at(**columns: Any) -> NodeState:
    return replace(NODE, **columns)


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
