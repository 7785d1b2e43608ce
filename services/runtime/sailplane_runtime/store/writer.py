"""The one writer of a database, which commits in groups, on the event loop.

Changes that were asked for within one turn of the loop share a commit. Every change runs in a savepoint of its own:
one that raises is undone alone. When the database gives up a whole group (a full disk, a constraint that is checked at
the commit), each change is tried again by itself, so that only the culprit fails.

Why on the loop and not on a thread: a commit waits for no disk (`sqlite`), most of its time is Python, and Python runs
one thread at a time. On a thread the same write takes two and a half times as long while the loop is idle, and five
times and more while it is busy, because every call into SQLite lets go of the interpreter and has to win it back. The
price: a change that computes for long holds up the loop, so changes must be small, and a group has a limit.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sailplane_core.ports import Message
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .port import Transaction
from .sqlite import driver_of, meaning, transaction

GROUP_CHANGES_MAX = 64
"""About 5 ms of work: how long the rest of the process may have to wait for one commit."""
CONFIRMATIONS_PER_COMMIT_MAX = 1_000

# What every commit does is said to the driver itself: through SQLAlchemy each of these statements costs several times
# as much as SQLite's own work on it.
INSERT_MESSAGES = "INSERT INTO outbox (topic, key, id, payload) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
DELETE_CONFIRMED = "DELETE FROM outbox WHERE id = ?"


@dataclass(eq=False, slots=True)
class Change:
    """A change that waits for its commit. `future` belongs to the event loop."""

    run: Callable[[Transaction], Any]
    future: asyncio.Future[Any]


@dataclass(eq=False, slots=True)
class Outcome:
    """How a change ended: `error` is None when `result` is committed."""

    change: Change
    result: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Commit:
    """What one commit did, in the order in which it was done."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    messages: list[Message] = field(default_factory=list[Message])


@dataclass(slots=True)
class OpenTransaction:
    """Implements `port.Transaction`."""

    connection: Connection
    messages: list[Message] = field(default_factory=list[Message])

    def send(self, message: Message) -> None:
        """Remember it for the end of the group, where all of them go in with one statement."""
        self.messages.append(message)


class _GivenUp(Exception):
    """The database rolled back the whole transaction under a change."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause


class GroupWriter:
    """Runs changes and reports each commit to `committed`.

    `confirmed` holds ids of outbox rows to delete; they ride along with whatever is committed next.
    """

    def __init__(self, engine: Engine, committed: Callable[[Commit], None]) -> None:
        self.confirmed: deque[str] = deque()
        self._loop = asyncio.get_running_loop()
        self._connection = engine.connect()
        self._driver = driver_of(self._connection)
        self._committed = committed
        self._waiting: deque[Change] = deque()
        self._turn: asyncio.Handle | None = None

    def submit(self, change: Change) -> None:
        """Have it committed at the loop's next turn."""
        self._waiting.append(change)
        if self._turn is None:
            self._turn = self._loop.call_soon(self._take_turn)

    def close(self) -> None:
        """Commit what was submitted before, then let go of the database.

        Confirmations are tried once: those that cannot be written come again after the next start.
        """
        if self._turn is not None:
            self._turn.cancel()
        while self._waiting:
            self._commit(self._next_group())
        if self.confirmed:
            self._commit([])
        self._connection.close()

    def _take_turn(self) -> None:
        self._turn = None
        self._commit(self._next_group())
        if self._waiting:
            self._turn = self._loop.call_soon(self._take_turn)

    def _next_group(self) -> list[Change]:
        group: list[Change] = []
        while self._waiting and len(group) < GROUP_CHANGES_MAX:
            change = self._waiting.popleft()
            if not change.future.cancelled():
                group.append(change)
        return group

    def _commit(self, group: Sequence[Change]) -> None:
        try:
            commit = self._commit_together(group)
        except (_GivenUp, DBAPIError, sqlite3.Error) as error:
            if len(group) > 1:
                for change in group:
                    self._commit([change])
                return
            cause = error.cause if isinstance(error, _GivenUp) else error
            commit = Commit([Outcome(change, error=meaning(cause) or cause) for change in group])
        self._committed(commit)

    def _commit_together(self, group: Sequence[Change]) -> Commit:
        commit = Commit()
        confirmed = self._take_confirmed()
        try:
            with transaction(self._connection, immediate=True):
                for change in group:
                    self._run(change, commit)
                # Deleted before the insert: an id that was confirmed and is sent again stays in the outbox.
                if confirmed:
                    self._driver.executemany(DELETE_CONFIRMED, [(id,) for id in confirmed])
                if commit.messages:
                    self._driver.executemany(INSERT_MESSAGES, [_row(message) for message in commit.messages])
        except BaseException:
            self.confirmed.extendleft(reversed(confirmed))
            raise
        return commit

    def _run(self, change: Change, commit: Commit) -> None:
        self._driver.execute("SAVEPOINT change")
        opened = OpenTransaction(self._connection)
        try:
            result = change.run(opened)
        except BaseException as error:
            if not self._driver.in_transaction:
                raise _GivenUp(error) from error
            self._driver.execute("ROLLBACK TO change")
            commit.outcomes.append(Outcome(change, error=meaning(error) or error))
        else:
            commit.outcomes.append(Outcome(change, result))
            commit.messages.extend(opened.messages)
        self._driver.execute("RELEASE change")

    def _take_confirmed(self) -> list[str]:
        count = min(len(self.confirmed), CONFIRMATIONS_PER_COMMIT_MAX)
        return [self.confirmed.popleft() for _ in range(count)]


def _row(message: Message) -> tuple[str, str, str, bytes]:
    return message.topic, message.key, message.id, message.payload
