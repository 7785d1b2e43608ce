"""What a task must have to be startable."""

from collections.abc import Mapping

import pytest
from core.compiler.building import interface, task_id
from core.types.samples import INT, Type
from google.protobuf import json_format, struct_pb2
from sailplane_core.compiler import compile_task
from sailplane_core.errors import CompileFailed
from sailplane_protos.core import tasks_pb2

Entry = tasks_pb2.Resources.ResourceEntry


def container(**fields: object) -> tasks_pb2.TaskTemplate:
    """A container task with an input."""
    complete = {"image": "alpine", "command": ["true"], **fields}
    return tasks_pb2.TaskTemplate(
        type="raw-container", interface=interface({"x": INT}, {}), container=tasks_pb2.Container(**complete)
    )


def pod(spec: Mapping[str, object], primary: str = "", **fields: object) -> tasks_pb2.TaskTemplate:
    """A Pod task."""
    struct = json_format.ParseDict(spec, struct_pb2.Struct())
    return tasks_pb2.TaskTemplate(
        type="pod", k8s_pod=tasks_pb2.K8sPod(pod_spec=struct, primary_container_name=primary), **fields
    )


def amounts(*entries: Entry) -> tasks_pb2.Resources:
    """Requested resources."""
    return tasks_pb2.Resources(requests=entries)


CPU, MEMORY = tasks_pb2.Resources.CPU, tasks_pb2.Resources.MEMORY
TWO = {"containers": [{"name": "main"}, {"name": "side-car-2"}]}

GOOD = {
    "a container": container(),
    "arguments instead of a command": container(command=[], args=["x"]),
    "no command where nothing goes in or out": tasks_pb2.TaskTemplate(container=tasks_pb2.Container(image="alpine")),
    "amounts": container(resources=amounts(Entry(name=CPU, value="500m"), Entry(name=MEMORY, value="1Gi"))),
    "neither container nor Pod": tasks_pb2.TaskTemplate(type="sqlite3", interface=interface({"x": INT}, {})),
    "a Pod with one container": pod({"containers": [{"name": "main"}]}),
    "a Pod with two containers": pod(TWO, "main"),
    "the primary container named the old way": pod(TWO, config={"primary_container_name": "main"}),
    "amounts of a Pod": pod({"containers": [{"name": "a", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}),
}
BAD = {
    "no image": (container(image=""), [("ValueRequired", "container")]),
    "no command": (container(command=[]), [("ValueRequired", "container")]),
    "no amount": (
        container(resources=tasks_pb2.Resources(limits=[Entry(name=CPU, value="lots")])),
        [("UnrecognizedValue", "container")],
    ),
    "everything at once": (
        container(image="", command=[], resources=amounts(Entry(name=CPU, value=""), Entry(name=99, value="1x"))),
        [("ValueRequired", "container")] * 2 + [("UnrecognizedValue", "container")] * 2,
    ),
    "an untyped input": (
        tasks_pb2.TaskTemplate(interface=interface({"x": Type()}, {})),
        [("ValueRequired", "interface")],
    ),
    "a Pod without a spec": (tasks_pb2.TaskTemplate(k8s_pod=tasks_pb2.K8sPod()), [("ValueRequired", "k8s_pod")]),
    "a Pod without containers": (pod({}), [("ValueRequired", "k8s_pod")]),
    "containers that are none": (pod({"containers": "x"}), [("ValueRequired", "k8s_pod")]),
    "a container's name": (pod({"containers": [{"name": "Main_1"}]}), [("InvalidValue", "k8s_pod")]),
    "a container's long name": (pod({"containers": [{"name": "a" * 64}]}), [("InvalidValue", "k8s_pod")]),
    "a container without a name": (pod({"containers": [{}]}), [("InvalidValue", "k8s_pod")]),
    "an unknown primary container": (pod(TWO, "other"), [("InvalidValue", "k8s_pod")]),
    "no primary container": (pod(TWO), [("ValueRequired", "k8s_pod")]),
    "no amount in a Pod": (
        pod({"containers": [{"name": "a", "resources": {"requests": {"cpu": "lots"}}}]}),
        [("UnrecognizedValue", "k8s_pod")],
    ),
}


@pytest.mark.parametrize("template", GOOD.values(), ids=GOOD)
def test_what_can_be_started_compiles(template: tasks_pb2.TaskTemplate) -> None:
    before = template.SerializeToString(deterministic=True)
    compiled = compile_task(task_id("t"), template).template
    assert compiled.id == task_id("t").to_message()
    assert compiled.interface.HasField("inputs")
    assert compiled.interface.HasField("outputs")
    assert template.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(("template", "expected"), BAD.values(), ids=BAD)
def test_what_cannot_be_started_is_refused(template: tasks_pb2.TaskTemplate, expected: list[tuple[str, str]]) -> None:
    with pytest.raises(CompileFailed) as failure:
        compile_task(task_id("t"), template)
    assert [(problem.code, problem.node_id) for problem in failure.value.found] == expected
    assert "task p:development:t:1" in str(failure.value)
