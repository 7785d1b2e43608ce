"""The gateway: what it takes, how it refuses, and that a call is what it is over gRPC."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from google.rpc import status_pb2
from grpc import StatusCode
from sailplane_core import errors
from sailplane_protos.admin import common_pb2, execution_pb2, version_pb2, workflow_pb2
from sailplane_protos.core import identifier_pb2
from sailplane_runtime.gateway.door import Gateway
from sailplane_runtime.gateway.statuses import HTTP_STATUSES
from sailplane_runtime.gateway.templates import Routes, Template
from services.runtime.asking import JSON, PROTOBUF, Answer, Client, ask

ADMIN = "sailplane.service.AdminService"
VERSION = "/api/v1/version"
BYTES_MAX = 100_000


class Admin:
    """Keeps what it is asked, and does what a test gives it to do."""

    def __init__(self, act: Callable[[], Any] = lambda: None) -> None:
        self.act = act
        self.requests: list[Any] = []
        self.calls: list[Any] = []

    async def GetVersion(self, request: Any, call: Any) -> Any:  # noqa: N802
        """The outcome of the act, or a version."""
        self.requests.append(request)
        self.calls.append(call)
        return self.act() or version_pb2.GetVersionResponse()

    async def CreateWorkflow(self, request: Any, call: Any) -> Any:  # noqa: N802
        """The same with a body."""
        self.requests.append(request)
        self.act()
        return workflow_pb2.WorkflowCreateResponse()

    async def ListTasks(self, request: Any, call: Any) -> Any:  # noqa: N802
        """The same with a query."""
        self.requests.append(request)
        raise errors.Refused("no tasks")

    async def TerminateExecution(self, request: Any, call: Any) -> Any:  # noqa: N802
        """The same with a body that may be left out."""
        self.requests.append(request)
        return execution_pb2.ExecutionTerminateResponse()


def gateway(servicer: object, **settings: Any) -> Gateway:
    found = Gateway(BYTES_MAX, slow_call_s=60, **settings)
    found.add(ADMIN, servicer)
    return found


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def said(answer: Answer) -> str:
    return answer.json["message"]


# Errors


def test_every_code_of_grpc_has_a_number_of_http() -> None:
    assert set(HTTP_STATUSES) == set(StatusCode)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidRequest.missing("id.name"), 400, 3),
        (errors.NotFound("TASK", "p:d:n:v"), 404, 5),
        (errors.AlreadyExists("project", "p"), 409, 6),
        (errors.Refused("not now"), 400, 9),
        (errors.LimitReached("4 MiB"), 429, 8),
        (errors.Unimplemented("this"), 501, 12),
        (errors.StaleVersion("x"), 409, 10),
        (errors.Unavailable("the store"), 503, 14),
    ],
)
async def test_an_error_leaves_as_its_code_and_text(error: Exception, status: int, code: int) -> None:
    app = gateway(Admin(raising(error)))
    answer = await ask(app, "GET", VERSION)
    assert (answer.status, answer.json) == (status, {"code": code, "message": str(error), "details": []})
    other = await ask(app, "GET", VERSION, ("accept", "application/octet-stream"))
    assert (other.status, other.headers["content-type"]) == (status, "application/octet-stream")
    assert status_pb2.Status.FromString(other.body) == status_pb2.Status(code=code, message=str(error))


async def test_a_fault_of_ours_is_internal_with_an_id_that_the_log_explains() -> None:
    error = RuntimeError("password=hunter2")
    with structlog.testing.capture_logs() as logs:
        answer = await ask(gateway(Admin(raising(error))), "GET", VERSION)
    assert (answer.status, answer.json["code"]) == (500, 13)
    assert "hunter2" not in said(answer)
    (entry,) = logs
    assert (entry["method"], entry["exc_info"]) == ("/flyteidl.service.AdminService/GetVersion", error)
    assert entry["id"] in said(answer)


async def test_a_reply_of_another_type_is_a_fault_of_ours() -> None:
    for reply in ("text", common_pb2.Annotations(values={"a": "b"})):
        app = gateway(Admin(lambda reply=reply: reply))
        assert (await ask(app, "GET", VERSION)).status == 500


async def test_details_are_written_out_by_flytes_names() -> None:
    id = identifier_pb2.Identifier(project="p", domain="d", name="n:m", version="v")
    body = json.dumps({"id": {"project": "p", "domain": "d", "name": "n:m", "version": "v"}}).encode()
    app = gateway(Admin(raising(errors.IdenticalStructure("workflow", "p:d:n:v"))))
    answer = await ask(app, "POST", "/api/v1/workflows", JSON, body=body)
    (detail,) = answer.json["details"]
    assert detail.pop("@type") == "type.googleapis.com/flyteidl.admin.CreateWorkflowFailureReason"
    assert detail["exists_identical_structure"]["id"]["name"] == id.name


async def test_what_a_servicer_does_not_define_is_not_implemented() -> None:
    app = gateway(None)
    answer = await ask(app, "GET", "/api/v1/projects")
    assert (answer.status, said(answer)) == (
        501,
        "this server does not offer flyteidl.service.AdminService.ListProjects",
    )


# Paths and verbs


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/api/v1", "/api/v1/version/", "/api/v1/tasks/a", "//api/v1/version", "/a" * 9999]
)
async def test_paths_that_are_nobodys_are_not_found(path: str) -> None:
    answer = await ask(gateway(Admin()), "GET", path)
    assert (answer.status, answer.json) == (404, {"code": 5, "message": "Not Found", "details": []})


@pytest.mark.parametrize(("verb", "allowed"), [("PUT", "GET, HEAD, OPTIONS"), ("BREW", "GET, HEAD, OPTIONS")])
async def test_another_verb_is_not_implemented_as_in_flyte(verb: str, allowed: str) -> None:
    answer = await ask(gateway(Admin()), verb, VERSION)
    assert (answer.status, answer.json["code"], answer.headers["allow"]) == (501, 12, allowed)


async def test_options_tell_the_verbs() -> None:
    answer = await ask(gateway(Admin()), "OPTIONS", "/api/v1/workflows")
    assert (answer.status, answer.headers["allow"], answer.body) == (204, "POST, OPTIONS", b"")


async def test_head_is_answered_like_get() -> None:
    admin = Admin()
    head = await ask(gateway(admin), "HEAD", VERSION)
    get = await ask(gateway(admin), "GET", VERSION)
    assert (head.status, head.headers["content-length"]) == (200, get.headers["content-length"])


async def test_names_may_hold_anything_that_is_encoded() -> None:
    admin = Admin()
    await ask(gateway(admin), "GET", "/api/v1/tasks/p%20q/%2e%2e/a%2Fb%3F%C3%A4%00?limit=1")
    (request,) = admin.requests
    assert (request.id.project, request.id.domain, request.id.name) == ("p q", "..", "a/b?ä\0")


@pytest.mark.parametrize("name", ["%", "%4", "%zz", "a%2", "%ff", "%C3%28"])
async def test_broken_escapes_are_refused(name: str) -> None:
    admin = Admin()
    for target in (f"/api/v1/tasks/p/d/{name}", f"/api/v1/tasks/p/d?token={name}", f"/api/v1/tasks/p/d?{name}=1"):
        answer = await ask(gateway(admin), "GET", target)
        assert (answer.status, answer.json["code"]) == (400, 3)
        assert "percent-encoded" in said(answer) or "%" in said(answer)
    assert admin.requests == []


def test_literals_go_before_variables() -> None:
    routes: Routes[str] = Routes()
    for template in ("/a/{x}", "/a/b", "/{y=a/*}/c", "/a/{rest=**}", "/{x=**}"):
        routes.add(Template.parse(template), "GET", template)
    found = {path: routes.find(path.split("/"))["GET"] for path in ("a/b", "a/x", "a/b/c", "a/b/c/d", "z", "a")}
    assert found == {
        "a/b": "/a/b",
        "a/x": "/a/{x}",
        "a/b/c": "/{y=a/*}/c",
        "a/b/c/d": "/a/{rest=**}",
        "z": "/{x=**}",
        "a": "/a/{rest=**}",
    }
    assert list(Template.parse("/v1/{name=shelves/*}/{more.rest=**}").bind(["v1", "shelves", "3", "x", "y"])) == [
        (("name",), "shelves/3"),
        (("more", "rest"), "x/y"),
    ]


@pytest.mark.parametrize("text", ["", "a", "/a/", "/a:verb", "/{a", "/**/a", "/{a=**}/b", "/{a={b}}", "/a//b"])
def test_what_is_no_template_is_seen_when_the_server_starts(text: str) -> None:
    with pytest.raises(ValueError, match="no path template"):
        Template.parse(text)


def test_two_rpcs_cannot_have_one_place() -> None:
    app = gateway(Admin())
    with pytest.raises(ValueError, match="is bound twice"):
        app.add(ADMIN, Admin())


# Queries


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=x", "limit"),
        ("limit=-1", "limit"),
        ("limit=4294967296", "limit"),
        ("limit=1.0", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=1&limit=2", "limit"),
        ("sort_by.direction=SIDEWAYS", "sort_by.direction"),
        ("sort_by=key", "sort_by"),
        ("sort_by.direction=2", "sort_by.direction"),
    ],
)
async def test_a_bad_parameter_is_named(query: str, field: str) -> None:
    admin = Admin()
    answer = await ask(gateway(admin), "GET", f"/api/v1/tasks/p/d?{query}")
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert said(answer).startswith(f"invalid value for {field}: ")
    assert admin.requests == []


async def test_parameters_go_by_either_name_and_others_are_passed_over_as_in_flyte() -> None:
    admin = Admin()
    query = "limit=5&sort_by.key=name&sortBy.direction=ASCENDING&id.project=other&unknown=1&id.x=1&token=a+b%2B&&="
    await ask(gateway(admin), "GET", f"/api/v1/tasks/p/d?{query}")
    (request,) = admin.requests
    assert (request.limit, request.sort_by.key, request.sort_by.direction) == (5, "name", 1)
    assert (request.id.project, request.token) == ("p", "a b+")


async def test_there_is_a_limit_on_parameters() -> None:
    answer = await ask(gateway(Admin()), "GET", "/api/v1/tasks/p/d?" + "a=1&" * 1001)
    assert (answer.status, said(answer)) == (400, "the query has more than 1000 parameters")


# Bodies


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "the body is no JSON: .* line 1 column 2"),
        (b'{"id": {"project": "p",}}', "the body is no JSON"),
        (b"\xff", "no UTF-8: byte 0"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'"x"', "must be a JSON object"),
        (b'{"nonsense": 1}', 'no field named "nonsense"'),
        (b'{"id": {"nonsense": 1}}', 'no field named "nonsense" at "WorkflowCreateRequest.id"'),
        (b'{"id": 5}', "invalid value for id: must be a JSON object"),
        (b'{"id": []}', "invalid value for id: must be a JSON object"),
        (
            b'{"spec": {"template": {"nodes": [{}, ""]}}}',
            "invalid value for spec.template.nodes: must be a JSON object",
        ),
        (b'{"spec": {"template": {"nodes": {}}}}', "nodes must be in"),
        (b'{"spec": {"template": {"metadata": {"tags": {"a": 1}}}}}', "tags"),
        (
            b'{"spec": {"template": {"outputs": [{"binding": {"scalar": {"binary": {"value": "!"}}}}]}}}',
            "must be base64",
        ),
        (b'{"id": {"project": 5}}', "project"),
        (b'{"id": {"resource_type": "TSAK"}}', "resource_type"),
        (b'{"id": {"project": "\\ud800"}}', "project"),
        (b'{"id": {}, "id": {}}', "'id' is twice"),
        (b'{"id": {}, "id": {"project": "p"}}', "'id' is twice"),
        (b'{"id": NaN}', "NaN is no JSON"),
        (b'{"id": ' + b"1" * 5000 + b"}", "no JSON|id"),
        (b"[" * 90_000, "nested too deeply"),
        (b'{"id":' * 15_000, "nested too deeply|no JSON"),
        (b'{"spec": {"template": {"nodes": [{"id": 1}]}}}', "id"),
    ],
)
async def test_a_body_that_is_no_request_is_refused_with_the_place(body: bytes, words: str) -> None:
    admin = Admin()
    answer = await ask(gateway(admin), "POST", "/api/v1/workflows", JSON, body=body)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert pytest.raises(AssertionError, match=words).matches(AssertionError(said(answer)))
    assert admin.requests == []


async def test_bytes_that_are_no_request_are_refused() -> None:
    answer = await ask(gateway(Admin()), "POST", "/api/v1/workflows", PROTOBUF, body=b"\xff\xff")
    assert answer.status == 400
    request = status_pb2.Status.FromString(answer.body)
    assert request.message == "the request is not a well-formed sailplane.admin.WorkflowCreateRequest"


@pytest.mark.parametrize("body", [b'{"id": {"resource_type": 2}}', b'{"id": {"resourceType": "WORKFLOW"}}'])
async def test_json_may_go_by_either_name(body: bytes) -> None:
    admin = Admin()
    answer = await ask(
        gateway(admin), "POST", "/api/v1/workflows", ("content-type", "Application/JSON; x=y"), body=body
    )
    assert answer.status == 200
    assert admin.requests[0].id.resource_type == identifier_pb2.WORKFLOW


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""],
)
async def test_a_body_of_a_type_that_a_form_could_have_is_refused(kind: str) -> None:
    admin = Admin()
    answer = await ask(gateway(admin), "POST", "/api/v1/workflows", ("content-type", kind), body=b"{}")
    assert answer.status == 415
    assert admin.requests == []


async def test_a_body_may_be_left_out_but_is_not_taken_where_there_is_none() -> None:
    admin = Admin()
    answer = await ask(gateway(admin), "DELETE", "/api/v1/executions/p/d/n")
    assert (answer.status, answer.body) == (200, b"{}")
    answer = await ask(
        gateway(admin), "DELETE", "/api/v1/executions/p/d/n", JSON, body=b'{"id":{"name":"x"},"cause":"c"}'
    )
    assert answer.status == 200
    assert [(each.id.name, each.cause) for each in admin.requests] == [("n", ""), ("n", "c")]
    answer = await ask(gateway(admin), "GET", VERSION, JSON, body=b"{}")
    assert (answer.status, said(answer)) == (400, "GET /api/v1/version takes no body")


@pytest.mark.parametrize("headers", [(), (("content-length", str(BYTES_MAX + 1)),)])
async def test_there_is_a_limit_on_the_body(headers: tuple[tuple[str, str], ...]) -> None:
    admin = Admin()
    app = gateway(admin)
    for size, status in ((BYTES_MAX, 400), (BYTES_MAX + 1, 413)):
        sent = headers if size > BYTES_MAX else ()
        answer = await ask(app, "POST", "/api/v1/workflows", JSON, *sent, body=b"x" * size)
        assert answer.status == status
    assert (answer.json["code"], admin.requests) == (8, [])


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error() -> None:
    admin = Admin()
    client = Client(gateway(admin), "POST", "/api/v1/workflows", [JSON])
    client._incoming.get_nowait()
    client._incoming.put_nowait({"type": "http.request", "body": b"{", "more_body": True})
    client.go()
    await client.run()
    assert (client.sent.empty(), admin.requests) == (True, [])


# Kinds of answers


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ((), "application/json"),
        ((("accept", "*/*"),), "application/json"),
        ((("accept", "text/html, application/json;q=0.9"),), "application/json"),
        ((("accept", "application/octet-stream"),), "application/octet-stream"),
        ((("accept", "text/plain"), ("accept", "application/octet-stream")), "application/octet-stream"),
        ((PROTOBUF,), "application/octet-stream"),
        ((PROTOBUF, ("accept", "application/json")), "application/json"),
    ],
)
async def test_the_answer_is_of_the_kind_that_is_accepted(headers: Any, kind: str) -> None:
    reply = version_pb2.GetVersionResponse(control_plane_version=version_pb2.Version(Version="1"))
    answer = await ask(gateway(Admin(lambda: reply)), "GET", VERSION, *headers)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    if kind == "application/json":
        assert answer.json == {"control_plane_version": {"Build": "", "Version": "1", "BuildTime": ""}}
    else:
        assert version_pb2.GetVersionResponse.FromString(answer.body) == reply


# What goes along


async def test_credentials_and_the_request_id_go_along_and_the_id_comes_back() -> None:
    admin = Admin()
    headers = [("authorization", "Bearer a"), ("flyte-authorization", "b"), ("cookie", "c"), ("x-request-id", "mine")]
    answer = await ask(gateway(admin), "GET", VERSION, *headers)
    assert answer.headers["x-request-id"] == "mine"
    (call,) = admin.calls
    assert dict(call.invocation_metadata()) == {
        "authorization": "Bearer a",
        "flyte-authorization": "b",
        "x-request-id": "mine",
    }
    assert call.peer() == "ipv4:127.0.0.1:4242"


@pytest.mark.parametrize("id", ["", "a b", "x" * 129, "\x7f"])
async def test_an_id_that_is_none_is_replaced(id: str) -> None:
    answer = await ask(gateway(Admin()), "GET", VERSION, ("x-request-id", id))
    assert answer.headers["x-request-id"].startswith("a-")
    assert len(answer.headers["x-request-id"]) == 22


# Pages of others


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8088", 200),
        ("https://LOCALHOST:8088", 200),
        ("https://console.example", 200),
        ("http://console.example", 403),
        ("http://localhost:9999", 403),
        ("null", 403),
        ("", 403),
        ("http://evil.example/localhost:8088", 403),
    ],
)
async def test_pages_of_others_may_not_write(origin: str, status: int) -> None:
    admin = Admin()
    app = gateway(admin, origins=["https://console.example"])
    for headers, body in (([JSON], b"{}"), ([], b"")):
        answer = await ask(app, "POST", "/api/v1/workflows", ("origin", origin), *headers, body=body)
        assert answer.status == status
    assert len(admin.requests) == (2 if status == 200 else 0)
    assert (await ask(app, "GET", VERSION, ("origin", origin))).status == 200
