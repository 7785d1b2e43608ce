"""An execution that was at hand, and that whoever looks for it does not find: nothing that it was told is lost."""

import asyncio
from typing import Any

import pytest
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import LaunchPod, RemovePod, TaskEnded
from sailplane_propeller import records
from sailplane_propeller.ports import PropellerPorts
from services.propeller.conftest import Engine, X, abort_message, engine, start_message, until
from sqlalchemy import text


async def not_found_once(running: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let somebody else move a running execution on, and the next who looks for it find nothing."""
    load, sees_nothing = records.load, iter([True])

    def see_nothing_once(*args: Any) -> records.Execution | None:
        return None if next(sees_nothing, False) else load(*args)

    ports = running.ports
    await ports.store.write(lambda tx: tx.connection.execute(text("UPDATE executions SET version = version + 1")))
    monkeypatch.setattr(records, "load", see_nothing_once)


async def test_an_order_is_not_lost_when_an_execution_at_hand_is_not_found_again(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = engine(ports)
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    await not_found_once(running, monkeypatch)
    await ports.queue.publish([abort_message()])
    await until(lambda: ("x", RemovePod("a", 0)) in running.handed)
    intake.cancel()


async def test_an_execution_at_hand_that_is_not_found_again_is_looked_for_once_more(
    ports: PropellerPorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, entered = engine(ports), list[ExecutionId]()
    intake = asyncio.create_task(running.worker.run())
    await ports.queue.publish([start_message()])
    await until(lambda: bool(running.handed))
    running.worker.entered = lambda live: entered.append(live.id)
    await not_found_once(running, monkeypatch)
    running.worker.post(X, TaskEnded("a", 0, None))
    await until(lambda: entered == [X])
    assert running.handed == [("x", LaunchPod("a", 0))] * 2
    intake.cancel()
