"""What the things that nodes refer to take and give."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from sailplane_protos.admin import launch_plan_pb2
from sailplane_protos.core import compiler_pb2, interface_pb2, types_pb2, workflow_pb2

from ..ids import EntityId

Outputs = Mapping[str, types_pb2.LiteralType | None]
"""Output name to type. None: it is there, but its type cannot be known before it runs, or was not found out."""


@dataclass(frozen=True, slots=True)
class Interface:
    """The inputs and outputs of a task, workflow or launch plan, name to type."""

    inputs: Mapping[str, types_pb2.LiteralType]
    outputs: Mapping[str, types_pb2.LiteralType]

    @classmethod
    def of(cls, message: interface_pb2.TypedInterface) -> "Interface":
        """The value of a `core.TypedInterface`."""
        return cls(types_of(message.inputs), types_of(message.outputs))


def types_of(variables: interface_pb2.VariableMap) -> Mapping[str, types_pb2.LiteralType]:
    """Variable name to type."""
    return {name: variable.type for name, variable in variables.variables.items()}


class Library:
    """Everything that the nodes of a workflow and its sub-workflows may refer to."""

    def __init__(
        self,
        tasks: Mapping[EntityId, compiler_pb2.CompiledTask],
        launch_plans: Mapping[EntityId, launch_plan_pb2.LaunchPlan],
        workflows: Mapping[EntityId, workflow_pb2.WorkflowTemplate],
    ) -> None:
        self._tasks, self._launch_plans, self._workflows = tasks, launch_plans, workflows
        self._known: dict[EntityId, Interface] = {}

    def task(self, id: EntityId) -> Interface | None:
        """The interface of a task; None if there is no such task."""
        if id not in self._known and id in self._tasks:
            self._known[id] = Interface.of(self._tasks[id].template.interface)
        return self._known.get(id)

    def workflow(self, id: EntityId) -> Interface | None:
        """The interface of a listed sub-workflow; None if it is not listed."""
        if id not in self._known and id in self._workflows:
            self._known[id] = Interface.of(self._workflows[id].interface)
        return self._known.get(id)

    def launch_plan(self, id: EntityId, bound: Container[str]) -> Interface | None:
        """The interface of a launch plan to a node that binds `bound`; None if there is no such launch plan.

        It takes what it requires, and of what has a default only that which the node replaces.
        """
        plan = self._launch_plans.get(id)
        if plan is None:
            return None
        inputs = {
            name: parameter.var.type
            for name, parameter in plan.closure.expected_inputs.parameters.items()
            if parameter.required or name in bound
        }
        return Interface(inputs, types_of(plan.closure.expected_outputs))
