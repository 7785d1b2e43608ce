"""Propeller's commits, one after the other, from the log that the database itself has kept."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ..world import Outcome

Row = dict[str, Any]


@dataclass
class Execution:
    """One execution's rows as they were at some moment."""

    id: str
    header: Row = field(default_factory=dict[str, Any])
    nodes: dict[str, Row] = field(default_factory=dict[str, Row])

    @property
    def name(self) -> str:
        """The last part of its id."""
        return self.id.rpartition("/")[2]

    def is_within(self, node: Row, container: Row) -> bool:
        """Whether a node lies in another one, at any depth."""
        scope = node["scope"]
        while scope:
            if scope == container["id"]:
                return True
            scope = self.nodes[scope]["scope"] if scope in self.nodes else ""
        return False


@dataclass
class Commit:
    """One transition, once committed: `before` and `after` are the rows it changed; `seq` is that of its last row."""

    execution: Execution
    seq: int
    header_before: Row
    before: dict[str, Row]
    changed: list[Row]


def commits(outcome: Outcome) -> Iterator[Commit]:
    """Every commit, in order. The execution given with each is as it was just after."""
    executions: dict[str, Execution] = {}
    current: Commit | None = None
    for row in outcome.rows:
        if row["of"] == "executions":
            if current is not None:
                yield current
            execution = executions.setdefault(row["id"], Execution(row["id"]))
            current = Commit(execution, row["seq"], execution.header, {}, [])
            execution.header = row
        else:
            execution = executions[row["execution_id"]]
            if current is None or current.execution is not execution:
                raise AssertionError(f"a node's row was written without its execution's: {row}")
            current.seq = row["seq"]
            current.before[row["id"]] = execution.nodes.get(row["id"], {})
            current.changed.append(row)
            execution.nodes[row["id"]] = row
    if current is not None:
        yield current
