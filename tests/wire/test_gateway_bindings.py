"""Every HTTP binding that Flyte publishes leads to its RPC, and takes every request there as it is.

Requests are made of the published `flyteidl` descriptors and put on HTTP by the rules of `google.api.http` here, with
protobuf's own JSON; what the handler gets is compared byte by byte.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flyteidl.service import admin_pb2, agent_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from sailplane_runtime.gateway.door import Gateway
from sailplane_runtime.gateway.json_text import encode
from services.runtime.asking import JSON, PROTOBUF, Client, ask
from wire import fuzz

FILES = (admin_pb2, dataproxy_pb2, signal_pb2, identity_pb2, auth_pb2, agent_pb2)
SERVICES = [service for file in FILES for service in file.DESCRIPTOR.services_by_name.values()]
CASES = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
_F = FieldDescriptor


def bindings() -> Iterator[tuple[MethodDescriptor, str, str, str]]:
    """Each RPC with a verb, a path template and a body."""
    for service in SERVICES:
        for method in service.methods:
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            for one in (rule, *rule.additional_bindings):
                verb = one.WhichOneof("pattern")
                if verb is not None and not method.client_streaming:
                    yield method, verb.upper(), getattr(one, verb), one.body


BINDINGS = list(bindings())


class World:
    """A gateway to all of these services, and the last request that any of them got."""

    def __init__(self) -> None:
        self.got: tuple[str, Message] | None = None
        self.gateway = Gateway(message_bytes_max=16 * 1024**2, slow_call_s=60)
        for service in SERVICES:
            methods = {method.name: self._method(method) for method in service.methods}
            servicer = type(service.name, (), methods)()
            self.gateway.add(service.full_name.replace("flyteidl", "sailplane", 1), servicer)

    def _method(self, method: MethodDescriptor) -> Any:
        async def answer(servicer: object, request: Message, context: Any) -> Any:
            self.got = (method.name, request)
            return reply_of(method)

        async def answers(servicer: object, request: Message, context: Any) -> AsyncIterator[Any]:
            self.got = (method.name, request)
            yield reply_of(method)

        return answers if method.server_streaming else answer


def reply_of(method: MethodDescriptor) -> Message:
    name = method.output_type.full_name.replace("flyteidl", "sailplane", 1)
    return GetMessageClass(Default().FindMessageTypeByName(name))()


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def test_there_are_as_many_as_flyte_has() -> None:
    assert len(BINDINGS) == 76


# Putting a request on HTTP


def variables_of(template: str) -> list[str]:
    return [piece.partition("}")[0] for piece in template.split("{")[1:]]


def value_at(message: Any, path: str) -> tuple[FieldDescriptor, Any]:
    """A field that is in the path; what it lies in is there from now on."""
    *way, last = path.split(".")
    for name in way:
        message = getattr(message, name)
        message.SetInParent()
    return message.DESCRIPTOR.fields_by_name[last], getattr(message, last)


def text_of(field: FieldDescriptor, value: Any) -> str:
    if field.type == _F.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.type == _F.TYPE_BYTES:
        return json.loads(json_format.MessageToJson(BytesValue(value=value)))
    return str(value).lower() if field.type == _F.TYPE_BOOL else str(value)


def prune(message: Any) -> None:
    """Take away what a query cannot say: messages in lists and maps, empty messages, unknown numbers of enums."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.file.package == "google.protobuf":
            try:
                json_format.MessageToJson(value)
            except Exception:  # a time that JSON has no text for
                message.ClearField(field.name)
        elif field.message_type is not None:
            if not field.is_repeated:
                prune(value)
            if field.is_repeated or not value.ListFields():
                message.ClearField(field.name)
        elif field.type == _F.TYPE_ENUM:
            values = list(value) if field.is_repeated else [value]
            if any(one not in field.enum_type.values_by_number for one in values):
                message.ClearField(field.name)


def parameters(message: Any, without: list[str], prefix: str = "") -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        name = prefix + field.name
        if name in without:
            continue
        if field.message_type is not None and field.message_type.file.package == "google.protobuf":
            yield name, json.loads(json_format.MessageToJson(value))
        elif field.message_type is not None:
            yield from parameters(value, without, name + ".")
        else:
            for one in value if field.is_repeated else [value]:
                yield name, text_of(field, one)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "protobuf"])
@pytest.mark.parametrize(
    ("method", "verb", "template", "body"), BINDINGS, ids=[f"{b[0].name}-{b[2].count('{')}" for b in BINDINGS]
)
def test_a_request_arrives_as_it_was_sent(
    world: World, method: MethodDescriptor, verb: str, template: str, body: str, as_json: bool
) -> None:
    assert body in ("", "*")

    @CASES
    @given(st.data())
    def check(data: Any) -> None:
        request: Any = data.draw(fuzz.messages(method.input_type))
        if not body:
            prune(request)
        path = template
        for variable in variables_of(template):
            field, value = value_at(request, variable)
            if field.type == _F.TYPE_ENUM:
                assume(value in field.enum_type.values_by_number)
            path = path.replace("{" + variable + "}", quote(text_of(field, value), safe=""))
        query, content = "", b""
        if not body:
            pairs = parameters(request, variables_of(template))
            query = "&".join(f"{name}={quote(text, safe='')}" for name, text in pairs)
        elif as_json:
            try:
                content = json_format.MessageToJson(request).encode()
                request = json_format.Parse(content, type(request)())  # JSON has one null only
            except Exception:
                assume(False)  # a time or a type that JSON has no text for
        else:
            content = request.SerializeToString()
        world.got = None
        kind = JSON if as_json else PROTOBUF
        answer = asyncio.run(ask(world.gateway, verb, f"{path}?{query}", kind, body=content))
        assert answer.status == 200, answer.body
        assert world.got is not None
        assert world.got[0] == method.name
        assert world.got[1].SerializeToString(deterministic=True) == request.SerializeToString(deterministic=True)

    check()


# The other way


@pytest.mark.parametrize("service", ["AdminService", "DataProxyService", "SignalService"])
def test_replies_are_written_as_protobufs_own_json_is_with_everything_unset(service: str) -> None:
    """Besides, a message that is not set is null."""
    types = [method.output_type for one in SERVICES if one.name == service for method in one.methods]

    @settings(CASES, max_examples=400)
    @given(st.sampled_from(types).flatmap(fuzz.messages))
    def check(reply: Message) -> None:
        try:
            expected = json_format.MessageToDict(
                reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        except Exception:
            json.loads(encode(reply))  # there is an answer all the same
            assume(False)
        assert without_nulls(json.loads(encode(reply))) == without_nulls(expected)

    check()


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


async def test_messages_that_are_not_set_are_null_but_not_those_of_a_oneof(world: World) -> None:
    answer = await ask(world.gateway, "GET", "/api/v1/executions/p/d/n")
    assert answer.json == {"id": None, "spec": None, "closure": None}
    closure = (await ask(world.gateway, "GET", "/api/v1/data/executions/p/d/n")).json
    assert set(closure) == {"outputs", "inputs", "full_inputs", "full_outputs"}


async def test_a_stream_arrives_too(world: World) -> None:
    client = Client(world.gateway, "GET", "/api/v1/agent/task/logs/a/1/YQ==")
    await client.run()
    assert world.got is not None
    assert world.got[0] == "GetTaskLogs"
