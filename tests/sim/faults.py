"""What may go wrong, how often, and until when: drawn anew from each seed.

    crash       a service stops at any of its steps, and begins again some seconds later
    stall       a propeller stands still for a while, another one takes over, and the first goes on
    restart     everything in one process stops, the queue forgets, everything begins again
    store       a read, a statement in the middle of a change, or a whole change fails; or it is committed, and the
                caller is told that it is not
    queue       publishing fails, or is done and said to have failed; acknowledgements get lost; messages come twice,
                also much later; each delivery takes its time
    blobs       reading and writing fails, also after it was done
    launcher    the same for starting and removing Pods; statuses come late, again much later, or not each
    admin       calls are refused, or carried out and their answer lost
    clock       one service's clock is minutes ahead of, or behind, the one it had before; time makes a leap

What Pods do is not here: it is a function of the task and the attempt (`workflows`), so that the end can be foretold.
Faults stop at `until_s`: from then on everything must come to an end.
"""

from dataclasses import dataclass, field
from random import Random

from sailplane_core.errors import Unavailable

KINDS = ("crash", "stall", "restart", "store", "queue", "blobs", "launcher", "admin", "clock")
SECONDS_MAX = 90.0


@dataclass
class Faults:
    """A seed's faults. `rates` is how likely each kind is whenever there is occasion."""

    random: Random
    rates: dict[str, float] = field(default_factory=dict[str, float])
    until_s: float = 0.0
    latency_s_max: float = 0.0
    struck: dict[str, int] = field(default_factory=dict[str, int])
    is_over: bool = False

    @classmethod
    def draw(cls, random_: Random) -> "Faults":
        """Each seed has some kinds of faults and none of the others: where everything fails, little is reached."""
        faults = cls(random_)
        if random_.random() < 0.1:
            return faults
        for kind in KINDS:
            if random_.random() < 0.4:
                faults.rates[kind] = random_.choice((0.01, 0.03, 0.1, 0.25))
        faults.until_s = random_.uniform(5.0, SECONDS_MAX)
        faults.latency_s_max = random_.choice((0.0, 0.01, 0.5, 5.0))
        return faults

    def strikes(self, kind: str) -> bool:
        """Whether it goes wrong now."""
        rate = self.rates.get(kind, 0.0)
        if self.is_over or not rate or self.random.random() >= rate:
            return False
        self.struck[kind] = self.struck.get(kind, 0) + 1
        return True

    def fail(self, kind: str, what: str) -> None:
        """Raise `Unavailable` if it goes wrong now."""
        if self.strikes(kind):
            raise Unavailable(f"{what} (simulated)")

    def latency_s(self) -> float:
        """How long the next message takes, mostly not long."""
        if self.is_over or not self.latency_s_max:
            return 0.0
        return self.latency_s_max * self.random.random() ** 4
