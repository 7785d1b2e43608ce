"""The Pod of an attempt, against golden files in `podspec_golden/`; `REWRITE_GOLDEN=1` writes them anew."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from sailplane_core.dataconfig import ANNOTATION, DataConfig
from sailplane_core.errors import InvalidRequest
from sailplane_core.ids import ExecutionId
from sailplane_core.podspec import PodContext, build, label_value, needs_task_template, primary_container
from sailplane_core.resources import Needs
from sailplane_protos.core import literals_pb2, tasks_pb2, workflow_pb2

GOLDEN = Path(__file__).with_name("podspec_golden")

FLYTEKIT_TASK: dict[str, Any] = {
    "id": {"resourceType": "TASK", "project": "p", "domain": "d", "name": "app.tasks.train", "version": "v1"},
    "type": "python-task",
    "container": {
        "image": "ghcr.io/acme/app:v1",
        "args": [
            *("pyflyte-execute", "--inputs", "{{.input}}", "--output-prefix", "{{.outputPrefix}}"),
            *("--raw-output-data-prefix", "{{.rawOutputDataPrefix}}"),
            *("--checkpoint-path", "{{.checkpointOutputPrefix}}", "--prev-checkpoint", "{{.prevCheckpointPrefix}}"),
            *("--resolver", "flytekit.core.python_auto_container.default_task_resolver", "--"),
            *("task-module", "app.tasks", "task-name", "train"),
        ],
        "env": [{"key": "FLYTE_INTERNAL_IMAGE", "value": "ghcr.io/acme/app:v1"}, {"key": "MODE", "value": "task"}],
        "resources": {
            "requests": [{"name": "CPU", "value": "500m"}, {"name": "MEMORY", "value": "1Gi"}],
            "limits": [{"name": "CPU", "value": "1"}],
        },
    },
}
RAW_CONTAINER: dict[str, Any] = {
    "id": {"resourceType": "TASK", "project": "p", "domain": "d", "name": "area", "version": "v1"},
    "type": "raw-container",
    "interface": {"outputs": {"variables": {"area": {"type": {"simple": "FLOAT"}}}}},
    "container": {
        "image": "alpine",
        "command": ["sh", "-c", "echo {{.inputs.x}} > /var/outputs/area; cat /var/inputs/x"],
        "dataConfig": {"enabled": True, "inputPath": "/var/inputs", "outputPath": "/var/outputs", "format": "YAML"},
        "ports": [{"containerPort": 8080, "name": "http"}],
    },
}
POD_TEMPLATE: dict[str, Any] = {
    "id": {"resourceType": "TASK", "project": "p", "domain": "d", "name": "with_sidecar", "version": "v1"},
    "type": "sidecar",
    "config": {"primary_container_name": "main"},
    "k8sPod": {
        "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
        "podSpec": {
            "containers": [
                {
                    "name": "main",
                    "image": "app",
                    "args": ["{{.inputs.x}}", "{{.outputPrefix}}"],
                    "env": [
                        {"name": "MODE", "value": "template"},
                        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    ],
                    "resources": {"limits": {"memory": "2Gi", "cpu": 2}},
                },
                {"name": "proxy", "image": "envoy", "args": ["{{.namespace}}"], "ports": [{"containerPort": 9901}]},
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "serviceAccountName": "trainer",
        },
    },
}


def context(template: dict[str, Any], **more: Any) -> PodContext:
    task = json_format.ParseDict(template, tasks_pb2.TaskTemplate())
    inputs = literals_pb2.LiteralMap()
    inputs.literals["x"].scalar.primitive.string_value = "a $(HOME) $$ 'b'"
    given: dict[str, Any] = {
        "execution": ExecutionId("p", "d", "x1"),
        "workflow_name": "app.workflows.main",
        "node_id": "n0",
        "attempt": 1,
        "task": task,
        "namespace": "p-d",
        "inputs": inputs,
        "inputs_uri": "s3://meta/n0/data/inputs.pb",
        "output_prefix": "s3://meta/n0/data/1",
        "raw_output_prefix": "s3://raw/x1-n0-1",
        "checkpoint_prefix": "s3://raw/x1-n0-1/_flytecheckpoints",
        "previous_checkpoint_prefix": "s3://raw/x1-n0-0/_flytecheckpoints",
        "default_needs": Needs({"cpu": "100m", "memory": "200Mi"}, {}),
    }
    return PodContext(**{**given, **more})


def overrides(**given: Any) -> workflow_pb2.TaskNodeOverrides:
    return json_format.ParseDict(given, workflow_pb2.TaskNodeOverrides())


OTHER_POD: dict[str, Any] = {
    "metadata": {"labels": {"team": "b"}, "annotations": {"more": "c"}},
    "podSpec": {
        "containers": [
            {"name": "primary", "image": "other", "args": ["{{.input}}"], "env": [{"name": "MODE", "value": "x"}]}
        ],
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    },
    "primaryContainerName": "primary",
}
GPU_LIMIT = {"limits": [{"name": "GPU", "value": "1"}]}
T4 = {"gpuAccelerator": {"device": "nvidia-tesla-t4"}}
SLICE = {"gpuAccelerator": {"device": "nvidia-tesla-a100", "partitionSize": "1g.5gb"}}
SHARED = {"sharedMemory": {"mountName": "flyte-shared-memory", "mountPath": "/dev/shm", "sizeLimit": "1Gi"}}
ON_ARM: dict[str, Any] = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]},
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["big"]}]},
            ]
        }
    }
}


CASES = {
    "flytekit_task": context(FLYTEKIT_TASK),
    "overrides": context(
        FLYTEKIT_TASK,
        overrides=json_format.ParseDict(
            {
                "resources": {"requests": [{"name": "GPU", "value": "1"}, {"name": "CPU", "value": "4"}]},
                "containerImage": "ghcr.io/acme/app:gpu",
            },
            workflow_pb2.TaskNodeOverrides(),
        ),
        envs={"MODE": "execution", "FLYTE_ATTEMPT_NUMBER": "9"},
        default_envs={"MODE": "default", "FLYTE_PLATFORM_URL": "127.0.0.1:8089"},
        labels={"team": "a"},
        annotations={"note": "b"},
        service_account="runner",
        interruptible=True,
    ),
    "raw_container": context(RAW_CONTAINER),
    "pod_template": context(POD_TEMPLATE, envs={"MODE": "execution"}),
    "array_item": context(FLYTEKIT_TASK, node_id="n0-n7", array_index=7, attempt=0),
    "pod_template_override": context(
        POD_TEMPLATE,
        overrides=overrides(
            podTemplate=OTHER_POD,
            resources={"requests": [{"name": "MEMORY", "value": "3Gi"}]},
            containerImage="ghcr.io/acme/app:new",
        ),
    ),
    "accelerator": context(
        {**FLYTEKIT_TASK, "extendedResources": {**T4, **SHARED}},
        overrides=overrides(resources=GPU_LIMIT, extendedResources=SLICE),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    pod = build(CASES[name])
    shown = {"name": pod.name, "primary_container": pod.primary_container, "manifest": pod.manifest}
    path = GOLDEN / f"{name}.json"
    if os.environ.get("REWRITE_GOLDEN"):
        path.write_text(json.dumps(shown, indent=2, sort_keys=True) + "\n")
    assert shown == json.loads(path.read_text())


def test_the_same_attempt_is_the_same_pod() -> None:
    assert build(context(FLYTEKIT_TASK)) == build(context(FLYTEKIT_TASK))
    assert build(context(FLYTEKIT_TASK)).name != build(context(FLYTEKIT_TASK, attempt=2)).name


def test_the_data_config_travels_in_an_annotation() -> None:
    config = DataConfig.load(build(CASES["raw_container"]).manifest["metadata"]["annotations"][ANNOTATION])
    assert (config.input_path, config.output_path, config.format) == ("/var/inputs", "/var/outputs", "YAML")
    assert (config.inputs_uri, config.output_prefix) == ("s3://meta/n0/data/inputs.pb", "s3://meta/n0/data/1")
    assert list(config.declared.variables) == ["area"]


def test_paths_that_the_data_config_leaves_out_are_flytes() -> None:
    template = {**RAW_CONTAINER, "container": {**RAW_CONTAINER["container"], "dataConfig": {"enabled": True}}}
    config = DataConfig.load(build(context(template)).manifest["metadata"]["annotations"][ANNOTATION])
    assert (config.input_path, config.output_path) == ("/var/flyte/inputs", "/var/flyte/outputs")


def test_the_security_context_names_the_service_account() -> None:
    template = {**FLYTEKIT_TASK, "securityContext": {"runAs": {"k8sServiceAccount": "own"}}}
    spec = build(context(template, service_account="runner")).manifest["spec"]
    assert spec["serviceAccountName"] == "own"


def test_who_asks_for_the_template_needs_it() -> None:
    assert not needs_task_template(context(FLYTEKIT_TASK).task)
    asking = {**RAW_CONTAINER, "container": {"image": "a", "args": ["{{.taskTemplatePath}}"]}}
    assert needs_task_template(context(asking).task)


def pod_template(**spec: Any) -> dict[str, Any]:
    return {**POD_TEMPLATE, "k8sPod": {"podSpec": spec}, "config": {}}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({**FLYTEKIT_TASK, "container": None}, "app.tasks.train of type 'python-task' .* no target"),
        ({**FLYTEKIT_TASK, "container": None, "sql": {"statement": "select 1"}}, "the target 'sql'"),
        ({**RAW_CONTAINER, "container": {"image": "a", "args": ["{{.inputs.y}}"]}}, "input 'y'"),
        (pod_template(containers=[{"name": "a"}, {"name": "b"}]), "no container ''"),
        (pod_template(), "no container ''"),
        (pod_template(containers="a"), "k8s_pod.pod_spec.containers"),
        (pod_template(containers=[{}]), "k8s_pod.pod_spec.containers"),
        (pod_template(containers=[{"name": "a", "env": [{"value": "b"}]}]), "k8s_pod.pod_spec.env"),
        (pod_template(containers=[{"name": "a", "args": "b"}]), "k8s_pod.pod_spec.args"),
        (pod_template(containers=[{"name": "a", "command": [1]}]), "k8s_pod.pod_spec.command"),
        (pod_template(containers=[{"name": "a", "resources": {"limits": {"cpu": "all"}}}]), "'all'"),
        (pod_template(containers=[{"name": "a", "resources": "all"}]), "k8s_pod.pod_spec.resources.requests"),
    ],
)
def test_what_makes_no_pod_says_why(template: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        build(context(template))


@pytest.mark.parametrize(
    ("text", "value"),
    [("plain", "plain"), ("app.Wörk flow", "app.W-rk-flow"), (".x.", "x"), ("a" * 70, "a" * 63), ("", ""), ("///", "")],
)
def test_label_values_are_valid(text: str, value: str) -> None:
    assert label_value(text) == value


def gpu_pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "app", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    return {**pod_template(containers=[container], **spec), "extendedResources": T4}


def test_an_item_is_told_its_index_and_nobody_else_is() -> None:
    def names(of: PodContext) -> set[str]:
        return {pair["name"] for pair in build(of).manifest["spec"]["containers"][0]["env"]}

    told = {"FLYTE_K8S_ARRAY_INDEX", "BATCH_JOB_ARRAY_INDEX_VAR_NAME", "BATCH_JOB_ARRAY_INDEX_OFFSET"}
    assert names(context(FLYTEKIT_TASK, array_index=0)) - names(context(FLYTEKIT_TASK)) == told


def test_the_pod_template_of_the_node_counts_for_a_task_of_one_container_too() -> None:
    pod = build(context(FLYTEKIT_TASK, overrides=overrides(podTemplate=OTHER_POD)))
    assert pod.primary_container == "primary"
    assert [container["name"] for container in pod.manifest["spec"]["containers"]] == ["primary"]
    assert pod.manifest["metadata"]["labels"]["team"] == "b"


def test_the_primary_container_is_known_without_building() -> None:
    for case in CASES.values():
        assert primary_container(case.task, case.overrides, case.name) == build(case).primary_container


def test_a_kind_of_gpu_without_a_gpu_changes_nothing() -> None:
    assert build(context({**FLYTEKIT_TASK, "extendedResources": T4})) == build(context(FLYTEKIT_TASK))


def test_a_gpu_of_no_kind_changes_nothing() -> None:
    spec = build(context(gpu_pod() | {"extendedResources": {"gpuAccelerator": {}}})).manifest["spec"]
    assert not spec.keys() & {"affinity", "tolerations"}


def test_what_machines_must_be_is_added_to_what_the_template_asks_of_them() -> None:
    spec = build(context(gpu_pod(affinity=ON_ARM, tolerations=[{"key": "spot"}]))).manifest["spec"]
    wanted = {"key": "k8s.amazonaws.com/accelerator", "operator": "In", "values": ["nvidia-tesla-t4"]}
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert [term["matchExpressions"][-1] for term in required["nodeSelectorTerms"]] == [wanted, wanted]
    assert required["nodeSelectorTerms"][0]["matchExpressions"][0]["key"] == "kubernetes.io/arch"
    assert [one["key"] for one in spec["tolerations"]] == ["spot", "k8s.amazonaws.com/accelerator"]


def test_a_whole_gpu_is_one_of_a_machine_that_divides_none() -> None:
    whole = {"gpuAccelerator": {"device": "nvidia-tesla-a100", "unpartitioned": True}}
    spec = build(context({**gpu_pod(), "extendedResources": whole})).manifest["spec"]
    (term,) = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"][1] == {"key": "k8s.amazonaws.com/gpu-partition-size", "operator": "DoesNotExist"}
    assert len(spec["tolerations"]) == 1


def test_shared_memory_has_a_name_a_place_and_no_limit_by_default() -> None:
    spec = build(context({**FLYTEKIT_TASK, "extendedResources": {"sharedMemory": {}}})).manifest["spec"]
    assert spec["volumes"] == [{"name": "flyte-shared-memory", "emptyDir": {"medium": "Memory"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "flyte-shared-memory", "mountPath": "/dev/shm"}]


def sharing(size: str = "", mount: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "main", "image": "app"} | ({"volumeMounts": [mount]} if mount else {})
    return {
        **pod_template(containers=[container], **spec),
        "extendedResources": {"sharedMemory": {"mountName": "shm", "sizeLimit": size}},
    }


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (sharing("lots"), "'lots'"),
        (sharing(volumes=[{"name": "shm"}]), "volume 'shm'"),
        (sharing(mount={"name": "shm", "mountPath": "/a"}), "volume 'shm'"),
        (sharing(mount={"name": "a", "mountPath": "/dev/shm"}), "at /dev/shm"),
        (sharing(volumes="all"), "k8s_pod.pod_spec.volumes"),
        (gpu_pod(affinity="all"), "k8s_pod.pod_spec.affinity"),
        (gpu_pod(tolerations=["all"]), "k8s_pod.pod_spec.tolerations"),
    ],
)
def test_extended_resources_that_cannot_be_given_say_why(template: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        build(context(template))
