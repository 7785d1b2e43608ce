"""How soon watchers hear of a change, and what it costs the server: nobody, one and a hundred watchers.

    python bench/watching.py [--changes 300] [--watchers 0 1 100]

A change is an event of a node, recorded by CreateNodeEvent. Of it is measured, on the client's clock: how long the call
took, and how long it was from its beginning until the first and the last watcher had the message; so a watcher may
know before the caller does. CPU is the server's, the call included.
"""

import argparse
import asyncio
import time
from typing import Any

from flyteidl.admin import event_pb2 as requests_pb2
from flyteidl.core import execution_pb2, identifier_pb2
from flyteidl.service import admin_pb2_grpc
from grpc import aio
from sailplane_protos.core import identifier_pb2 as our_identifier_pb2
from sailplane_protos.watch import service_pb2, service_pb2_grpc
from world import Plane, cpu_s, plane, raw, show, summary

EXECUTION = "watched"


def event(number: int) -> requests_pb2.NodeExecutionEventRequest:
    """The first event of another node."""
    request = requests_pb2.NodeExecutionEventRequest(request_id=str(number))
    request.event.id.CopyFrom(
        identifier_pb2.NodeExecutionIdentifier(
            node_id=f"w{number}",
            execution_id=identifier_pb2.WorkflowExecutionIdentifier(
                project=raw.PROJECT, domain=raw.DOMAIN, name=EXECUTION
            ),
        )
    )
    request.event.phase = execution_pb2.NodeExecution.QUEUED
    request.event.occurred_at.GetCurrentTime()
    return request


class Watcher:
    """One stream; `heard` has when which node was told of."""

    def __init__(self, channel: aio.Channel) -> None:
        id = our_identifier_pb2.WorkflowExecutionIdentifier(project=raw.PROJECT, domain=raw.DOMAIN, name=EXECUTION)
        request = service_pb2.WatchExecutionRequest(id=id)
        self._call = service_pb2_grpc.WatchServiceStub(channel).WatchExecution(request)
        self.heard: dict[str, float] = {}
        self.is_current = asyncio.Event()

    async def listen(self) -> None:
        """Until cancelled."""
        async for page in self._call:
            at = time.perf_counter()
            for node in page.nodes:
                self.heard[node.node_execution.id.node_id] = at
            if page.is_current:
                self.is_current.set()


async def measure(plane: Plane, watchers: int, first: int, changes: int) -> dict[str, Any]:
    """Record changes one after another while so many listen."""
    async with aio.insecure_channel(plane.grpc) as channel:
        listening = [Watcher(channel) for _ in range(watchers)]
        tasks = [asyncio.create_task(one.listen()) for one in listening]
        await asyncio.gather(*(one.is_current.wait() for one in listening))
        admin = admin_pb2_grpc.AdminServiceStub(channel)
        calls, firsts, lasts = [], [], []
        before_s = cpu_s(plane)
        for number in range(first, first + changes):
            begun = time.perf_counter()
            await admin.CreateNodeEvent(event(number))
            calls.append(time.perf_counter() - begun)
            node = f"w{number}"
            while not all(node in one.heard for one in listening):  # noqa: ASYNC110 - an event for all would cost too
                await asyncio.sleep(0.0005)
            if listening:
                heard = [one.heard[node] - begun for one in listening]
                firsts.append(min(heard))
                lasts.append(max(heard))
        cpu_ms = 1000 * (cpu_s(plane) - before_s) / changes
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    told = {"first_watcher": summary(firsts), "last_watcher": summary(lasts)} if listening else {}
    return {"call": summary(calls), **told, "server_cpu_ms_per_change": round(cpu_ms, 3)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--watchers", type=int, nargs="+", default=[0, 1, 100])
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with plane() as running:
        raw.register(running, "sleeping", "v1", ["sleep", "3600"], [[]])
        raw.start(running, "v1", EXECUTION, "sleeping")
        while raw.nodes(running, EXECUTION).get("n0") != "RUNNING":
            time.sleep(0.01)
        for round_, watchers in enumerate(options.watchers):
            measured = measure(running, watchers, round_ * options.changes, options.changes)
            results[f"watchers_{watchers}"] = asyncio.run(measured)
    show(results)


if __name__ == "__main__":
    main()
