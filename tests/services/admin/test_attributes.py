"""Matchable attributes: where they lie, which are found, and what they do to what is registered and started."""

from typing import Any

import pytest
from sailplane_admin import attributes, executions, projects, tasks
from sailplane_admin.ports import AdminPorts
from sailplane_core.errors import InactiveProject, InvalidRequest, NotFound
from sailplane_protos.admin import execution_pb2, matchable_resource_pb2, project_pb2
from sailplane_protos.admin import project_attributes_pb2 as of_project
from sailplane_protos.admin import project_domain_attributes_pb2 as of_domain
from sailplane_protos.admin import workflow_attributes_pb2 as of_workflow
from sailplane_protos.core import identifier_pb2, tasks_pb2
from sailplane_protos.propeller import queue_pb2

from services.admin import execution_requests as requests
from services.admin import registry_requests as registry

PROJECT, DOMAIN = registry.PROJECT, registry.DOMAIN
Matching = matchable_resource_pb2.MatchingAttributes
CONFIG = matchable_resource_pb2.WORKFLOW_EXECUTION_CONFIG
CLUSTER_LABEL = matchable_resource_pb2.EXECUTION_CLUSTER_LABEL


def config(parallelism: int) -> matchable_resource_pb2.MatchingAttributes:
    return Matching(workflow_execution_config={"max_parallelism": parallelism})


def label(value: str) -> matchable_resource_pb2.MatchingAttributes:
    return Matching(execution_cluster_label={"value": value})


async def set_of_project(ports: AdminPorts, given: Matching) -> None:
    said = of_project.ProjectAttributes(project=PROJECT, matching_attributes=given)
    await attributes.update_of_project(ports, of_project.ProjectAttributesUpdateRequest(attributes=said))


async def set_of_domain(ports: AdminPorts, given: Matching, domain: str = DOMAIN) -> None:
    said = of_domain.ProjectDomainAttributes(project=PROJECT, domain=domain, matching_attributes=given)
    await attributes.update_of_domain(ports, of_domain.ProjectDomainAttributesUpdateRequest(attributes=said))


async def set_of_workflow(ports: AdminPorts, given: Matching, workflow: str = "chain") -> None:
    said = of_workflow.WorkflowAttributes(project=PROJECT, domain=DOMAIN, workflow=workflow, matching_attributes=given)
    await attributes.update_of_workflow(ports, of_workflow.WorkflowAttributesUpdateRequest(attributes=said))


async def of_the_workflow(ports: AdminPorts, kind: Any) -> of_workflow.WorkflowAttributes:
    request = of_workflow.WorkflowAttributesGetRequest(
        project=PROJECT, domain=DOMAIN, workflow="chain", resource_type=kind
    )
    return (await attributes.get_of_workflow(ports, request)).attributes


async def of_the_domain(ports: AdminPorts, kind: Any) -> of_domain.ProjectDomainAttributes:
    request = of_domain.ProjectDomainAttributesGetRequest(project=PROJECT, domain=DOMAIN, resource_type=kind)
    return (await attributes.get_of_domain(ports, request)).attributes


async def of_the_project(ports: AdminPorts, kind: Any) -> of_project.ProjectAttributes:
    request = of_project.ProjectAttributesGetRequest(project=PROJECT, resource_type=kind)
    return (await attributes.get_of_project(ports, request)).attributes


async def start(ports: AdminPorts, name: str = "x", **spec: Any) -> queue_pb2.Start:
    """Start an execution; what the engine is told."""
    request = requests.create(name)
    request.spec.MergeFrom(execution_pb2.ExecutionSpec(**spec))
    await executions.create(ports, request)
    [message] = [one for one in await ports.store.pending("executions") if name in one.id]
    return queue_pb2.ExecutionCommand.FromString(message.payload).start


async def test_the_most_specific_that_is_there_is_found(ports: AdminPorts) -> None:
    with pytest.raises(NotFound):
        await of_the_workflow(ports, CLUSTER_LABEL)
    await set_of_project(ports, label("project"))
    found = await of_the_workflow(ports, CLUSTER_LABEL)
    assert (found.matching_attributes, found.domain, found.workflow) == (label("project"), "", "")
    assert (await of_the_domain(ports, CLUSTER_LABEL)).matching_attributes == label("project")
    await set_of_domain(ports, label("domain"))
    await set_of_domain(ports, label("other"), "production")
    assert (await of_the_workflow(ports, CLUSTER_LABEL)).matching_attributes == label("domain")
    assert (await of_the_project(ports, CLUSTER_LABEL)).matching_attributes == label("project")
    await set_of_workflow(ports, label("workflow"))
    await set_of_workflow(ports, label("other"), "another")
    found = await of_the_workflow(ports, CLUSTER_LABEL)
    assert (found.matching_attributes, found.domain, found.workflow) == (label("workflow"), DOMAIN, "chain")


