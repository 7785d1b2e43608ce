"""Links to an attempt's logs, made from templates that the operator gives.

`{{.namespace}}`, `{{.podName}}`, `{{.project}}`, `{{.domain}}`, `{{.executionName}}` and `{{.nodeID}}` stand for what
they say, as in Flyte's configuration; other braces are left alone.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

from sailplane_protos.core import execution_pb2

from .ids import ExecutionId

_VARIABLE = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")


def links(
    templates: Iterable[tuple[str, str]], execution: ExecutionId, namespace: str, pod: str, node_id: str
) -> list[execution_pb2.TaskLog]:
    """A link for each name and template."""
    values = {
        "namespace": namespace,
        "podname": pod,
        "project": execution.project,
        "domain": execution.domain,
        "executionname": execution.name,
        "nodeid": node_id,
    }

    def value(match: "re.Match[str]") -> str:
        known = values.get(match[1].lower())
        return match[0] if known is None else quote(known, safe="")

    return [execution_pb2.TaskLog(name=name, uri=_VARIABLE.sub(value, template)) for name, template in templates]
