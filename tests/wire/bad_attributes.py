"""Bad requests about matchable attributes."""

from collections.abc import Iterator

from flyteidl.admin import matchable_resource_pb2 as pb
from flyteidl.core import execution_pb2
from grpc import StatusCode
from wire import good
from wire.bad import Bad, bad

LONG = "x" * 256
LEVELS = {
    "Project": ("project",),
    "ProjectDomain": ("project", "domain"),
    "Workflow": ("project", "domain", "workflow"),
}


def resources(**given: str) -> pb.MatchingAttributes:
    """Defaults of tasks."""
    return pb.MatchingAttributes(
        task_resource_attributes=pb.TaskResourceAttributes(defaults=pb.TaskResourceSpec(**given))
    )


def overrides(*given: pb.PluginOverride) -> pb.MatchingAttributes:
    """Which plugins run tasks."""
    return pb.MatchingAttributes(plugin_overrides=pb.PluginOverrides(overrides=given))


def config(**given: object) -> pb.MatchingAttributes:
    """How executions run."""
    return pb.MatchingAttributes(workflow_execution_config=pb.WorkflowExecutionConfig(**given))  # type: ignore[arg-type]


EARLIER = execution_pb2.QualityOfService(spec={"queueing_budget": {"seconds": -1}})
MANY = {f"k{number}": "v" for number in range(101)}
SPARK = pb.PluginOverride(task_type="spark", plugin_id=["spark"])
CONTENTS = (
    (pb.MatchingAttributes(), "missing matching_attributes.target"),
    (resources(cpu="much"), "defaults.cpu"),
    (resources(memory="-1Gi"), "defaults.memory"),
    (
        pb.MatchingAttributes(
            task_resource_attributes=pb.TaskResourceAttributes(
                defaults=pb.TaskResourceSpec(gpu="2"), limits=pb.TaskResourceSpec(gpu="1")
            )
        ),
        "defaults.gpu",
    ),
    (overrides(), "overrides"),
    (overrides(pb.PluginOverride(plugin_id=["spark"])), "task_type"),
    (overrides(pb.PluginOverride(task_type="spark")), "plugin_id"),
    (overrides(SPARK, SPARK), "task_type: spark"),
    (config(max_parallelism=-1), "max_parallelism"),
    (config(labels={"values": {"-": "a"}}), "labels"),
    (config(envs={"values": [{"value": "v"}]}), "envs.key"),
    (pb.MatchingAttributes(quality_of_service={"tier": 9}), "quality_of_service.tier"),
    (pb.MatchingAttributes(quality_of_service=EARLIER), "queueing_budget"),
    (pb.MatchingAttributes(execution_cluster_label=pb.ExecutionClusterLabel()), "execution_cluster_label"),
    (pb.MatchingAttributes(cluster_resource_attributes=pb.ClusterResourceAttributes(attributes=MANY)), "attributes"),
    (pb.MatchingAttributes(execution_queue_attributes=pb.ExecutionQueueAttributes(tags=MANY)), "tags"),
)


def places(method: str, prefix: str, parts: tuple[str, ...]) -> Iterator[Bad]:
    """What can be wrong with where attributes lie."""
    for part in parts:
        yield bad(method, f"{prefix}{part}", None, f"missing {part}")
        yield bad(method, f"{prefix}{part}", LONG, part)
        yield bad(method, f"{prefix}{part}", "a\0b", part)
    yield bad(method, f"{prefix}project", "nowhere", "project [nowhere] is not registered")
    if "domain" in parts:
        yield bad(method, f"{prefix}domain", "nowhere", "domain [nowhere]")


def of_level(level: str) -> Iterator[Bad]:
    """Of the three RPCs about attributes of a project, a domain or a workflow."""
    parts = LEVELS[level]
    update, get, delete = (f"{verb}{level}Attributes" for verb in ("Update", "Get", "Delete"))
    yield bad(update, "attributes", None, "missing project")
    yield from places(update, "attributes.", parts)
    yield bad(update, "attributes.project", good.ARCHIVED, f"project [{good.ARCHIVED}] is not active")
    for content, says in CONTENTS:
        yield bad(update, "attributes.matching_attributes", content, says)
    for method in (get, delete):
        yield from places(method, "", parts)
        yield bad(method, "resource_type", 99)
    yield bad(get, "resource_type", pb.CLUSTER_RESOURCE, "CLUSTER_RESOURCE", StatusCode.NOT_FOUND)


CASES = [
    *(case for level in LEVELS for case in of_level(level)),
    bad("ListMatchableAttributes", "resource_type", 99),
]