async def test_what_is_deleted_is_not_found_and_deleting_it_again_is_no_error(ports: AdminPorts) -> None:
    await set_of_project(ports, label("project"))
    await set_of_workflow(ports, label("workflow"))
    request = of_workflow.WorkflowAttributesDeleteRequest(
        project=PROJECT, domain=DOMAIN, workflow="chain", resource_type=CLUSTER_LABEL
    )
    for _ in range(2):
        await attributes.delete_of_workflow(ports, request)
        assert (await of_the_workflow(ports, CLUSTER_LABEL)).matching_attributes == label("project")


async def test_a_project_always_says_how_executions_run(ports: AdminPorts) -> None:
    default = (await of_the_project(ports, CONFIG)).matching_attributes.workflow_execution_config
    assert default.max_parallelism == ports.settings.max_parallelism
    await set_of_project(ports, Matching(workflow_execution_config={"labels": {"values": {"a": "b"}}}))
    found = (await of_the_project(ports, CONFIG)).matching_attributes.workflow_execution_config
    assert (found.max_parallelism, dict(found.labels.values)) == (ports.settings.max_parallelism, {"a": "b"})


async def test_an_archived_project_is_read_and_not_changed(ports: AdminPorts) -> None:
    await set_of_project(ports, label("project"))
    await projects.update_project(ports, project_pb2.Project(id=PROJECT, state=project_pb2.Project.ARCHIVED))
    assert (await of_the_project(ports, CLUSTER_LABEL)).matching_attributes == label("project")
    with pytest.raises(InactiveProject):
        await set_of_project(ports, label("other"))


async def test_all_of_a_kind_are_listed_the_most_specific_first(ports: AdminPorts) -> None:
    await set_of_project(ports, label("p"))
    await set_of_workflow(ports, label("w"))
    await set_of_domain(ports, label("d"))
    await set_of_domain(ports, config(1))
    request = matchable_resource_pb2.ListMatchableAttributesRequest(resource_type=CLUSTER_LABEL)
    found = (await attributes.list_all(ports, request)).configurations
    assert [one.attributes for one in found] == [label("w"), label("d"), label("p")]
    assert (found[0].project, found[0].domain, found[0].workflow) == (PROJECT, DOMAIN, "chain")


async def test_how_an_execution_runs_is_settled_request_first_then_by_place(ports: AdminPorts) -> None:
    await requests.register(ports)
    assert (await start(ports, "x0")).max_parallelism == ports.settings.max_parallelism
    await set_of_project(ports, config(1))
    assert (await start(ports, "x1")).max_parallelism == 1
    await set_of_domain(ports, config(2))
    await set_of_workflow(ports, config(3))
    await set_of_workflow(ports, config(9), "another")
    assert (await start(ports, "x3")).max_parallelism == 3
    assert (await start(ports, "x4", max_parallelism=4)).max_parallelism == 4


async def test_the_engine_is_told_of_resources_and_plugins(ports: AdminPorts) -> None:
    await requests.register(ports)
    resources = Matching(task_resource_attributes={"defaults": {"cpu": "250m"}, "limits": {"cpu": "1"}})
    plugins = Matching(plugin_overrides={"overrides": [{"task_type": "spark", "plugin_id": ["operator"]}]})
    await set_of_domain(ports, resources)
    await set_of_workflow(ports, plugins)
    told = await start(ports)
    assert told.task_resources == resources.task_resource_attributes
    assert list(told.plugin_overrides) == list(plugins.plugin_overrides.overrides)


async def test_where_an_execution_runs_is_its_places_to_say(ports: AdminPorts) -> None:
    await requests.register(ports)
    await set_of_domain(ports, label("gpu"))
    await set_of_domain(ports, Matching(cluster_assignment={"cluster_pool_name": "blue"}))
    await start(ports)
    spec = (await executions.get(ports, requests.get())).spec
    assert (spec.execution_cluster_label.value, spec.cluster_assignment.cluster_pool_name) == ("gpu", "blue")
    await start(ports, "x1", cluster_assignment={"cluster_pool_name": "blue"})
    with pytest.raises(InvalidRequest, match="blue"):
        await start(ports, "x2", cluster_assignment={"cluster_pool_name": "red"})


async def test_a_task_that_asks_for_more_than_there_may_be_is_not_registered(ports: AdminPorts) -> None:
    limits = Matching(task_resource_attributes={"limits": {"cpu": "2", "memory": "1Gi"}})
    await set_of_domain(ports, limits)
    greedy = registry.task("greedy")
    greedy.spec.template.container.resources.requests.add(name=tasks_pb2.Resources.MEMORY, value="2Gi")
    with pytest.raises(InvalidRequest, match=r"Requested MEMORY default \[2Gi\] is greater than current limit"):
        await tasks.create(ports, greedy)
    elsewhere = identifier_pb2.Identifier()
    elsewhere.CopyFrom(greedy.id)
    greedy.id.domain = greedy.spec.template.id.domain = "production"
    await tasks.create(ports, greedy)
    with pytest.raises(NotFound):
        await tasks.get(ports, registry.get(elsewhere))
