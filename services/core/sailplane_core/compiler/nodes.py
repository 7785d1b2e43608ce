"""Each node on its own: what it refers to, what it takes and gives, what is bound to it."""

from collections.abc import Mapping

from sailplane_protos.core import types_pb2, workflow_pb2

from .. import resources
from ..errors import InvalidRequest, Problem
from ..ids import START_NODE_ID
from ..types import castable
from . import bindings, conditions, problems, walk
from .interfaces import Interface, Library, Outputs


class NodeChecker:
    """Checks the nodes of one workflow, one after another, each after those that it waits for.

    `inputs` are the workflow's own. What is wrong is added to `found`.
    """

    def __init__(self, library: Library, inputs: Mapping[str, types_pb2.LiteralType], found: list[Problem]) -> None:
        self._library = library
        self._found = found
        self.outputs: dict[str, Outputs | None] = {START_NODE_ID: inputs}
        """Node id to what it gives, of every node checked so far; None where that could not be found out."""

    def check(self, node: workflow_pb2.Node) -> None:
        """Check one node, and whatever is inside it."""
        self.outputs[node.id] = self._check(node)

    def _check(self, node: workflow_pb2.Node) -> Outputs | None:
        match node.WhichOneof("target"):
            case "task_node" | "workflow_node":
                outputs = self._check_reference(node, self._referenced(node, node))
            case "array_node":
                outputs = self._check_reference(node, self._array(node))
            case "branch_node":
                outputs = self._check_branch(node)
            case "gate_node":
                outputs = self._check_gate(node)
            case None:
                self._found.append(problems.value_required(node.id, "What the node runs"))
                outputs = None
        return None if outputs is None else self._renamed(node, outputs)

    def _check_reference(self, node: workflow_pb2.Node, interface: Interface | None) -> Outputs | None:
        if interface is None:
            return None
        self._found += bindings.check(node.id, node.inputs, interface.inputs, self.outputs)
        return interface.outputs

    def _referenced(self, node: workflow_pb2.Node, binder: workflow_pb2.Node) -> Interface | None:
        """The interface of what `node` refers to, when `binder` has the bindings for it."""
        if task := walk.task_id(node):
            self._check_overrides(binder.id, node.task_node)
            return self._library.task(task) or self._missing(problems.task_not_found(binder.id, str(task)))
        if workflow := walk.sub_workflow_id(node):
            missing = problems.workflow_not_found(binder.id, f"Workflow {workflow}")
            return self._library.workflow(workflow) or self._missing(missing)
        if plan := walk.launch_plan_id(node):
            missing = problems.workflow_not_found(binder.id, f"Launch plan {plan}")
            bound = {binding.var for binding in binder.inputs}
            return self._library.launch_plan(plan, bound) or self._missing(missing)
        return self._missing(problems.value_required(binder.id, "The task, workflow or launch plan of the node"))

    def _missing(self, problem: Problem) -> None:
        self._found.append(problem)

    def _check_overrides(self, node_id: str, task: workflow_pb2.TaskNode) -> None:
        for entry in (*task.overrides.resources.requests, *task.overrides.resources.limits):
            try:
                resources.parse_quantity(entry.value)
            except InvalidRequest as error:
                self._found.append(problems.unrecognized_value(node_id, "An overridden resource", str(error)))

    def _array(self, node: workflow_pb2.Node) -> Interface | None:
        """The interface of an array node: that of what it runs, in lists where the client did not make lists of it.

        Runs that may fail leave None in the list of results. flytekit says so in the type for some targets and not for
        others; the list made here does not say it, which fits both.
        """
        array = node.array_node
        if not 0 <= array.min_success_ratio <= 1:
            self._found.append(problems.invalid_value(node.id, "min_success_ratio", "it must be between 0 and 1"))
        if array.node.WhichOneof("target") not in ("task_node", "workflow_node"):
            why = "an array node runs a task, a workflow or a launch plan"
            self._found.append(problems.invalid_value(node.id, "The node of the array", why))
            return None
        interface = self._referenced(array.node, node)
        if interface is None or not array.is_original_sub_node_interface.value:
            return interface
        return Interface(
            {
                name: one if name in array.bound_inputs else types_pb2.LiteralType(collection_type=one)
                for name, one in interface.inputs.items()
            },
            {name: types_pb2.LiteralType(collection_type=one) for name, one in interface.outputs.items()},
        )

    def _check_branch(self, node: workflow_pb2.Node) -> Outputs | None:
        """A branch gives what all its cases give alike. It takes what its conditions compare."""
        if_else = node.branch_node.if_else
        bound = bindings.resolve(node.id, node.inputs, self.outputs, self._found)
        if not if_else.HasField("case"):
            self._found.append(problems.no_condition(node.id))
        else:
            for block in (if_else.case, *if_else.other):
                self._found += conditions.check(node.id, block, bound)
                if not block.HasField("then_node"):
                    self._found.append(problems.no_then_node(node.id))
        if if_else.WhichOneof("default") is None:
            self._found.append(problems.no_default(node.id))
        common: Outputs | None = None
        is_known = True
        for case in walk.cases(node.branch_node):
            given = self._check(case)
            is_known = is_known and given is not None
            if given is not None:
                common = given if common is None else self._in_common(case.id, common, given)
        return common if is_known else None

    def _in_common(self, case_id: str, ours: Outputs, theirs: Outputs) -> Outputs:
        """Outputs of both names; their types must be the same, or each fit the other."""
        for name in sorted(ours.keys() & theirs.keys()):
            one, other = ours[name], theirs[name]
            if one is not None and other is not None and not (castable(one, other) and castable(other, one)):
                what = f"Output {name!r} of this case"
                self._found.append(problems.mismatching_types(case_id, what, other, one))
        return {name: one for name, one in ours.items() if name in theirs}

    def _check_gate(self, node: workflow_pb2.Node) -> Outputs | None:
        """A signal gives its value, an approval passes on what it was given, a pause nothing."""
        gate = node.gate_node
        bound = bindings.resolve(node.id, node.inputs, self.outputs, self._found)
        match gate.WhichOneof("condition"):
            case "approve":
                if not gate.approve.signal_id:
                    self._found.append(problems.value_required(node.id, "The signal id of the gate"))
                return bound
            case "signal":
                return self._check_signal(node.id, gate.signal)
            case "sleep":
                return {}
            case None:
                self._found.append(problems.no_gate_condition(node.id))
                return None

    def _check_signal(self, node_id: str, signal: workflow_pb2.SignalCondition) -> Outputs | None:
        missing = [
            what
            for what, is_there in (
                ("The signal id of the gate", bool(signal.signal_id)),
                ("The type of the gate's signal", signal.type.WhichOneof("type") is not None),
                ("The output variable of the gate's signal", bool(signal.output_variable_name)),
            )
            if not is_there
        ]
        self._found.extend(problems.value_required(node_id, what) for what in missing)
        return None if missing else {signal.output_variable_name: signal.type}

    def _renamed(self, node: workflow_pb2.Node, outputs: Outputs) -> Outputs:
        """The outputs under the names that other nodes know them by."""
        aliases: dict[str, str] = {}
        for alias in node.output_aliases:
            if alias.var in aliases or alias.alias in aliases.values():
                self._found.append(problems.duplicate_alias(node.id, alias.alias))
            elif alias.var not in outputs:
                self._found.append(problems.not_bound(node.id, alias.alias))
            else:
                aliases[alias.var] = alias.alias
        return {aliases.get(name, name): one for name, one in outputs.items()} if aliases else outputs
