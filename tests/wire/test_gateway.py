"""A control plane over HTTP: every RPC that may be read answers as it does over gRPC, and what curl would do works."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from compat.plane import Plane
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from wire import good
from wire.conftest import Call
from wire.test_gateway_bindings import BINDINGS, parameters, text_of, value_at, variables_of

OCTETS = {"Accept": "application/octet-stream"}
SCOPE = f"{good.PROJECT}/{good.DOMAIN}"
ATTEMPT = f"{SCOPE}/{good.DONE}/n0/{SCOPE}/t/{good.VERSION}/0"
STUBBED = ("AdminService", "DataProxyService", "SignalService")
READING = [
    one
    for one in BINDINGS
    if one[1] == "GET" and one[0].containing_service.name in STUBBED and one[0].name in good.REQUESTS
]


def ask(plane: Plane, verb: str, path: str, value: Any = None, **headers: str) -> tuple[int, Any]:
    """The number of the status line, and the body as JSON."""
    status, body = raw(plane, verb, path, None if value is None else json.dumps(value).encode(), **headers)
    return status, json.loads(body)


def raw(plane: Plane, verb: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    kind = {"Content-Type": "application/json"} if body is not None else {}
    request = urllib.request.Request(plane.http + path, body, {**kind, **headers}, method=verb)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def path_of(request: Message, template: str) -> str:
    path = template
    for variable in variables_of(template):
        field, value = value_at(request, variable)
        path = path.replace("{" + variable + "}", urllib.request.quote(text_of(field, value), safe=""))
    pairs = parameters(request, variables_of(template))
    return path + "?" + "&".join(f"{name}={urllib.request.quote(text, safe='')}" for name, text in pairs)


@pytest.mark.parametrize(
    ("method", "template"),
    [(method, template) for method, _, template, _ in READING],
    ids=[f"{method.name}-{template.count('{')}" for method, _, template, _ in READING],
)
def test_reading_over_http_gives_what_grpc_gives(
    world: Plane, call: Call, method: MethodDescriptor, template: str
) -> None:
    request: Any = good.REQUESTS[method.name]()
    if method.name.startswith("List") and "{id.name}" not in template and "id" in request.DESCRIPTOR.fields_by_name:
        request.id.ClearField("name")
    expected: Any
    try:
        expected = call(method.name, request)
    except grpc.RpcError as error:
        expected = error
    status, body = raw(world, "GET", path_of(request, template), **OCTETS)
    if isinstance(expected, grpc.RpcError):
        answer = ask(world, "GET", path_of(request, template))[1]
        assert (answer["code"], answer["message"]) == (expected.code().value[0], expected.details())
        return
    assert status == 200, body
    found = type(expected).FromString(body)
    assert without_signatures(found) == without_signatures(expected)
    status, body = raw(world, "GET", path_of(request, template))
    assert without_signatures(json_format.Parse(body, type(expected)())) == without_signatures(expected)


def without_signatures(reply: Any) -> Any:
    """Signed URLs differ from one call to the next."""
    for name in ("inputs", "outputs", "signed_url", "expires_at"):
        if name in reply.DESCRIPTOR.fields_by_name:
            reply.ClearField(name)
    return reply


# What people do with curl


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane for what these tests write."""
    started = Plane(tmp_path_factory.mktemp("curl") / "data").start()
    yield started
    assert started.stop() == 0


def test_projects_have_all_their_fields(alone: Plane) -> None:
    status, answer = ask(alone, "GET", "/api/v1/projects")
    assert status == 200
    assert answer["projects"][0]["labels"] == {"values": {}}
    assert answer["projects"][0]["state"] == "ACTIVE"


def test_a_project_is_made_changed_and_made_twice(alone: Plane) -> None:
    project = {"project": {"id": "curl", "name": "curl", "labels": {"values": {"team": "red"}}}}
    assert ask(alone, "POST", "/api/v1/projects", project) == (200, {})
    status, answer = ask(alone, "POST", "/api/v1/projects", project)
    assert (status, answer["code"]) == (409, 6)
    assert ask(alone, "PUT", "/api/v1/projects/curl", {"description": "by hand"}) == (200, {})
    status, answer = ask(alone, "GET", "/api/v1/projects/curl")
    assert (answer["description"], answer["labels"]) == ("by hand", {"values": {"team": "red"}})
    status, answer = ask(alone, "POST", "/api/v1/projects", {"project": {"id": "x", "nmae": "x"}})
    assert (status, answer["code"]) == (400, 3)
    assert "nmae" in answer["message"]


def test_a_launch_plan_is_switched_on_and_off(world: Plane) -> None:
    plan = f"/api/v1/launch_plans/{SCOPE}/w/{good.VERSION}"
    for state in ("ACTIVE", "INACTIVE"):
        assert ask(world, "PUT", plan, {"state": state}) == (200, {})
        assert ask(world, "GET", plan)[1]["closure"]["state"] == state


@pytest.mark.parametrize(
    "path",
    [
        f"/tasks/{SCOPE}/t/{good.VERSION}",
        f"/workflows/{SCOPE}/w/{good.VERSION}",
        f"/launch_plans/{SCOPE}/w/{good.VERSION}",
        f"/task_executions/{ATTEMPT}",
        f"/data/task_executions/{ATTEMPT}",
        f"/children/task_executions/{ATTEMPT}?limit=1",
    ],
)
def test_the_path_says_what_kind_of_thing_it_is(world: Plane, path: str) -> None:
    assert ask(world, "GET", "/api/v1" + path)[0] == 200


def test_what_needs_a_login_is_not_implemented_where_there_is_none(alone: Plane) -> None:
    for path in ("/me", "/config/v1/flyte_client", "/.well-known/oauth-authorization-server"):
        status, answer = ask(alone, "GET", path)
        assert (status, answer["code"]) == (501, 12)


def test_a_page_that_was_pointed_at_us_reads_and_writes_nothing(alone: Plane) -> None:
    assert raw(alone, "GET", "/api/v1/projects", Host="evil.example")[0] == 421
    body = json.dumps({"project": {"id": "evil", "name": "evil"}}).encode()
    for headers in ({"Content-Type": "text/plain"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert raw(alone, "POST", "/api/v1/projects", body, **headers)[0] in (403, 415)
    assert ask(alone, "GET", "/api/v1/projects/evil")[0] == 404


def test_there_is_an_openapi_document_of_all_of_this(alone: Plane) -> None:
    status, document = ask(alone, "GET", "/api/v1/openapi")
    assert (status, document["openapi"]) == (200, "3.1.0")
    assert {template for _, _, template, _ in READING} <= set(document["paths"])
