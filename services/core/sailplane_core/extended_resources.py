"""Resources that are not amounts: which GPU, and memory that processes share. What they change in a Pod's spec."""

import copy
from typing import Any, cast

from sailplane_protos.core import tasks_pb2

from .errors import InvalidRequest
from .resources import GPU, parse_quantity

GPU_DEVICE_LABEL = "k8s.amazonaws.com/accelerator"
"""The label, and the taint, of machines that says which GPU they have; Flyte's default."""

GPU_PARTITION_SIZE_LABEL = "k8s.amazonaws.com/gpu-partition-size"
"""The same for how their GPUs are divided."""

SHARED_MEMORY_NAME = "flyte-shared-memory"
SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108 - where processes look for it

Manifest = dict[str, Any]


def merge(override: tasks_pb2.ExtendedResources, own: tasks_pb2.ExtendedResources) -> tasks_pb2.ExtendedResources:
    """The node's word for each resource that it names, the task's for the others."""
    merged = tasks_pb2.ExtendedResources()
    merged.CopyFrom(own)
    if override.HasField("gpu_accelerator"):
        merged.gpu_accelerator.CopyFrom(override.gpu_accelerator)
    if override.HasField("shared_memory"):
        merged.shared_memory.CopyFrom(override.shared_memory)
    return merged


def apply(spec: Manifest, primary: str, wanted: tasks_pb2.ExtendedResources) -> Manifest:
    """The Pod spec with what is wanted for its container `primary`; `spec` is left as it is.

    A GPU's kind counts only where a container asks for a GPU. Raises `InvalidRequest` for shared memory of no valid
    size, or where the Pod has a volume of that name, or the container something mounted there.
    """
    spec = copy.deepcopy(spec)
    if wanted.HasField("gpu_accelerator") and any(_asks_for_gpu(container) for container in spec["containers"]):
        _select_gpu(spec, wanted.gpu_accelerator)
    if wanted.HasField("shared_memory"):
        container = next(container for container in spec["containers"] if container["name"] == primary)
        _share_memory(spec, container, wanted.shared_memory)
    return spec


def _asks_for_gpu(container: Manifest) -> bool:
    return GPU in container.get("resources", {}).get("limits", {})


def _select_gpu(spec: Manifest, accelerator: tasks_pb2.GPUAccelerator) -> None:
    """Only machines that have it, and those also if they are kept for it."""
    required: list[Manifest] = []
    tolerated: list[tuple[str, str]] = []
    if accelerator.device:
        required.append(_one_of(GPU_DEVICE_LABEL, accelerator.device))
        tolerated.append((GPU_DEVICE_LABEL, accelerator.device))
    if accelerator.partition_size:
        required.append(_one_of(GPU_PARTITION_SIZE_LABEL, accelerator.partition_size))
        tolerated.append((GPU_PARTITION_SIZE_LABEL, accelerator.partition_size))
    elif accelerator.unpartitioned:
        required.append({"key": GPU_PARTITION_SIZE_LABEL, "operator": "DoesNotExist"})
    if required:
        node_affinity = _object(_object(spec, "affinity"), "nodeAffinity")
        terms = _list(_object(node_affinity, "requiredDuringSchedulingIgnoredDuringExecution"), "nodeSelectorTerms")
        for term in terms or [_added(terms)]:
            _list(term, "matchExpressions").extend(required)
    for key, value in tolerated:
        toleration = {"key": key, "value": value, "operator": "Equal", "effect": "NoSchedule"}
        _list(spec, "tolerations").append(toleration)


def _one_of(key: str, value: str) -> Manifest:
    return {"key": key, "operator": "In", "values": [value]}


def _share_memory(spec: Manifest, container: Manifest, memory: tasks_pb2.SharedMemory) -> None:
    name, path = memory.mount_name or SHARED_MEMORY_NAME, memory.mount_path or SHARED_MEMORY_PATH
    volume: Manifest = {"name": name, "emptyDir": {"medium": "Memory"}}
    if memory.size_limit:
        parse_quantity(memory.size_limit)
        volume["emptyDir"]["sizeLimit"] = memory.size_limit
    volumes, mounts = _list(spec, "volumes"), _list(container, "volumeMounts")
    if any(one.get("name") == name for one in (*volumes, *mounts)):
        raise InvalidRequest(f"shared memory cannot be mounted: the Pod has a volume {name!r} already")
    if any(one.get("mountPath") == path for one in mounts):
        raise InvalidRequest(f"shared memory cannot be mounted: something is mounted at {path} already")
    volumes.append(volume)
    mounts.append({"name": name, "mountPath": path})


def _object(parent: Manifest, key: str) -> Manifest:
    """The object under `key`, made if it is not there."""
    value = parent.get(key)
    if value is None:
        value = parent[key] = {}
    if not isinstance(value, dict):
        raise InvalidRequest.invalid(f"k8s_pod.pod_spec.{key}", "an object is expected")
    return cast("Manifest", value)


def _list(parent: Manifest, key: str) -> list[Manifest]:
    """The list of objects under `key`, made if it is not there."""
    value = parent.get(key)
    if value is None:
        value = parent[key] = []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in cast("list[object]", value)):
        raise InvalidRequest.invalid(f"k8s_pod.pod_spec.{key}", "a list of objects is expected")
    return cast("list[Manifest]", value)


def _added(terms: list[Manifest]) -> Manifest:
    terms.append({})
    return terms[-1]
