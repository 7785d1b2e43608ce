"""Events folded into what clients read."""

from datetime import UTC, datetime, timedelta

from google.protobuf import struct_pb2, timestamp_pb2
from sailplane_core import closures
from sailplane_core.failures import CODE_BYTES_MAX, MESSAGE_BYTES_MAX
from sailplane_core.phases import ExecutionPhase, NodePhase, TaskPhase
from sailplane_protos.admin import execution_pb2, node_execution_pb2, task_execution_pb2
from sailplane_protos.core import execution_pb2 as phases_pb2
from sailplane_protos.event import event_pb2

START = datetime(2024, 1, 1, tzinfo=UTC)
E, N, T = ExecutionPhase, NodePhase, TaskPhase


def at(seconds: float) -> timestamp_pb2.Timestamp:
    stamp = timestamp_pb2.Timestamp()
    stamp.FromDatetime(START + timedelta(seconds=seconds))
    return stamp


def workflow_event(
    phase: ExecutionPhase, seconds: float, error: str = "", uri: str = ""
) -> event_pb2.WorkflowExecutionEvent:
    event = event_pb2.WorkflowExecutionEvent(phase=phase.value, occurred_at=at(seconds))
    if error:
        event.error.message = error
    if uri:
        event.output_uri = uri
    return event


def node_event(phase: NodePhase, seconds: float) -> event_pb2.NodeExecutionEvent:
    return event_pb2.NodeExecutionEvent(phase=phase.value, occurred_at=at(seconds), reported_at=at(seconds + 1))


def task_event(phase: TaskPhase, seconds: float) -> event_pb2.TaskExecutionEvent:
    return event_pb2.TaskExecutionEvent(phase=phase.value, occurred_at=at(seconds), reported_at=at(seconds + 1))


def execution(*events: event_pb2.WorkflowExecutionEvent) -> execution_pb2.ExecutionClosure:
    closure = execution_pb2.ExecutionClosure(created_at=at(0))
    for event in events:
        closure = closures.apply_workflow_event(closure, event)
    return closure


def node(*events: event_pb2.NodeExecutionEvent) -> node_execution_pb2.NodeExecutionClosure:
    closure = node_execution_pb2.NodeExecutionClosure()
    for event in events:
        closure = closures.apply_node_event(closure, event)
    return closure


def task(*events: event_pb2.TaskExecutionEvent) -> task_execution_pb2.TaskExecutionClosure:
    closure = task_execution_pb2.TaskExecutionClosure()
    for event in events:
        closure = closures.apply_task_event(closure, event)
    return closure


def test_an_execution_that_succeeds() -> None:
    closure = execution(
        workflow_event(E.RUNNING, 1), workflow_event(E.SUCCEEDING, 3), workflow_event(E.SUCCEEDED, 4.5, uri="s3://o")
    )
    assert closure.phase == E.SUCCEEDED
    assert closure.created_at == at(0)
    assert closure.started_at == at(1)
    assert closure.updated_at == at(4.5)
    assert closure.duration.ToTimedelta() == timedelta(seconds=3.5)
    assert closure.outputs.uri == "s3://o"


def test_the_argument_is_not_changed() -> None:
    before = execution_pb2.ExecutionClosure(created_at=at(0))
    closures.apply_workflow_event(before, workflow_event(E.RUNNING, 1))
    assert before == execution_pb2.ExecutionClosure(created_at=at(0))


def test_an_execution_that_never_ran_has_no_duration() -> None:
    closure = execution(workflow_event(E.FAILED, 2, error="no"))
    assert not closure.HasField("started_at")
    assert not closure.HasField("duration")
    assert closure.error.message == "no"


def test_clocks_that_disagree_give_no_negative_duration() -> None:
    assert execution(workflow_event(E.RUNNING, 5), workflow_event(E.FAILED, 2)).duration.ToTimedelta() == timedelta(0)


def test_a_long_code_is_cut() -> None:
    event = workflow_event(E.FAILED, 1, error="x")
    event.error.code = event.error.worker = "C" * 10_000
    error = execution(event).error
    assert (len(error.code), len(error.worker)) == (CODE_BYTES_MAX, CODE_BYTES_MAX)


def test_a_long_message_is_cut_between_characters() -> None:
    closure = execution(workflow_event(E.FAILED, 1, error="x" + "ü" * MESSAGE_BYTES_MAX))
    assert len(closure.error.message.encode()) == MESSAGE_BYTES_MAX - 1
    assert closure.error.message.endswith("ü")
    closures.shorten_error(closure.error, closures.LIST_ERROR_BYTES_MAX)
    assert len(closure.error.message.encode()) == 99


