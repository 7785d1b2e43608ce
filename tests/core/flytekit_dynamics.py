"""Dynamic tasks of stock flytekit, and the jobs that they leave: compiled by flytekit itself, as in a container."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from core.compiler import flytekit_workflows as programs
from flytekit import FlyteFile, Resources, StructuredDataset, conditional, dynamic, map_task, sleep, task, workflow
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.array_node import array_node
from flytekit.core.context_manager import ExecutionState, FlyteContextManager
from flytekit.core.node_creation import create_node
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import LiteralMap
from sailplane_protos.core import dynamic_job_pb2, interface_pb2

SETTINGS = SerializationSettings(
    project="p", domain="development", version="1", image_config=ImageConfig(Image("default", "example.org/image", "1"))
)


@dynamic
def fan_out(n: int) -> list[int]:
    """As many nodes as it is told."""
    return [programs.inc(a=i) for i in range(n)]


@dynamic
def nothing(n: int) -> int:
    """No nodes: its outputs are known at once."""
    return n


@dynamic
def mapped(xs: list[int]) -> int:
    """Map tasks."""
    strict = map_task(programs.inc)(a=xs)
    lenient = map_task(programs.inc, min_success_ratio=0.5)(a=xs)
    return programs.add(a=programs.total(xs=strict), b=programs.first_of(xs=lenient))


@dynamic
def choosing(a: int) -> int:
    """A conditional in a conditional."""
    z = programs.inc(a=a)
    return (
        conditional("outer")
        .if_(z == 1)
        .then(programs.inc(a=z))
        .elif_(z < 9)
        .then(programs.chain(a=z))
        .else_()
        .then(conditional("inner").if_(z >= 50).then(programs.add(a=z, b=z)).else_().fail("nothing fits"))
    )


@dynamic
def with_workflow(a: int) -> int:
    """Sub-workflows, one of them with one inside."""
    return programs.add(a=programs.chain(a=a), b=programs.with_sub(a=a))


@dynamic
def with_plans(a: int) -> int:
    """Launch plans, and one over a list."""
    many = array_node(programs.INC_PLAN)(a=[a, a])
    return programs.total(
        xs=[programs.INC_PLAN(), programs.INC_PLAN(a=a), programs.FIXED_PLAN(), programs.total(xs=many)]
    )


@dynamic
def nested(n: int) -> list[int]:
    """A dynamic in a dynamic."""
    return fan_out(n=programs.inc(a=n))


@dynamic
def in_order() -> None:
    """Order without data, a pause, and no outputs."""
    first, second = create_node(programs.log), create_node(programs.log)
    first >> second
    sleep(timedelta(seconds=1))


@dynamic
def overridden(a: int) -> programs.Pair:
    """Named outputs of nodes with overrides."""
    low, high = programs.order(a=a, b=7).with_overrides(
        name="ordering", requests=Resources(cpu="1"), retries=3, timeout=timedelta(minutes=1), node_name="ordering"
    )
    return programs.Pair(low, high)


@dynamic
def structured(w: programs.Whole, d: dict[str, list[int]]) -> tuple[int, float, dict[str, int]]:
    """Dataclasses passed on and taken apart, and a map of outputs."""
    made = programs.whole()
    return (
        programs.inc(a=made.count),
        programs.size_of(part=made.parts["a"]),
        {"given": programs.total(xs=d["x"]), "literal": programs.total(xs=w.count * [1])},
    )


@dynamic
def of_kinds(text: str) -> str:
    """Literals of many kinds, bound by flytekit from Python values."""
    return programs.many_kinds(
        number=1.5,
        flag=True,
        at=programs.datetime(2030, 1, 1, tzinfo=programs.UTC),
        for_long=programs.HOUR,
        color=programs.Color.RED,
        either=text,
        maybe=None,
        table={"a": [1]},
    )


@task
def take_files(file: FlyteFile, many: list[FlyteFile], frame: pd.DataFrame, data: StructuredDataset) -> int | None:
    """Files and frames, and perhaps a number."""
    return None


@dynamic
def with_files(frame: pd.DataFrame) -> int | None:
    """Files and frames made inside."""
    file = FlyteFile(__file__)
    return take_files(file=file, many=[file], frame=frame, data=StructuredDataset(dataframe=frame))


@workflow
def holder(n: int) -> int:
    """A workflow with a dynamic task in it."""
    return programs.total(xs=fan_out(n=n))


@dynamic
def with_dynamic_in_workflow(n: int) -> int:
    """A sub-workflow that has a dynamic task in it."""
    return holder(n=n)


DYNAMICS: list[tuple[Any, Mapping[str, Any]]] = [
    (fan_out, {"n": 3}),
    (mapped, {"xs": [1, 2]}),
    (choosing, {"a": 1}),
    (with_workflow, {"a": 1}),
    (with_plans, {"a": 1}),
    (nested, {"n": 2}),
    (in_order, {}),
    (overridden, {"a": 1}),
    (structured, {"w": programs.Whole(2), "d": {"x": [1]}}),
    (of_kinds, {"text": "x"}),
    (with_files, {"frame": pd.DataFrame({"a": [1]})}),
    (with_dynamic_in_workflow, {"n": 1}),
]


def run(program: Any, inputs: Mapping[str, Any], directory: Path) -> Any:
    """What flytekit's entry point gets from the task: flytekit's model of a `DynamicJobSpec`, or of a `LiteralMap`."""
    context = FlyteContextManager.current_context()
    files = context.file_access.__class__(str(directory), str(directory / "raw"))
    state = context.new_execution_state(directory).with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    builder = context.with_execution_state(state).with_serialization_settings(SETTINGS).with_file_access(files)
    with FlyteContextManager.with_context(builder) as inside:
        types = program.python_interface.inputs
        expected = {name: TypeEngine.to_literal_type(python_type) for name, python_type in types.items()}
        literals = {
            name: TypeEngine.to_literal(inside, value, types[name], expected[name]) for name, value in inputs.items()
        }
        return program.dispatch_execute(inside, LiteralMap(literals))


def job_of(program: Any, inputs: Mapping[str, Any], directory: Path) -> dynamic_job_pb2.DynamicJobSpec:
    """The job that the task leaves as `futures.pb`."""
    return dynamic_job_pb2.DynamicJobSpec.FromString(run(program, inputs, directory).to_flyte_idl().SerializeToString())


def interface_of(program: Any) -> interface_pb2.TypedInterface:
    """The interface that the task declares."""
    return interface_pb2.TypedInterface.FromString(program.interface.to_flyte_idl().SerializeToString())
