"""Bad requests about executions, their parts and events, about data, and bad lists of everything."""

from collections.abc import Iterator

from flyteidl.admin import event_pb2, execution_pb2
from flyteidl.core import execution_pb2 as phases_pb2
from flyteidl.core import literals_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode
from wire import good
from wire.bad import Bad, bad
from wire.bad_definitions import LABELS, LONG, NOTIFICATIONS, identifiers

INVALID, NOT_FOUND, EXISTS = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.ALREADY_EXISTS
REFUSED, EXHAUSTED = StatusCode.FAILED_PRECONDITION, StatusCode.RESOURCE_EXHAUSTED


# Executions


def execution_ids(method: str, path: str = "id") -> Iterator[Bad]:
    """What can be wrong with the identifier of an execution."""
    yield bad(method, path, None, "missing project")
    for part in ("project", "domain", "name"):
        yield bad(method, f"{path}.{part}", None, f"missing {part}")
        yield bad(method, f"{path}.{part}", "none", "execution", NOT_FOUND)
    yield bad(method, f"{path}.project", LONG, "invalid value for project")


def node_ids(method: str, path: str) -> Iterator[Bad]:
    """What can be wrong with the identifier of a node."""
    yield bad(method, path, None, "missing")
    yield bad(method, f"{path}.execution_id", None, "missing execution_id")
    yield bad(method, f"{path}.execution_id.project", None, "missing project")
    yield bad(method, f"{path}.execution_id.domain", None, "missing domain")
    yield bad(method, f"{path}.execution_id.name", None, "missing name")
    yield bad(method, f"{path}.node_id", None, "missing node_id")


def attempt_ids(method: str, path: str) -> Iterator[Bad]:
    """What can be wrong with the identifier of an attempt."""
    yield bad(method, path, None, "missing node_execution_id")
    yield from node_ids(method, f"{path}.node_execution_id")
    yield from identifiers(method, f"{path}.task_id", good.WORKFLOW, "task_id")
    yield bad(method, f"{path}.task_id.version", "none", "task execution", NOT_FOUND)
    yield bad(method, f"{path}.retry_attempt", 5, "task execution", NOT_FOUND)


def names_of_executions(method: str) -> Iterator[Bad]:
    """Names that no execution can have."""
    for name in ("1a", "a_b", "a.b", "a b", "-a", "ä", "a/b", "a\0", "x" * 64):
        yield bad(method, "name", name)


def parented(name: str) -> execution_pb2.ExecutionCreateRequest:
    """An execution that a node of another one asks for."""
    return good.spoiled(good.execution(), "spec.metadata.parent_node_execution", good.node_id(name))


