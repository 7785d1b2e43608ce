"""Template variables in a task's command line: `{{.inputPrefix}}`, `{{.inputs.x}}` and their like.

As in Flyte, names are case-insensitive, `{{ .X }}` and `{{ $X }}` are the same, and braces around anything else are
left alone, because they may be meant for the program. A value is put in as text where it stands: an argument stays
one argument, whatever the value holds.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sailplane_protos.core import literals_pb2

from .errors import InvalidRequest
from .literal_text import text

_VARIABLE = re.compile(r"\{\{\s*[.$](\w+)(?:\.([^}\s]+))?\s*\}\}")


@dataclass(frozen=True, slots=True)
class TemplateValues:
    """What the variables stand for. All paths are URIs; the prefixes have no slash at their end."""

    inputs_uri: str = ""
    """`{{.input}}`: the inputs, a `core.LiteralMap`. `{{.inputPrefix}}` is its directory."""
    output_prefix: str = ""
    raw_output_prefix: str = ""
    checkpoint_prefix: str = ""
    previous_checkpoint_prefix: str = ""
    """Empty for a first attempt; it then stands as two quote characters, which flytekit takes for none."""
    unique_key: str = ""
    """The attempt's own name, for `{{.perRetryUniqueKey}}`."""
    namespace: str = ""
    task_template_uri: str = ""
    inputs: literals_pb2.LiteralMap = field(default_factory=literals_pb2.LiteralMap)


def render(template: str, values: TemplateValues, escape: Callable[[str], str] = str) -> str:
    """`template` with its variables replaced. `escape` is applied to each value, and not to the text around it.

    Raises `InvalidRequest` for an input that does not exist or has no text form.
    """
    if "{{" not in template:
        return template

    def replacement(match: "re.Match[str]") -> str:
        name, rest = match[1].lower(), match[2]
        if name == "inputs" and rest is not None:
            return escape(_input(rest, values.inputs))
        known = _VALUES.get(name)
        return match[0] if known is None or rest is not None else escape(known(values))

    return _VARIABLE.sub(replacement, template)


def render_all(templates: Sequence[str], values: TemplateValues, escape: Callable[[str], str] = str) -> list[str]:
    """Each of them, in order."""
    return [render(template, values, escape) for template in templates]


def uses(templates: Sequence[str], variable: str) -> bool:
    """Whether one of the templates mentions this variable."""
    return any(match[1].lower() == variable.lower() for each in templates for match in _VARIABLE.finditer(each))


def _input(name: str, inputs: literals_pb2.LiteralMap) -> str:
    if name not in inputs.literals:
        given = ", ".join(sorted(inputs.literals)) or "none"
        raise InvalidRequest(f"the command asks for input {name!r}, which does not exist (inputs: {given})")
    try:
        return text(inputs.literals[name])
    except InvalidRequest as error:
        raise InvalidRequest(f"the command asks for input {name!r}: {error}") from error


def _unique_key(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", re.sub(r"^[^a-zA-Z_]+", "a", name))


_VALUES: dict[str, Callable[[TemplateValues], str]] = {
    "input": lambda values: values.inputs_uri,
    "inputprefix": lambda values: values.inputs_uri.rpartition("/")[0],
    "outputprefix": lambda values: values.output_prefix,
    "rawoutputdataprefix": lambda values: values.raw_output_prefix,
    "checkpointoutputprefix": lambda values: values.checkpoint_prefix,
    "prevcheckpointprefix": lambda values: values.previous_checkpoint_prefix or '""',
    "perretryuniquekey": lambda values: _unique_key(values.unique_key),
    "namespace": lambda values: values.namespace,
    "tasktemplatepath": lambda values: values.task_template_uri,
}
