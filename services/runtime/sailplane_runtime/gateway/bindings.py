"""Where the schema puts an RPC on HTTP: `google.api.http`, read once, and requests put together by it.

A request is made of the body first, then of the variables in the path, then of the query, so that the path always has
the last word on what it names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2  # pyright: ignore[reportMissingTypeStubs]
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from sailplane_core.errors import InvalidRequest

from . import json_text
from .parameters import Path, fields_of, read_query, set_field
from .templates import Template

ALL = "*"
"""As `body`: everything that is not in the path."""

_HTTP: Any = annotations_pb2.http


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to call an RPC."""

    verb: str
    template: str
    """As the schema has it."""
    path: Template
    variables: tuple[Path, ...]
    """The field of each variable of the path, in order."""
    body: str
    """The field that the body is, `ALL`, or nothing: there is no body."""
    response_body: str
    """The field of the reply that is answered, or nothing: all of it."""

    def read(self, request: Any, segments: Sequence[str], query: str, body: bytes, *, is_json: bool) -> None:
        """Fill the request. `segments` match the path; `body` is JSON or protobuf. Raises `InvalidRequest`."""
        if body:
            self._read_body(request, body, is_json=is_json)
        for field, (_, text) in zip(self.variables, self.path.bind(segments), strict=True):
            set_field(request, field, [text])
        if self.body != ALL:
            read_query(query, request, self._taken(request.DESCRIPTOR))

    def _read_body(self, request: Any, body: bytes, *, is_json: bool) -> None:
        if not self.body:
            raise InvalidRequest(f"{self.verb} {self.template} takes no body")
        if is_json:
            json_text.decode(body, request, field="" if self.body == ALL else self.body)
        elif self.body == ALL:
            request.MergeFromString(body)
        else:
            getattr(request, self.body).MergeFromString(body)

    def _taken(self, request: Descriptor) -> Sequence[Path]:
        return [*self.variables, (request.fields_by_name[self.body],)] if self.body else self.variables


def bindings_of(method: MethodDescriptor) -> Iterator[Binding]:
    """All ways to call the RPC over HTTP. Raises `ValueError` for a binding that the schema should not have."""
    rule: Any = method.GetOptions().Extensions[_HTTP]
    for one in (rule, *rule.additional_bindings):
        kind = one.WhichOneof("pattern")
        if kind is None:
            continue
        verb, text = (one.custom.kind, one.custom.path) if kind == "custom" else (kind.upper(), getattr(one, kind))
        template = Template.parse(text)
        variables: list[Path] = []
        for variable in template.variables:
            path = fields_of(method.input_type, variable.field)
            if path is None or path[-1].is_repeated:
                raise ValueError(f"{method.full_name} has no field {'.'.join(variable.field)}, which {text} names")
            variables.append(path)
        if one.body not in ("", ALL) and one.body not in method.input_type.fields_by_name:
            raise ValueError(f"{method.full_name} has no field {one.body}, which is to be its body")
        yield Binding(verb, text, template, tuple(variables), one.body, one.response_body)
