"""What requests are about."""

import pytest
from google.protobuf.message import Message
from sailplane_core.audit import ENTITY_CHARS_MAX, About, about
from sailplane_protos.admin import (
    common_pb2,
    execution_pb2,
    launch_plan_pb2,
    project_pb2,
    signal_pb2,
    task_pb2,
    workflow_attributes_pb2,
)
from sailplane_protos.governance import quotas_pb2
from sailplane_protos.service import dataproxy_pb2

PLACE = {"project": "p", "domain": "d"}
EXECUTION = PLACE | {"name": "x"}
ID = PLACE | {"name": "t", "version": "v"}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (task_pb2.TaskCreateRequest(id=ID), About("p", "d", "t:v")),
        (execution_pb2.ExecutionCreateRequest(**EXECUTION), About("p", "d", "x")),
        (execution_pb2.ExecutionTerminateRequest(id=EXECUTION, cause="c"), About("p", "d", "x")),
        (project_pb2.ProjectRegisterRequest(project={"id": "p", "name": "P"}), About("p", "", "ACTIVE")),
        (project_pb2.Project(id="p", state="ARCHIVED"), About("p", "", "ARCHIVED")),
        (signal_pb2.SignalSetRequest(id={"signal_id": "s", "execution_id": EXECUTION}), About("p", "d", "x:s")),
        (
            workflow_attributes_pb2.WorkflowAttributesUpdateRequest(
                attributes={
                    "project": "p",
                    "domain": "d",
                    "workflow": "w",
                    "matching_attributes": {"quality_of_service": {}},
                }
            ),
            About("p", "d", "w:quality_of_service"),
        ),
        (
            workflow_attributes_pb2.WorkflowAttributesDeleteRequest(project="p", domain="d", workflow="w"),
            About("p", "d", "w:TASK_RESOURCE"),
        ),
        (
            launch_plan_pb2.LaunchPlanUpdateRequest(id=ID, state=launch_plan_pb2.ACTIVE),
            About("p", "d", "t:v:ACTIVE"),
        ),
        (
            dataproxy_pb2.CreateUploadLocationRequest(project="p", domain="d", filename_root="r", filename="f"),
            About("p", "d", "r:f"),
        ),
        (quotas_pb2.SetQuotasRequest(quotas={"project": "p", "domain": "d"}), About("p", "d", "")),
        (common_pb2.ObjectGetRequest(), About()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_request_names_what_it_is_about(request_: Message, expected: About) -> None:
    assert about(request_) == expected


def test_a_name_that_was_made_up_comes_from_the_reply() -> None:
    request = execution_pb2.ExecutionCreateRequest(project="p", domain="d")
    reply = execution_pb2.ExecutionCreateResponse(id=EXECUTION)
    assert about(request, reply) == About("p", "d", "x")


def test_a_long_name_is_cut() -> None:
    assert len(about(task_pb2.TaskCreateRequest(id=ID | {"name": "x" * 10_000})).entity) == ENTITY_CHARS_MAX
