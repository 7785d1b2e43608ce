"""Judges of what happened. None takes part in it: they read the log of the tables, the history and the final tables.

Each is a function from an `Outcome` to sentences, one for each thing that must not be; its name is what a failing seed
is reported with.

    nothing_lost      every execution that was accepted ended, and everything came to rest
    forwards          phases never go backwards, versions count one by one, what has ended stays as it is
    once              nothing succeeds twice, no attempt begins beside or after one that did its work
    saved_first       nothing is done that was not decided and saved before
    families          nothing lives inside what has ended
    limits            no more at one time than allowed
    agreement         admin's record says what propeller's tables say, and both what the Pods did
    as_foretold       phases, attempts and outputs are those of the oracle
    taken_over        what recovers another execution does not run again what that one had done
"""

from collections.abc import Callable, Sequence

from ..world import Outcome
from .agreement import agreement
from .foretold import as_foretold
from .order import families, forwards, limits, once, saved_first
from .rest import nothing_lost
from .taken_over import taken_over

Checker = Callable[[Outcome], Sequence[str]]

CHECKERS: tuple[Checker, ...] = (
    nothing_lost,
    forwards,
    once,
    saved_first,
    families,
    limits,
    agreement,
    as_foretold,
    taken_over,
)


def judge(outcome: Outcome) -> list[str]:
    """Everything that is wrong, each with the name of who found it. What never ended is not asked how it ended."""
    checkers = CHECKERS[:6] if outcome.broken else CHECKERS
    return [f"{checker.__name__}: {found}" for checker in checkers for found in checker(outcome)]


__all__ = ["CHECKERS", "Checker", "judge"]
