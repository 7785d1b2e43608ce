"""The OpenAPI document: valid, complete, and true of what the gateway answers."""

import json
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from sailplane_runtime.gateway.door import Gateway
from sailplane_runtime.gateway.json_text import encode
from services.runtime.asking import ask
from wire import fuzz
from wire.test_gateway_bindings import BINDINGS, CASES, SERVICES, World


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Of all services that Flyte binds to HTTP, as the gateway gives it out."""
    import asyncio

    gateway = World().gateway
    (route,) = [route for route in gateway.routes() if getattr(route, "path", "") == "/api/v1/openapi"]
    answer = asyncio.run(ask(route.app, "GET", "/api/v1/openapi"))  # type: ignore[attr-defined]
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    return answer.json


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_it_has_every_binding_that_flyte_publishes(document: dict[str, Any]) -> None:
    found = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    assert found == {(verb, template) for _, verb, template, _ in BINDINGS}


def test_parameters_are_the_fields_that_are_in_the_path_and_those_that_are_not(document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/tasks/{id.project}/{id.domain}"]["get"]
    parameters = {(each["in"], each["name"]): each for each in operation["parameters"]}
    assert {name for place, name in parameters if place == "path"} == {"id.project", "id.domain"}
    assert {name for place, name in parameters if place == "query"} == {
        *("id.name", "id.org", "limit", "token", "filters", "sort_by.key", "sort_by.direction"),
    }
    assert "requestBody" not in operation
    written = document["paths"]["/api/v1/projects/{id}"]["put"]
    assert [each["name"] for each in written["parameters"]] == ["id"]
    assert written["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/admin.Project")


def test_the_words_are_those_of_the_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    undescribed = [name for name, schema in schemas.items() if "description" not in schema and name != "rpc.Status"]
    assert undescribed == []
    assert all(operation["summary"] for verbs in document["paths"].values() for operation in verbs.values())
    assert "At most 300" in schemas["admin.Project"]["properties"]["description"]["description"]
    assert "deprecated" in document["paths"]["/api/v1/dataproxy/artifact_urn"]["get"]


METHODS = [method for service in SERVICES for method in service.methods if not method.client_streaming]


@pytest.mark.parametrize("service", ["AdminService", "DataProxyService", "SignalService"])
def test_replies_are_as_it_says(document: dict[str, Any], service: str) -> None:
    @settings(CASES, max_examples=150)
    @given(st.sampled_from([one for one in METHODS if one.containing_service.name == service]), st.data())
    def check(method: MethodDescriptor, data: Any) -> None:
        reply: Message = data.draw(fuzz.messages(method.output_type))
        forget_unknown_numbers(reply)
        name = method.output_type.full_name.partition(".")[2]
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        errors = [error.message for error in Draft202012Validator(schema).iter_errors(json.loads(encode(reply)))]
        assert errors == []

    check()


def forget_unknown_numbers(message: Any) -> None:
    """Of enums, and what is no number: they have no place in a schema."""
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in messages_in(field, value):
                forget_unknown_numbers(one)
        elif any(is_unknown(field, one) for one in (value if field.is_repeated else [value])):
            message.ClearField(field.name)


def messages_in(field: FieldDescriptor, value: Any) -> list[Any]:
    if field.message_type.GetOptions().map_entry:
        is_message = field.message_type.fields_by_name["value"].message_type is not None
        return list(value.values()) if is_message else []
    return list(value) if field.is_repeated else [value]


def is_unknown(field: FieldDescriptor, value: Any) -> bool:
    if field.enum_type is not None:
        return value not in field.enum_type.values_by_number
    return isinstance(value, float) and value - value != 0


async def test_a_gateway_without_services_has_a_document_too() -> None:
    (route, _) = Gateway(1000, 1).routes()
    answer = await ask(route.app, "GET", "/api/v1/openapi")  # type: ignore[attr-defined]
    assert answer.json["paths"] == {}
