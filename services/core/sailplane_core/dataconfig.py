"""What a container without an SDK wants of its data: inputs as files before it starts, outputs from files after it.

It travels in an annotation of the Pod, so that whoever runs the Pod finds it with the Pod.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from google.protobuf import json_format
from sailplane_protos.core import interface_pb2

ANNOTATION = "sailplane/data-config"


@dataclass(frozen=True, slots=True)
class DataConfig:
    """Where the files lie, in the container and in the blob store.

    `input_path` and `output_path` are directories as the container's author named them. `format` is JSON, YAML or
    PROTO. `outputs` is the task's declared outputs, a `core.VariableMap` as JSON.
    """

    input_path: str
    output_path: str
    format: str
    inputs_uri: str
    output_prefix: str
    raw_output_prefix: str
    outputs: Mapping[str, Any]

    def dump(self) -> str:
        """As the annotation's value."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def load(cls, annotation: str) -> "DataConfig":
        """Inverse of `dump`."""
        return cls(**json.loads(annotation))

    @property
    def declared(self) -> interface_pb2.VariableMap:
        """The declared outputs with their types."""
        return json_format.ParseDict(dict(self.outputs), interface_pb2.VariableMap())