EXECUTIONS = [
    bad("CreateExecution", "project", None, "missing project"),
    bad("CreateExecution", "project", "nowhere", "project [nowhere]"),
    bad("CreateExecution", "project", good.ARCHIVED, f"project [{good.ARCHIVED}]"),
    bad("CreateExecution", "domain", None, "missing domain"),
    bad("CreateExecution", "domain", "nowhere", "domain [nowhere]"),
    *names_of_executions("CreateExecution"),
    bad("CreateExecution", "name", good.DONE, good.DONE, EXISTS),
    bad("CreateExecution", "name", good.DONE.upper(), good.DONE, EXISTS),
    bad("CreateExecution", "spec"),
    *identifiers("CreateExecution", "spec.launch_plan", good.WORKFLOW),
    bad("CreateExecution", "spec.launch_plan.name", "none", "LAUNCH_PLAN", NOT_FOUND),
    bad("CreateExecution", "spec.launch_plan.name", "none", "TASK", NOT_FOUND, of=good.task_alone),
    bad("CreateExecution", "spec.labels.values", LABELS, "labels"),
    bad("CreateExecution", "spec.labels.values", {"": "a"}, "label key []"),
    bad("CreateExecution", "spec.tags", [""], "missing tags[0]"),
    bad("CreateExecution", "spec.tags", ["fine", LONG], "invalid value for tags[1]"),
    bad("CreateExecution", "spec.tags", [str(number) for number in range(101)], "invalid value for tags"),
    bad("CreateExecution", "spec.max_parallelism", -1),
    *(bad("CreateExecution", "spec.notifications.notifications", given, says) for says, given in NOTIFICATIONS.items()),
    bad("CreateExecution", "inputs.literals", {"node": literals_pb2.Literal()}, "inputs node", of=good.task_alone),
    bad("CreateExecution", "inputs", None, "expected_inputs node missing", of=good.task_alone),
    bad("CreateExecution", "inputs.literals", {"other": good.integer()}, "invalid input other"),
    bad("CreateExecution", "spec.inputs.literals", {"other": good.integer()}, "invalid input other"),
    bad(
        "CreateExecution",
        "inputs.literals",
        {"node": literals_pb2.Literal(map=literals_pb2.LiteralMap())},
        "invalid node input wrong type",
        of=good.task_alone,
    ),
    bad("CreateExecution", "", says="missing entity", code=NOT_FOUND, of=lambda: parented("none")),
    bad("CreateExecution", "", says="has ended", code=REFUSED, of=lambda: parented(good.DONE)),
    *execution_ids("RelaunchExecution"),
    *names_of_executions("RelaunchExecution"),
    bad("RelaunchExecution", "name", good.DONE, good.DONE, EXISTS),
    *execution_ids("RecoverExecution"),
    *names_of_executions("RecoverExecution"),
    bad("RecoverExecution", "name", good.DONE, good.DONE, EXISTS),
    *execution_ids("GetExecution"),
    *execution_ids("GetExecutionData"),
    *execution_ids("GetExecutionMetrics"),
    *execution_ids("UpdateExecution"),
    bad("UpdateExecution", "state", 99),
    *execution_ids("TerminateExecution"),
    bad("TerminateExecution", "id.name", good.DONE, "already in terminal phase SUCCEEDED", REFUSED),
    *(one for method in ("GetNodeExecution", "GetNodeExecutionData") for one in node_ids(method, "id")),
    bad("GetNodeExecution", "id.node_id", "none", "node execution", NOT_FOUND),
    bad("GetNodeExecutionData", "id.node_id", "none", "node execution", NOT_FOUND),
    bad("GetDynamicNodeWorkflow", "", says="dynamic workflow", code=NOT_FOUND, of=good.generated),
    *(bad("GetDynamicNodeWorkflow", f"id.{part}", of=good.generated) for part in ("node_id", "execution_id")),
    *(one for method in ("GetTaskExecution", "GetTaskExecutionData") for one in attempt_ids(method, "id")),
]


# Events


def long_ago() -> Timestamp:
    """Before the year 1."""
    return Timestamp(seconds=-(10**12))


def with_output(request: event_pb2.NodeExecutionEventRequest, bytes_: int) -> event_pb2.NodeExecutionEventRequest:
    """An event that brings an output of that size."""
    request.event.output_data.literals["o"].scalar.primitive.string_value = "x" * bytes_
    return request


def recorded(method: str) -> Iterator[Bad]:
    """What is wrong with any event."""
    yield bad(method, "event")
    yield bad(method, "event.occurred_at")
    yield bad(method, "event.occurred_at", long_ago())
    yield bad(method, "event.reported_at", long_ago()) if method != "CreateWorkflowEvent" else bad(method, "event")
    yield bad(method, "event.phase", 99)


_Workflow, _Node, _Task = phases_pb2.WorkflowExecution, phases_pb2.NodeExecution, phases_pb2.TaskExecution

