"""Quotas of a project's domain: what would go beyond them."""

from datetime import timedelta

from sailplane_protos.governance import quotas_pb2 as pb

WINDOW = timedelta(minutes=1)
"""In which the executions per minute are counted."""


def execution_refusal(quotas: pb.Quotas, usage: pb.QuotaUsage) -> str:
    """The quota that one execution too many has been created for, by the usage with it; "" if none."""
    return _exceeded(quotas, usage, ("running_executions", "executions_per_minute"))


def schedule_refusal(quotas: pb.Quotas, usage: pb.QuotaUsage) -> str:
    """The quota that one schedule too many has been activated for, by the usage with it; "" if none."""
    return _exceeded(quotas, usage, ("active_schedules",))


def _exceeded(quotas: pb.Quotas, usage: pb.QuotaUsage, names: tuple[str, ...]) -> str:
    for name in names:
        most = getattr(quotas, f"{name}_max")
        if most and getattr(usage, name) > most:
            return f"{name}_max of {quotas.project}-{quotas.domain}, {most}"
    return ""