def test_an_abort_is_seen_at_once_and_its_cause_stays() -> None:
    running = execution(workflow_event(E.RUNNING, 1))
    aborting = closures.apply_abort(running, "enough", "alice", START + timedelta(seconds=2))
    assert (aborting.phase, aborting.updated_at) == (E.ABORTING, at(2))
    ended = closures.apply_workflow_event(aborting, workflow_event(E.ABORTED, 3, error="aborted"))
    assert ended.phase == E.ABORTED
    assert (ended.abort_metadata.cause, ended.abort_metadata.principal) == ("enough", "alice")
    assert ended.duration.ToTimedelta() == timedelta(seconds=2)


def test_an_execution_that_ends_before_it_can_be_aborted_shows_its_end() -> None:
    aborting = closures.apply_abort(execution(), "enough", "alice", START)
    failed = closures.apply_workflow_event(aborting, workflow_event(E.FAILED, 3, error="boom"))
    assert failed.error.message == "boom"
    succeeded = closures.apply_workflow_event(aborting, workflow_event(E.SUCCEEDED, 3))
    assert succeeded.WhichOneof("output_result") is None


def test_a_node_from_first_to_last_event() -> None:
    ended = node_event(N.SUCCEEDED, 9)
    ended.output_uri, ended.deck_uri = "s3://o", "s3://deck"
    closure = node(node_event(N.QUEUED, 1), node_event(N.RUNNING, 2), ended)
    assert (closure.created_at, closure.started_at, closure.updated_at) == (at(1), at(2), at(10))
    assert closure.duration.ToTimedelta() == timedelta(seconds=7)
    assert (closure.output_uri, closure.deck_uri) == ("s3://o", "s3://deck")


def test_a_node_that_is_tried_again_started_when_it_first_ran() -> None:
    events = (node_event(N.RUNNING, 2), node_event(N.QUEUED, 4), node_event(N.RUNNING, 5), node_event(N.FAILED, 6))
    closure = node(*events)
    assert closure.started_at == at(2)
    assert closure.duration.ToTimedelta() == timedelta(seconds=4)


def test_success_without_outputs_wipes_an_earlier_error() -> None:
    failing = node_event(N.FAILING, 2)
    failing.error.message = "for now"
    assert node(failing).error.message == "for now"
    assert node(failing, node_event(N.SUCCEEDED, 3)).WhichOneof("output_result") is None


def test_what_a_node_stands_for() -> None:
    child = node_event(N.RUNNING, 1)
    child.workflow_node_metadata.execution_id.name = "child"
    assert node(child, node_event(N.SUCCEEDED, 2)).workflow_node_metadata.executionId.name == "child"
    cached = node_event(N.RUNNING, 1)
    cached.task_node_metadata.cache_status = 1
    cached.task_node_metadata.checkpoint_uri = "s3://c"
    cached.task_node_metadata.catalog_key.dataset_id.name = "dataset"
    cached.task_node_metadata.dynamic_workflow.dynamic_job_spec_uri = "s3://futures"
    later = node_event(N.SUCCEEDED, 2)
    later.task_node_metadata.cache_status = 2
    closure = node(cached, later)
    assert closure.task_node_metadata.cache_status == 2
    assert closure.task_node_metadata.checkpoint_uri == "s3://c"
    assert closure.task_node_metadata.catalog_key.dataset_id.name == "dataset"
    assert closure.dynamic_job_spec_uri == "s3://futures"


def test_flags_of_a_node_stay_up() -> None:
    first = event_pb2.NodeExecutionEvent(spec_node_id="n0", retry_group="1", is_dynamic=True, is_parent=True)
    metadata = closures.apply_node_metadata(node_execution_pb2.NodeExecutionMetaData(), first)
    metadata = closures.apply_node_metadata(metadata, event_pb2.NodeExecutionEvent(is_array=True))
    assert metadata == node_execution_pb2.NodeExecutionMetaData(
        spec_node_id="n0", retry_group="1", is_dynamic=True, is_parent_node=True, is_array=True
    )


