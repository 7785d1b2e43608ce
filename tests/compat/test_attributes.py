"""Matchable attributes, set and read in flytectl's order of calls, and what they do to Pods."""

from collections.abc import Iterator

import grpc
import pytest
from compat import raw
from compat.plane import Plane
from compat.runs import Runs, phase
from flyteidl.admin import matchable_resource_pb2 as pb
from flyteidl.admin import project_attributes_pb2 as of_project
from flyteidl.admin import project_domain_attributes_pb2 as of_domain
from flyteidl.admin import workflow_attributes_pb2 as of_workflow
from flyteidl.service import admin_pb2_grpc

PROJECT, DOMAIN = raw.PROJECT, raw.DOMAIN
WORKFLOW = "policies.overridden"
SPEC = pb.TaskResourceSpec
RESOURCES = pb.MatchingAttributes(
    task_resource_attributes=pb.TaskResourceAttributes(
        defaults=SPEC(ephemeral_storage="100Mi"), limits=SPEC(cpu="150m", memory="300Mi", ephemeral_storage="1Gi")
    )
)
PLACE = {"project": PROJECT, "domain": DOMAIN, "workflow": WORKFLOW}


@pytest.fixture
def admin(plane: Plane) -> Iterator[admin_pb2_grpc.AdminServiceStub]:
    """Stubs of the published package. What was set is taken back afterwards."""
    stub = raw.admin(plane)
    yield stub
    for kind in pb.MatchableResource.values():
        stub.DeleteWorkflowAttributes(of_workflow.WorkflowAttributesDeleteRequest(resource_type=kind, **PLACE))


def set_of_workflow(admin: admin_pb2_grpc.AdminServiceStub, given: pb.MatchingAttributes) -> None:
    said = of_workflow.WorkflowAttributes(matching_attributes=given, **PLACE)
    admin.UpdateWorkflowAttributes(of_workflow.WorkflowAttributesUpdateRequest(attributes=said))


def test_get_update_get_delete_of_a_workflows_attributes(admin: admin_pb2_grpc.AdminServiceStub) -> None:
    get = of_workflow.WorkflowAttributesGetRequest(resource_type=pb.TASK_RESOURCE, **PLACE)
    with pytest.raises(grpc.RpcError) as caught:
        admin.GetWorkflowAttributes(get)
    error: grpc.Call = caught.value  # type: ignore[assignment]
    assert error.code() is grpc.StatusCode.NOT_FOUND
    set_of_workflow(admin, RESOURCES)
    assert admin.GetWorkflowAttributes(get).attributes.matching_attributes == RESOURCES
    listed = admin.ListMatchableAttributes(pb.ListMatchableAttributesRequest(resource_type=pb.TASK_RESOURCE))
    assert [one.workflow for one in listed.configurations] == [WORKFLOW]
    delete = of_workflow.WorkflowAttributesDeleteRequest(resource_type=pb.TASK_RESOURCE, **PLACE)
    admin.DeleteWorkflowAttributes(delete)
    admin.DeleteWorkflowAttributes(delete)
    with pytest.raises(grpc.RpcError):
        admin.GetWorkflowAttributes(get)


def test_get_update_get_delete_of_a_domains_and_a_projects_attributes(
    admin: admin_pb2_grpc.AdminServiceStub,
) -> None:
    kind, place = pb.EXECUTION_QUEUE, {"project": PROJECT, "domain": "staging"}
    queue = pb.MatchingAttributes(execution_queue_attributes=pb.ExecutionQueueAttributes(tags=["critical"]))
    said = of_domain.ProjectDomainAttributes(matching_attributes=queue, **place)
    admin.UpdateProjectDomainAttributes(of_domain.ProjectDomainAttributesUpdateRequest(attributes=said))
    found = admin.GetProjectDomainAttributes(
        of_domain.ProjectDomainAttributesGetRequest(resource_type=kind, **place)
    ).attributes
    assert found == said
    admin.DeleteProjectDomainAttributes(of_domain.ProjectDomainAttributesDeleteRequest(resource_type=kind, **place))
    config = admin.GetProjectAttributes(
        of_project.ProjectAttributesGetRequest(project=PROJECT, resource_type=pb.WORKFLOW_EXECUTION_CONFIG)
    ).attributes.matching_attributes.workflow_execution_config
    assert config.max_parallelism > 0
    with pytest.raises(grpc.RpcError):
        admin.GetProjectAttributes(of_project.ProjectAttributesGetRequest(project=PROJECT, resource_type=kind))


def test_pods_get_the_defaults_and_no_more_than_the_limits(runs: Runs, admin: admin_pb2_grpc.AdminServiceStub) -> None:
    set_of_workflow(admin, RESOURCES)
    done = runs.run(WORKFLOW, {"x": 1})
    needs = runs.pod(done.id.name, "renamed")["spec"]["containers"][0]["resources"]
    assert (needs["requests"]["cpu"], needs["limits"]["memory"]) == ("150m", "300Mi")
    assert needs["requests"]["ephemeral-storage"] == "100Mi"


def test_how_executions_run(runs: Runs, admin: admin_pb2_grpc.AdminServiceStub) -> None:
    config = pb.WorkflowExecutionConfig(max_parallelism=7)
    config.labels.values["team"] = "blue"
    config.envs.values.add(key="FLAVOUR", value="mint")
    set_of_workflow(admin, pb.MatchingAttributes(workflow_execution_config=config))
    done = runs.run(WORKFLOW, {"x": 1})
    assert done.spec.max_parallelism == 7
    pod = runs.pod(done.id.name, "renamed")
    assert pod["metadata"]["labels"]["team"] == "blue"
    assert {"name": "FLAVOUR", "value": "mint"} in pod["spec"]["containers"][0]["env"]


def test_a_plugin_that_must_run_a_task_and_is_not_there_fails_it(
    runs: Runs, admin: admin_pb2_grpc.AdminServiceStub
) -> None:
    given = pb.PluginOverride(
        task_type="python-task", plugin_id=["ray"], missing_plugin_behavior=pb.PluginOverride.FAIL
    )
    set_of_workflow(admin, pb.MatchingAttributes(plugin_overrides=pb.PluginOverrides(overrides=[given])))
    done = runs.run(WORKFLOW, {"x": 1})
    assert phase(done) == "FAILED"
    assert "no plugin for tasks of type python-task is there: ray" in done.closure.error.message
    given.missing_plugin_behavior = pb.PluginOverride.USE_DEFAULT
    set_of_workflow(admin, pb.MatchingAttributes(plugin_overrides=pb.PluginOverrides(overrides=[given])))
    assert phase(runs.run(WORKFLOW, {"x": 1})) == "SUCCEEDED"
