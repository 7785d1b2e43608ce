"""Where an execution's files lie in the blob store: every path is a function of names, so a restart finds them.

Top-level nodes lie where Flyte puts them, except that project, domain and execution are separate path segments:
joined by dashes, two executions could share one path. Nodes inside a sub-workflow lie under their unique id. What admin
and the engine write is apart, whatever a project is called.
"""

from dataclasses import dataclass

from .ids import ExecutionId, pod_name

INPUTS = "inputs.pb"
OUTPUTS = "outputs.pb"
ERROR = "error.pb"
FUTURES = "futures.pb"
DYNAMIC_CLOSURE = "dynamic_compiled.pb"
DECK = "deck.html"


def admin_key(execution: ExecutionId) -> str:
    """Everything that admin writes for an execution is below this key of the blob store."""
    return f"metadata/admin/{execution}"


def engine_key(execution: ExecutionId) -> str:
    """Everything that the engine writes for an execution, the results that tasks tell it included, is below this."""
    return f"metadata/propeller/{execution}"


def raw_key(execution: ExecutionId) -> str:
    """Where an execution's raw output goes unless somebody has chosen another prefix."""
    return f"data/{execution}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one execution. `root_uri` is the blob store's root, `raw_prefix` where user data goes."""

    root_uri: str
    raw_prefix: str
    execution: ExecutionId

    @property
    def execution_uri(self) -> str:
        """Everything that the engine writes for this execution is below this prefix."""
        return f"{self.root_uri}/{engine_key(self.execution)}"

    def inputs_uri(self, node_id: str) -> str:
        """The node's resolved inputs, a `core.LiteralMap`; the same for all its attempts."""
        return f"{self.execution_uri}/{node_id}/data/{INPUTS}"

    def attempt_uri(self, node_id: str, attempt: int) -> str:
        """The directory an attempt writes its results to, without a slash at its end."""
        return f"{self.execution_uri}/{node_id}/data/{attempt}"

    def outputs_uri(self, node_id: str, attempt: int) -> str:
        """The attempt's outputs, a `core.LiteralMap`."""
        return f"{self.attempt_uri(node_id, attempt)}/{OUTPUTS}"

    def error_uri(self, node_id: str, attempt: int) -> str:
        """The attempt's error, a `core.ErrorDocument`."""
        return f"{self.attempt_uri(node_id, attempt)}/{ERROR}"

    def futures_uri(self, node_id: str, attempt: int) -> str:
        """The sub-graph that a dynamic task asks for, a `core.DynamicJobSpec`."""
        return f"{self.attempt_uri(node_id, attempt)}/{FUTURES}"

    def dynamic_closure_uri(self, node_id: str, attempt: int) -> str:
        """What became of that sub-graph: the `core.CompiledWorkflowClosure` that is walked."""
        return f"{self.attempt_uri(node_id, attempt)}/{DYNAMIC_CLOSURE}"

    def log_uri(self, pod: str) -> str:
        """What a Pod of this execution has written. By its name alone: who removes it may know no more of it."""
        return f"{self.execution_uri}/logs/{pod}"

    def deck_uri(self, node_id: str, attempt: int) -> str:
        """The attempt's HTML report."""
        return f"{self.attempt_uri(node_id, attempt)}/{DECK}"

    def raw_uri(self, node_id: str, attempt: int) -> str:
        """Where the attempt puts files, frames and other large values; each attempt has its own prefix."""
        name = pod_name(self.execution, node_id, attempt)
        return f"{self.raw_prefix.rstrip('/')}/{name}"

    def checkpoint_uri(self, node_id: str, attempt: int) -> str:
        """Where the attempt may keep a checkpoint for the next one."""
        return f"{self.raw_uri(node_id, attempt)}/_flytecheckpoints"
