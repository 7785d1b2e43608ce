"""What can go wrong, as a small tree. `sailplane_runtime.grpc_errors` maps each class to a gRPC status, once.

    SailplaneError
    ├── InvalidRequest(problems)          the caller's request is wrong; nothing was written
    │   ├── CompileFailed                 a task or workflow does not compile
    │   ├── DifferentStructure            the same version was registered with another content
    │   └── InactiveProject               the project is archived
    ├── NotFound(kind, id)
    ├── AlreadyExists(kind, id)
    │   ├── IdenticalStructure            the same version was registered with the same content
    │   └── ConcurrencyLimitReached       as many executions of the launch plan as may be are there already
    ├── Refused(reason)                   well-formed, but the state of things forbids it
    │   ├── AlreadyTerminal(phase)
    │   └── WrongCluster(cluster)
    ├── LimitReached(limit)
    ├── Unimplemented(what)
    ├── StaleVersion(what)                somebody else was faster; load and decide again
    └── Unavailable(what)                 a dependency does not answer; try again
    InvariantBroken                       a bug of ours, never the caller's; outside the tree on purpose

Failures of user code are data (`sailplane_core.failures.Failure`), never exceptions of the control plane.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class SailplaneError(Exception):
    """Base of every error that a caller may see. The message is meant to be read by that caller."""


class InvalidRequest(SailplaneError):
    """The request is malformed. `problems` names every fault found, each with the field it is about."""

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("; ".join(problems))

    @classmethod
    def missing(cls, field: str) -> "InvalidRequest":
        """The text Flyte gives for an absent field, which people grep for."""
        return cls(f"missing {field}")

    @classmethod
    def invalid(cls, field: str, why: str = "") -> "InvalidRequest":
        """The text Flyte gives for a bad value, with our reason behind it."""
        return cls(f"invalid value for {field}" + (f": {why}" if why else ""))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing the compiler found. `code` is Flyte's word for it (`MismatchingTypes`), `node_id` where it stands."""

    code: str
    node_id: str
    description: str


class CompileFailed(InvalidRequest):
    """A task or workflow does not compile; every problem is listed, not only the first."""

    def __init__(self, entity: str, problems: Sequence[Problem]) -> None:
        self.found: tuple[Problem, ...] = tuple(problems)
        lines = [f"failed to compile {entity}: Collected Errors: {len(self.found)}"]
        lines += [
            f"\tError {index}: Code: {problem.code}, Node Id: {problem.node_id}, Description: {problem.description}"
            for index, problem in enumerate(self.found)
        ]
        super().__init__("\n".join(lines))


class DifferentStructure(InvalidRequest):
    """This version is registered already, with a different content. Versions are immutable.

    `kind` is the lower-case entity word (`task`, `workflow`, `launch plan`), `id` the five-part identifier as text,
    `diff` the differing lines.
    """

    def __init__(self, kind: str, id: str, diff: str) -> None:
        self.kind, self.id, self.diff = kind, id, diff
        super().__init__(
            f"{id} {kind} with different structure already exists."
            f" (Please register a new version of the {kind}):\n{diff}"
        )


class InactiveProject(InvalidRequest):
    """The project is not ACTIVE, so nothing can be registered or started in it. Reads go on."""

    def __init__(self, project: str) -> None:
        self.project = project
        super().__init__(f"project [{project}] is not active")


class NotFound(SailplaneError):
    """There is no such thing. `kind` is what was looked for, `id` as the caller named it."""

    def __init__(self, kind: str, id: str, message: str = "") -> None:
        self.kind, self.id = kind, id
        super().__init__(message or f"missing entity of type {kind} with identifier {id}")


class AlreadyExists(SailplaneError):
    """The name is taken."""

    def __init__(self, kind: str, id: str, message: str = "") -> None:
        self.kind, self.id = kind, id
        super().__init__(message or f"{kind} {id} already exists")


class IdenticalStructure(AlreadyExists):
    """This version is registered already, with the same content: the caller's wish is fulfilled."""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(kind, id, f"{id} {kind} with identical structure already exists")


class ConcurrencyLimitReached(AlreadyExists):
    """The launch plan `plan` skips what would be more than `executions_max` executions at once."""

    def __init__(self, executions_max: int, plan: str) -> None:
        message = f"concurrency limit ({executions_max}) reached for launch plan {plan}, the execution is skipped"
        super().__init__("execution", plan, message)


class Refused(SailplaneError):
    """The request is well-formed, but the present state forbids it."""


class AlreadyTerminal(Refused):
    """It has ended; its phase never changes again. `phase` is the enum name of that phase."""

    def __init__(self, phase: str, message: str = "") -> None:
        self.phase = phase
        super().__init__(message or f"already in terminal phase {phase}")


class WrongCluster(Refused):
    """An event came from a cluster that does not own the execution."""

    def __init__(self, cluster: str, recorded: str) -> None:
        self.cluster, self.recorded = cluster, recorded
        super().__init__(f"cluster {cluster!r} does not own this execution, {recorded!r} does")


class LimitReached(SailplaneError):
    """A limit is used up. `limit` names it, with its value and unit."""

    def __init__(self, limit: str) -> None:
        self.limit = limit
        super().__init__(f"limit reached: {limit}")


class Unimplemented(SailplaneError):
    """This server does not offer it."""


class StaleVersion(SailplaneError):
    """A compare-and-set lost the race: load the present state and decide again."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed by somebody else")


class Unavailable(SailplaneError):
    """Something we depend on does not answer now; the same call may succeed later."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is not available, try again")


class Malfunction(Unavailable):
    """Something we depend on failed by a fault of its own: the next try may succeed, or all may fail alike."""


class InvariantBroken(Exception):
    """A bug of ours: a state that cannot be, was. Whoever meets it parks the work with its evidence and goes on."""