def test_an_attempt_from_first_to_last_event() -> None:
    running, failed = task_event(T.RUNNING, 2), task_event(T.FAILED, 5)
    running.task_type, running.event_version = "python-task", 2
    failed.error.message = "boom"
    closure = task(task_event(T.QUEUED, 1), running, failed)
    assert closure.phase == T.FAILED
    assert (closure.created_at, closure.started_at, closure.updated_at) == (at(1), at(2), at(6))
    assert closure.duration.ToTimedelta() == timedelta(seconds=3)
    assert (closure.task_type, closure.event_version, closure.error.message) == ("python-task", 2, "boom")


def test_a_retryable_failure_shows_as_a_failure() -> None:
    event = task_event(T.RUNNING, 1)
    event.phase = phases_pb2.TaskExecution.RETRYABLE_FAILED
    assert task(event).phase == T.FAILED


def log(uri: str, name: str = "", *, pending: bool = False, hide: bool = False) -> phases_pb2.TaskLog:
    return phases_pb2.TaskLog(uri=uri, name=name, ShowWhilePending=pending, HideOnceFinished=hide)


def test_logs_are_merged_and_only_those_that_work_are_shown() -> None:
    queued, running, more = task_event(T.QUEUED, 1), task_event(T.RUNNING, 2), task_event(T.RUNNING, 3)
    queued.logs.extend([log("a", "pod"), log("b", "dashboard", pending=True)])
    assert [link.uri for link in task(queued).logs] == ["b"]
    running.logs.extend([log("a", "pod"), log("c", "live", hide=True)])
    assert [link.uri for link in task(queued, running).logs] == ["b", "a", "c"]
    more.logs.extend([log("a2", "pod"), log("d")])
    assert [link.uri for link in task(queued, running, more).logs] == ["b", "c", "a2", "d"]
    assert [link.uri for link in task(queued, running, more, task_event(T.SUCCEEDED, 4)).logs] == ["b", "a2", "d"]


def test_reasons_are_a_history() -> None:
    first, second, third = task_event(T.QUEUED, 1), task_event(T.RUNNING, 2), task_event(T.RUNNING, 3)
    first.reasons.add(reason="waits", occurred_at=at(1))
    second.reason = "runs"
    third.reason = "runs"
    closure = task(first, second, third)
    assert [reason.message for reason in closure.reasons] == ["waits", "runs"]
    assert closure.reason == "runs"


def test_reasons_are_bounded() -> None:
    event = task_event(T.RUNNING, 1)
    for index in range(closures.REASONS_MAX + 5):
        event.reasons.add(reason=str(index))
    closure = task(event)
    assert len(closure.reasons) == closures.REASONS_MAX
    assert closure.reasons[-1].message == str(closures.REASONS_MAX + 4)


def test_custom_info_is_patched() -> None:
    first, second = task_event(T.RUNNING, 1), task_event(T.RUNNING, 2)
    first.custom_info.update({"kept": 1, "gone": 2, "nested": {"a": 1, "b": 2}, "list": [1, 2]})
    second.custom_info.update({"gone": None, "nested": {"b": None, "c": 3}, "list": [3], "new": "x"})
    wanted = struct_pb2.Struct()
    wanted.update({"kept": 1, "nested": {"a": 1, "c": 3}, "list": [3], "new": "x"})
    assert task(first, second).custom_info == wanted


def test_external_resources_are_kept_apart_from_the_closure() -> None:
    first, second = task_event(T.RUNNING, 1), task_event(T.RUNNING, 2)
    first.metadata.generated_name = "pod"
    first.metadata.external_resources.add(index=1)
    second.metadata.external_resources.add(index=2)
    assert task(first, second).metadata == event_pb2.TaskExecutionMetadata(generated_name="pod")


def test_an_external_resource_is_what_was_told_of_it_last_over_what_was_known() -> None:
    event = event_pb2.TaskExecutionMetadata()
    queued = event.external_resources.add(
        index=1, phase=T.QUEUED.value, external_id="one", logs=[log("l1", pending=True)]
    )
    running = event.external_resources.add(index=1, phase=T.RUNNING.value, logs=[log("l2")])
    known = closures.merged_resource(None, queued, T.RUNNING)
    assert known == queued
    after = closures.merged_resource(known, running, T.RUNNING)
    assert (after.index, after.phase, after.external_id) == (1, T.RUNNING, "one")
    assert [link.uri for link in after.logs] == ["l1", "l2"]
    assert closures.merged_resource(after, running, T.RUNNING) == after


def test_told_twice_is_told_once() -> None:
    event = task_event(T.RUNNING, 1)
    event.metadata.resource_pool_info.add(allocation_token="token")
    event.logs.append(log("l", "n"))
    assert task(event) == task(event, event)
