"""Whether everything ended."""

from collections.abc import Sequence

from sailplane_core.phases import EXECUTION_TERMINAL, ExecutionPhase

from ..world import Outcome

_TERMINAL = {phase.name for phase in EXECUTION_TERMINAL}


def nothing_lost(outcome: Outcome) -> Sequence[str]:
    """Every accepted execution has ended for admin and for propeller, none was parked, nobody stumbled."""
    found: list[str] = []
    if outcome.broken:
        left = [*outcome.stored["admin.outbox"], *outcome.stored["propeller.outbox"]]
        found.append(f"{outcome.broken}; untold: {left}")
    recorded = {row["execution_name"]: row for row in outcome.stored["record.executions"]}
    run = {row["id"].split("/")[-1]: row for row in outcome.stored["executions"]}
    names = {one.what["execution"] for one in outcome.history.of("accepted")} | recorded.keys()
    for name in sorted(names):
        if name not in recorded or recorded[name]["phase"] not in _TERMINAL:
            found.append(f"{name} is {recorded[name]['phase'] if name in recorded else 'unknown'} for admin")
        if name not in run or not run[name]["is_terminal"]:
            phase = ExecutionPhase(run[name]["phase"]).name if name in run else "unknown"
            found.append(f"{name} is {phase} for propeller")
        elif run[name]["parked_at"] is not None:
            found.append(f"{name} is parked: {run[name]['parked_reason']}\n{run[name]['parked_evidence']}")
    found.extend(f"nobody took an error: {one}" for one in outcome.history.of("unhandled"))
    return found