EVENTS = [
    *recorded("CreateWorkflowEvent"),
    bad("CreateWorkflowEvent", "event.execution_id"),
    *(
        one
        for one in execution_ids("CreateWorkflowEvent", "event.execution_id")
        if "event.execution_id=" not in str(one)
    ),
    bad("CreateWorkflowEvent", "event.execution_id.name", good.DONE, "terminal", REFUSED),
    bad("CreateWorkflowEvent", "event.phase", _Workflow.QUEUED, "RUNNING to QUEUED", REFUSED),
    bad("CreateWorkflowEvent", "event.phase", _Workflow.RUNNING, "already recorded", EXISTS),
    *recorded("CreateNodeEvent"),
    bad("CreateNodeEvent", "event.id"),
    *(one for one in node_ids("CreateNodeEvent", "event.id") if "event.id=" not in str(one)),
    bad("CreateNodeEvent", "event.id.execution_id.name", "none", "execution", NOT_FOUND),
    bad("CreateNodeEvent", "event.id.node_id", "n0", "already recorded", EXISTS),
    bad("CreateNodeEvent", "event.id", good.node_id(), "terminal", REFUSED),
    bad("CreateNodeEvent", "event.phase", _Node.UNDEFINED, "phase", REFUSED),
    bad("CreateNodeEvent", "event.parent_node_metadata.node_id", "none", "none", NOT_FOUND),
    bad("CreateNodeEvent", "event.workflow_node_metadata.execution_id", good.execution_id("none"), "none", NOT_FOUND),
    bad(
        "CreateNodeEvent",
        "",
        says="output_data",
        code=EXHAUSTED,
        of=lambda: with_output(good.node_event(), 2 * 1024 * 1024),
    ),
    *recorded("CreateTaskEvent"),
    *identifiers("CreateTaskEvent", "event.task_id", good.WORKFLOW, "task_id"),
    bad("CreateTaskEvent", "event.parent_node_execution_id"),
    *(
        one
        for one in node_ids("CreateTaskEvent", "event.parent_node_execution_id")
        if "execution_id=" not in str(one) or ".execution_id=" in str(one)
    ),
    bad("CreateTaskEvent", "event.parent_node_execution_id.node_id", "none", "none", NOT_FOUND),
    bad("CreateTaskEvent", "event.parent_node_execution_id.execution_id.name", "none", "none", NOT_FOUND),
    bad("CreateTaskEvent", "event.retry_attempt", 0, "already recorded", EXISTS),
]


# Signals


def signal_ids(method: str) -> Iterator[Bad]:
    """What can be wrong with the identifier of a signal."""
    yield bad(method, "id", None, "missing execution_id")
    yield bad(method, "id.execution_id", None, "missing execution_id")
    for part in ("project", "domain", "name"):
        yield bad(method, f"id.execution_id.{part}", None, f"missing {part}")
    yield bad(method, "id.execution_id.project", LONG, "invalid value for project")
    yield bad(method, "id.signal_id", None, "missing signal_id")
    yield bad(method, "id.signal_id", LONG, "invalid value for signal_id")


NOTHING = literals_pb2.Literal(scalar=literals_pb2.Scalar(none_type=literals_pb2.Void()))
MUCH = literals_pb2.Literal(
    scalar=literals_pb2.Scalar(primitive=literals_pb2.Primitive(string_value="x" * (1024 * 1024)))
)

SIGNALS = [
    *signal_ids("GetOrCreateSignal"),
    bad("GetOrCreateSignal", "type", None, "missing type"),
    *signal_ids("SetSignal"),
    bad("SetSignal", "id.signal_id", "none", "'none'"),
    bad("SetSignal", "id.execution_id.name", "none", f"'{good.SIGNAL}'"),
    bad("SetSignal", "id", good.signal_id(good.DONE), "has ended", REFUSED),
    bad("SetSignal", "value", None, "missing value"),
    *(bad("SetSignal", "value", value, "invalid value for value") for value in (good.integer(), NOTHING, MUCH)),
]


# Lists

