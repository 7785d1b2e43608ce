"""Registered programs, and what a test does with them: start, wait, and look at the tree that came out."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from compat.plane import Plane
from flytekit.models.core.execution import NodeExecutionPhase, TaskExecutionPhase, WorkflowExecutionPhase
from flytekit.remote import FlyteRemote
from flytekit.remote.executions import FlyteNodeExecution, FlyteTaskExecution, FlyteWorkflowExecution

PROGRAMS = Path(__file__).parent / "programs"
EVERY_PROGRAM = sorted(path.name for path in PROGRAMS.glob("*.py"))
VERSION = "v1"
WAIT = timedelta(seconds=60)
POLL = timedelta(seconds=0.1)

Inputs = Mapping[str, object]
"""Of an execution, by name, as Python values."""


@dataclass
class Runs:
    """A control plane that knows all programs, at version `v1`."""

    plane: Plane

    def register(self, *files: str) -> str:
        """Register programs as a user does; what the command line printed."""
        place = ("--project", "flytesnacks", "--domain", "development", "--version", VERSION)
        return self.plane.run("pyflyte", "register", *place, *files, cwd=PROGRAMS)

    @property
    def remote(self) -> FlyteRemote:
        """A stock client."""
        return self.plane.remote()

    def start(self, workflow: str, inputs: Inputs | None = None, **options: object) -> FlyteWorkflowExecution:
        """Start `program.workflow`; the options are those of `FlyteRemote.execute`."""
        found = self.remote.fetch_workflow(name=workflow, version=VERSION)
        return self.remote.execute(found, inputs=dict(inputs or {}), **options)

    def end(self, started: FlyteWorkflowExecution) -> FlyteWorkflowExecution:
        """Wait for its end; its whole tree is synced."""
        return self.remote.wait(started, timeout=WAIT, poll_interval=POLL, sync_nodes=True)

    def run(self, workflow: str, inputs: Inputs | None = None, **options: object) -> FlyteWorkflowExecution:
        """Start and wait."""
        return self.end(self.start(workflow, inputs, **options))

    def results(self, workflow: str, *inputs: Inputs) -> list[object]:
        """Run once for each set of inputs, side by side; the first output of each, or its error's message."""
        started = [self.start(workflow, one) for one in inputs]
        return [result(self.end(one)) for one in started]

    def pod(self, execution: str, node: str, attempt: int = 0) -> dict[str, Any]:
        """The Pod of an attempt as it was given to the launcher."""
        [path] = self.plane.data_dir.glob(f"pods/*/{execution}-{node}-{attempt}/pod.json")
        return json.loads(path.read_text())["manifest"]


def result(done: FlyteWorkflowExecution) -> object:
    """The first output, or the error's message."""
    return done.outputs["o0"] if done.is_successful else done.closure.error.message


def phase(done: FlyteWorkflowExecution) -> str:
    """The name of the phase."""
    return WorkflowExecutionPhase.enum_to_string(done.closure.phase)


def node_phase(node: FlyteNodeExecution) -> str:
    """The name of the phase; flytekit has no name for the last."""
    if node.closure.phase == NodeExecutionPhase.RECOVERED:
        return "RECOVERED"
    return NodeExecutionPhase.enum_to_string(node.closure.phase)


def task_phases(node: FlyteNodeExecution) -> list[str]:
    """The phases of a node's attempts, the first one first."""
    attempts = sorted(node.task_executions, key=attempt)
    return [TaskExecutionPhase.enum_to_string(one.closure.phase) for one in attempts]


def attempt(task: FlyteTaskExecution) -> int:
    """Which attempt a task execution is, from 0."""
    return task.id.retry_attempt


def tree(done: FlyteWorkflowExecution) -> dict[str, FlyteNodeExecution]:
    """Every node of an execution by its id, however deep it lies; not those of child executions."""
    return dict(_walk(done.node_executions))


def _walk(nodes: dict[str, FlyteNodeExecution]) -> Iterator[tuple[str, FlyteNodeExecution]]:
    for id, node in nodes.items():
        yield id, node
        yield from _walk(node.subworkflow_node_executions)


def marks(folder: Path) -> dict[str, int]:
    """How often each task ran that leaves a line for every run."""
    return {path.name: path.read_text().count("run\n") for path in folder.iterdir()}


GATES = frozenset({"allowed", "given"})
"""Of `everything.everything`: an approval and an input."""


def answer_gates(runs: Runs, started: FlyteWorkflowExecution, open_gates: set[str]) -> None:
    """Answer those that ask by now, and take them out of `open_gates`."""
    for signal in open_gates & {one.id.signal_id for one in runs.remote.list_signals(started.id.name)}:
        if signal == "allowed":
            runs.remote.approve(signal, started.id.name)
        else:
            runs.remote.set_input(signal, started.id.name, 5)
        open_gates.remove(signal)
