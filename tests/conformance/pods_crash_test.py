"""A launcher that is killed again and again loses no Pod and runs none twice."""

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest
from conformance.conftest import soon
from conformance.pods_world import PodWorld, make_python_env, python
from sailplane_core.ports import PodPhase

PODS = 30
KILLS = 10
SEED = 20261123

CONTROL_PLANE = """
import asyncio, sys
from pathlib import Path
from conformance.pods_world import PodWorld, python

async def main(directory, python_env, warm, pods):
    world = PodWorld(Path(directory), Path(python_env), warm == "True", frozenset())
    launcher, _ = await world.start()
    print("started", flush=True)
    for index in range(int(pods)):
        code = (
            "import os, time\\n"
            f"descriptor = os.open('{directory}/runs-p{index}', os.O_WRONLY | os.O_CREAT | os.O_APPEND)\\n"
            "os.write(descriptor, b'x')\\n"
            f"time.sleep({index % 5 / 20})\\n"
        )
        await launcher.ensure(python(f"p{index}", code))
        await asyncio.sleep(0.002)
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
async def test_killed_at_random_moments(tmp_path: Path, warm: bool) -> None:
    chance = random.Random(SEED)
    env = make_python_env(tmp_path / "venv")
    tests = Path(__file__).parents[1]
    argv = [sys.executable, "-c", CONTROL_PLANE, str(tmp_path), str(env), str(warm), str(PODS)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    for _ in range(KILLS):
        control_plane = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=asyncio.subprocess.PIPE)
        assert control_plane.stdout is not None
        assert await soon(control_plane.stdout.readline()) == b"started\n"
        await asyncio.sleep(chance.uniform(0.0, 0.1))
        control_plane.kill()
        await control_plane.communicate()

    world = PodWorld(tmp_path, env, warm, frozenset())
    launcher, watcher = await world.start()
    for index in range(PODS):
        if not (world.attempt(f"p{index}") / "pod.json").exists():
            code = f"open('{tmp_path}/runs-p{index}', 'a').write('x')"
            await launcher.ensure(python(f"p{index}", code))
    ends = {f"p{index}": await watcher.ended(f"p{index}") for index in range(PODS)}
    assert {name: status.phase for name, status in ends.items()} == dict.fromkeys(ends, PodPhase.SUCCEEDED)
    assert {name: (tmp_path / f"runs-{name}").read_text() for name in ends} == dict.fromkeys(ends, "x")
    await world.close()