SORTED_AND_FILTERED = {
    "ListTasks": "id",
    "ListWorkflows": "id",
    "ListLaunchPlans": "id",
    "ListExecutions": "id",
    "ListNamedEntities": "",
    "ListDescriptionEntities": "id",
    "ListNodeExecutions": "workflow_execution_id",
    "ListNodeExecutionsForTask": "",
    "ListTaskExecutions": "",
    "ListSignals": "workflow_execution_id",
    "ListProjects": None,
}
"""Where the project and domain stand that are listed, "" if that is told elsewhere, None if it is everywhere."""
SORTED = {"ListActiveLaunchPlans": "", "ListTaskIds": "", "ListWorkflowIds": "", "ListLaunchPlanIds": ""}
FILTERS = {
    "nonsense": "filters",
    "eq(name)": "filters",
    "eq(id,1)+": "filters",
    "like(created_at,a)": "unrecognized filter function: like",
    "eq(nope,a)": "nope' is invalid filter",
    "eq(signal.value,a)": "'signal' entity is not allowed in filters",
    "eq(no.such.thing,a)": "'no.such' entity is not allowed in filters",
    "eq(created_at,a;b)": "filters",
    "gt(created_at,noon)": "created_at",
    "contains(created_at,2)": "created_at",
    "eq(id,one)": "id",
    "eq(id,99999999999999999999)": "id",
    "+".join(["eq(id,1)"] * 51): "filters",
    f"value_in(id,{';'.join(['1'] * 1001)})": "filters",
}


def windows(method: str) -> Iterator[Bad]:
    """What can be wrong with the order and the page."""
    for token in ("a", "-1", "1.5", "1e3", " 1", "٣", "9" * 30):
        yield bad(method, "token", token, "invalid pagination token")
    for key in ("nope", "admin_tag.name", "a b"):
        yield bad(method, "sort_by.key", key, f"invalid sort key '{key}'")
    yield bad(method, "sort_by.key", "no.such.thing", "'no.such' entity")


LISTS = [
    *(one for method in (*SORTED_AND_FILTERED, *SORTED) for one in windows(method)),
    *(
        bad(method, "limit", limit)
        for method in (*SORTED_AND_FILTERED, *SORTED)
        for limit in (0, 2**32 - 1)[: 1 if method != "ListProjects" else 0]
    ),
    *(
        bad(method, "filters", filters, says)
        for method in SORTED_AND_FILTERED
        for filters, says in FILTERS.items()
        if method != "ListSignals" or "signal." not in filters
    ),
    *(
        bad(method, f"{path}.{part}" if path else part, None, f"missing {part}")
        for method, path in (SORTED_AND_FILTERED | SORTED).items()
        for part in ("project", "domain")
        if path is not None and method not in ("ListNodeExecutionsForTask", "ListTaskExecutions")
    ),
    bad("ListTasks", "filters", "eq(name,a\0b)", "name"),
    bad("ListTasks", "filters", "eq(workflow.name,a)", "'workflow' entity"),
    bad("ListExecutions", "filters", "eq(name,a)", "'execution.name' is invalid filter"),
    bad("ListExecutions", "filters", "gt(duration,long)", "Failed to parse duration [long]"),
    bad("ListExecutions", "filters", "eq(state,ACTIVE)", "state"),
    bad("ListExecutions", "sort_by.key", "name", "invalid sort key 'name'"),
    bad("ListNodeExecutions", "workflow_execution_id.name", None, "missing name"),
    bad("ListSignals", "filters", "eq(signal.colour,a)", "'signal.colour' is invalid filter"),
    bad("ListSignals", "filters", "eq(execution.phase,a)", "'execution' entity is not allowed in filters"),
    bad("ListSignals", "workflow_execution_id.name", None, "missing name"),
    bad("ListNodeExecutions", "unique_parent_id", "none", "node execution", NOT_FOUND),
    *node_ids("ListTaskExecutions", "node_execution_id"),
    *attempt_ids("ListNodeExecutionsForTask", "task_execution_id"),
]


# Data


