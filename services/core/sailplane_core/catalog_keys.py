"""What a task's outputs are kept under in the catalog: a dataset for the task, a tag for its inputs.

    dataset   project and domain of the task, `flyte_task-<name>`, `<cache version>-<hash of inputs>-<hash of outputs>`
    tag       `flyte_cached-<hash of the values>`

The names are Flyte's; the hashes are ours: SHA-256 of a canonical JSON. Types are hashed without what is said about
them to people, values without where they happen to lie: a value that brings a hash of its own is that hash.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sailplane_protos.core import identifier_pb2, interface_pb2, literals_pb2, tasks_pb2, types_pb2, workflow_pb2
from sailplane_protos.datacatalog import datacatalog_pb2

TYPE_HASH_CHARS = 8
CACHE_KEY_METADATA = "cache-key-metadata"
"""The one annotation of a type that counts: flytekit's way to have a cache version follow a type."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """That a node's outputs are cached, and how."""

    version: str
    is_serializable: bool = False
    ignored_inputs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CatalogKey:
    """Where outputs are looked for."""

    project: str
    domain: str
    name: str
    version: str
    tag: str

    @property
    def dataset(self) -> datacatalog_pb2.DatasetID:
        """As the catalog wants it."""
        return datacatalog_pb2.DatasetID(project=self.project, domain=self.domain, name=self.name, version=self.version)

    @property
    def reservation(self) -> datacatalog_pb2.ReservationID:
        """The right to make what will be found here."""
        return datacatalog_pb2.ReservationID(dataset_id=self.dataset, tag_name=self.tag)

    @property
    def identifier(self) -> identifier_pb2.Identifier:
        """The dataset as events name it."""
        return identifier_pb2.Identifier(
            resource_type=identifier_pb2.DATASET,
            project=self.project,
            domain=self.domain,
            name=self.name,
            version=self.version,
        )


def cache_policy(node: workflow_pb2.Node, task: tasks_pb2.TaskTemplate) -> CachePolicy | None:
    """How a node's outputs are cached; None if they are not.

    The node's own word stands above the task's. Without a version or without outputs nothing is cached.
    """
    own, theirs = node.metadata, task.metadata
    is_cached = own.cacheable if own.WhichOneof("cacheable_value") else theirs.discoverable
    version = own.cache_version if own.WhichOneof("cache_version_value") else theirs.discovery_version
    is_serializable = (
        own.cache_serializable if own.WhichOneof("cache_serializable_value") else theirs.cache_serializable
    )
    if not is_cached or not version.strip() or not task.interface.outputs.variables:
        return None
    return CachePolicy(version, is_serializable, frozenset(theirs.cache_ignore_input_vars))


def catalog_key(task: tasks_pb2.TaskTemplate, policy: CachePolicy, inputs: literals_pb2.LiteralMap) -> CatalogKey:
    """What the outputs of a task for these inputs are kept under."""
    ins = _types_hash(task.interface.inputs, policy.ignored_inputs)
    outs = _types_hash(task.interface.outputs, frozenset())
    values = {name: _value(literal) for name, literal in inputs.literals.items() if name not in policy.ignored_inputs}
    return CatalogKey(
        project=task.id.project,
        domain=task.id.domain,
        name=f"flyte_task-{task.id.name}",
        version=f"{policy.version}-{ins}-{outs}",
        tag=f"flyte_cached-{_hash(values)}",
    )


def _hash(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")


def _types_hash(variables: interface_pb2.VariableMap, ignored: frozenset[str]) -> str:
    types = {name: _type(one.type) for name, one in variables.variables.items() if name not in ignored}
    return _hash(types)[:TYPE_HASH_CHARS]


def _type(declared: types_pb2.LiteralType) -> Any:
    return _without_remarks(_json(declared))


def _without_remarks(value: Any) -> Any:
    """A type's JSON without metadata and annotations, at any depth."""
    if isinstance(value, list):
        return [_without_remarks(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    kept: dict[str, Any] = {}
    for key, one in cast("dict[str, Any]", value).items():
        if key == "annotation":
            annotations = one.get("annotations", {})
            if CACHE_KEY_METADATA in annotations:
                kept[key] = annotations[CACHE_KEY_METADATA]
        elif key != "metadata":
            kept[key] = _without_remarks(one)
    return kept


def _value(literal: literals_pb2.Literal) -> Any:
    """A value as plain JSON, in which equal values are equal."""
    if literal.hash:
        return {"hash": literal.hash}
    match literal.WhichOneof("value"):
        case "collection":
            return [_value(one) for one in literal.collection.literals]
        case "map":
            return {"map": {key: _value(one) for key, one in _entries(literal.map.literals)}}
        case "scalar" if literal.scalar.HasField("union"):
            return {"union": _value(literal.scalar.union.value), "type": _type(literal.scalar.union.type)}
        case "scalar":
            return _json(literal.scalar)
        case "offloaded_metadata":
            return {"uri": literal.offloaded_metadata.uri, "size_bytes": literal.offloaded_metadata.size_bytes}
        case None:
            return None


def _entries(literals: Mapping[str, literals_pb2.Literal]) -> list[tuple[str, literals_pb2.Literal]]:
    return [(key, literals[key]) for key in sorted(literals)]


def _json(message: Message) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True)
