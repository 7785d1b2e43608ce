"""Tasks as Pods: making an attempt's Pod run, and taking it away."""

from sailplane_core import podspec
from sailplane_core.attributes import missing_plugin
from sailplane_core.failures import Failure, FailureKind
from sailplane_core.ids import pod_name
from sailplane_core.machine import Command, LaunchFailed, NodeState, Observation, PodRemoved, scopes
from sailplane_protos.core import literals_pb2

from . import recovery
from .live import Live
from .pods import default_envs, pod_context
from .tools import Tools, with_inputs

PLUGINS = ("container", "pod", "sidecar")
"""Flyte's names for running a task as a Pod, which is all that there is here."""


@with_inputs
async def launch(tools: Tools, live: Live, node: NodeState, bound: literals_pb2.LiteralMap) -> Observation | None:
    """`LaunchPod`: what follows is seen of the Pod."""
    definition = live.definition
    path = scopes.path_to(definition.node, node)
    checkpoint_uri = await recovery.checkpoint_uri(
        tools.ports.blobs, definition.layout, path, node, definition.recovered_alike(node)
    )
    envs = default_envs(tools.ports.settings)
    context = pod_context(live, node, bound, checkpoint_uri=checkpoint_uri, default_envs=envs)
    missing = missing_plugin(definition.start.plugin_overrides, context.task.type, PLUGINS)
    if missing:
        return LaunchFailed(node.id, node.attempt, Failure("PluginMissing", missing, FailureKind.USER, retryable=False))
    pod = podspec.build(context)
    if podspec.needs_task_template(context.task):
        await tools.ports.blobs.put(context.task_template_uri, context.task.SerializeToString())
    tools.names.add(live, node, pod.primary_container)
    if live.is_current(node.id, node.attempt):
        await tools.ports.launcher.ensure(pod)
    return None


async def remove(tools: Tools, live: Live, command: Command) -> Observation | None:
    """`RemovePod`."""
    name = pod_name(live.id, command.node_id, command.attempt)
    await tools.logs.keep(live.id, live.namespace, name)
    await tools.ports.launcher.remove(live.namespace, name)
    tools.names.discard(live.namespace, name)
    return PodRemoved(command.node_id, command.attempt)