def lives(method: str) -> Iterator[Bad]:
    """How long nobody can hold a signed URL."""
    for life in (
        Duration(seconds=3601),
        Duration(seconds=3600, nanos=1),
        Duration(seconds=-1),
        Duration(seconds=2**62),
    ):
        yield bad(method, "expires_in", life, of=good.deck if method == "CreateDownloadLink" else good.download)


DATA = [
    bad("CreateUploadLocation", "project", None, "missing project"),
    bad("CreateUploadLocation", "domain", None, "missing domain"),
    bad("CreateUploadLocation", "project", "nowhere", "project [nowhere]"),
    bad("CreateUploadLocation", "domain", "nowhere", "domain [nowhere]"),
    bad("CreateUploadLocation", "content_md5", b"short"),
    bad("CreateUploadLocation", "filename_root", None, "content_md5 or filename_root", of=good.unnamed_upload),
    *(
        bad("CreateUploadLocation", field, path)
        for field in ("filename", "filename_root")
        for path in (
            "..",
            "../a",
            "a/../../b",
            "/etc/passwd",
            "a\0b",
            "a\nb",
            "x" * 256,
            "ä" * 128,
            "x/" * 600,
            ".incoming",
        )
    ),
    *(
        bad("CreateUploadLocation", "expires_in", life)
        for life in (Duration(seconds=3601), Duration(seconds=-1), Duration(seconds=2**62))
    ),
    bad("CreateDownloadLocation", "native_url", None, "missing native_url", of=good.download),
    *(
        bad("CreateDownloadLocation", "native_url", url, of=good.download)
        for url in (
            "nonsense",
            "/etc/passwd",
            "file:///etc/passwd",
            "s3://bucket/key",
            "../secret",
            "\0",
            "x" * 100_000,
        )
    ),
    *lives("CreateDownloadLocation"),
    bad("CreateDownloadLink", "artifact_type", None, of=good.deck),
    bad("CreateDownloadLink", "artifact_type", 99, of=good.deck),
    bad("CreateDownloadLink", "node_execution_id", None, "missing node_execution_id", of=good.deck),
    bad("CreateDownloadLink", "node_execution_id.node_id", None, "missing node_id", of=good.deck),
    bad("CreateDownloadLink", "node_execution_id.node_id", "none", "node execution", of=good.deck),
    bad("CreateDownloadLink", "", says="deck", code=NOT_FOUND, of=good.deck),
    *lives("CreateDownloadLink"),
    bad("GetData", "flyte_url", None, "missing flyte_url"),
    *(
        bad("GetData", "flyte_url", url)
        for url in (
            *(
                "nonsense",
                "flyte://v2/p/d/e/n/i",
                "flyte://v1/p/d/e/n",
                "flyte://v1/p/d/e/n/x",
                "flyte://v1/p/d/e/n/0/d",
            ),
            *(
                "flyte://v1/p/d/e/n/d/deck",
                "flyte://v1/p/d/e/n/a/i",
                "flyte://v1/p/d/e/n/0/i/a/b",
                "flyte://v1//d/e/n/i",
            ),
            *("flyte://v1/p/d/../n/i", "flyte://v1/p/d/e/n/99999999999/i", "flyte://v1/p/d/e/n/i/" + "x" * 3000),
            f"flyte://v1/{good.PROJECT}/{good.DOMAIN}/{good.DONE}/n0/i/none",
        )
    ),
    *(
        bad("GetData", "flyte_url", f"flyte://v1/{good.PROJECT}/{good.DOMAIN}/{path}", "execution", NOT_FOUND)
        for path in ("none/n0/i", f"{good.DONE}/none/o", f"{good.DONE}/n0/9/i", f"{good.DONE}/none/d")
    ),
    bad("GetData", "flyte_url", f"flyte://v1/{good.PROJECT}/{good.DOMAIN}/{good.DONE}/n0/d", "deck", NOT_FOUND),
]

CASES = [*EXECUTIONS, *EVENTS, *SIGNALS, *LISTS, *DATA]
