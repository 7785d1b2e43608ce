"""What happened, in order, for the checkers and for people."""

import hashlib
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing. `at_s` is the world's time, `rows` how many changes of rows propeller had committed before it."""

    at_s: float
    rows: int
    kind: str
    what: dict[str, Any]

    def __str__(self) -> str:
        told = " ".join(f"{key}={value}" for key, value in self.what.items())
        return f"{self.at_s:12.6f} @{self.rows:<5} {self.kind:<18} {told}"


@dataclass
class History:
    """Everything of one seed."""

    happenings: list[Happening] = field(default_factory=list[Happening])

    def add(self, at_s: float, rows: int, kind: str, **what: Any) -> None:
        """One more."""
        self.happenings.append(Happening(at_s, rows, kind, what))

    def of(self, kind: str) -> list[Happening]:
        """Those of one kind."""
        return [one for one in self.happenings if one.kind == kind]

    def digest(self) -> str:
        """The same for the same run, and for no other."""
        text = "\n".join(map(str, self.happenings))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
