"""Many commands and few places: none of them is kept by whoever waits."""

import asyncio
from dataclasses import replace
from typing import Any, cast

from sailplane_core.errors import Unavailable
from sailplane_core.ids import ExecutionId
from sailplane_core.machine import Observation, PodRemoved, RemovePod
from sailplane_propeller.inputs import Literals
from sailplane_propeller.live import Live
from sailplane_propeller.perform import Performers
from sailplane_propeller.pods import PodNames
from sailplane_propeller.ports import PropellerPorts, PropellerSettings
from sailplane_propeller.timers import Timers
from sailplane_propeller.tools import Tools
from services.propeller.conftest import X

Y = ExecutionId("p", "development", "y")


class Launcher:
    """Removes the Pods of `y`; those of `x` nobody can reach."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def remove(self, namespace: str, name: str) -> None:
        """As told."""
        self.asked.append(name)
        if name.startswith("x-"):
            raise Unavailable("the Pod's machine")


async def test_a_command_that_waits_keeps_no_other_from_being_done(ports: PropellerPorts) -> None:
    launcher, posted = Launcher(), asyncio.Queue[tuple[ExecutionId, Observation]]()
    ports = replace(ports, launcher=cast("Any", launcher), settings=PropellerSettings(performers_max=1))
    tools = Tools(ports, Literals(ports.blobs), PodNames())
    performers = Performers(
        tools,
        Timers(ports.clock, lambda id, seen, command_id: None),
        lambda id, seen, command_id: posted.put_nowait((id, seen)),
        lambda live: None,
    )
    stuck, fine = Live(X), Live(Y)
    performers.hand_out(stuck, [RemovePod("a", 0)])
    performers.hand_out(fine, [RemovePod("a", 0)])
    async with asyncio.timeout(5):
        assert await posted.get() == (Y, PodRemoved("a", 0))
    assert launcher.asked == ["x-a-0", "y-a-0"]
    await performers.close([stuck, fine])
