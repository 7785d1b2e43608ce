"""How long executions are kept: which policy holds, and from when on something is too old."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sailplane_protos.governance import retention_pb2 as pb

from .errors import InvalidRequest
from .phases import EXECUTION_TERMINAL, ExecutionPhase

AGE_S_MAX = 100 * 365 * 86_400
"""A hundred years: beyond, one would have to say no limit."""
EXECUTIONS_MAX = 1_000_000_000


def check_phase(phase: int) -> None:
    """Each phase, or one to end in. Raises `InvalidRequest`."""
    if phase != ExecutionPhase.UNDEFINED and phase not in EXECUTION_TERMINAL:
        names = ", ".join(sorted(one.name for one in EXECUTION_TERMINAL))
        raise InvalidRequest.invalid("phase", f"only these are terminal: {names}")


def check_policy(policy: pb.RetentionPolicy) -> None:
    """What of a policy can be judged by itself. Raises `InvalidRequest`."""
    check_phase(policy.phase)
    if policy.age_s_max > AGE_S_MAX:
        raise InvalidRequest.invalid("age_s_max", f"at most {AGE_S_MAX} is allowed")
    if policy.executions_max > EXECUTIONS_MAX:
        raise InvalidRequest.invalid("executions_max", f"at most {EXECUTIONS_MAX} is allowed")


def holding(policies: Iterable[pb.RetentionPolicy], domain: str, phase: ExecutionPhase) -> pb.RetentionPolicy | None:
    """Of a project's policies the one for executions of a domain that have ended in a phase; None if all are kept."""
    applying = [one for one in policies if one.domain in ("", domain) and one.phase in (0, phase)]
    if not applying:
        return None
    found = max(applying, key=lambda one: (one.domain != "", one.phase != 0))
    return found if found.age_s_max or found.executions_max else None


def too_old_before(policy: pb.RetentionPolicy, now: datetime) -> datetime | None:
    """What was changed last before this is too old; None if nothing is."""
    return now - timedelta(seconds=policy.age_s_max) if policy.age_s_max else None
