"""The one writer of a database: a thread that commits in groups.

While one group is being committed the next one gathers, so a busy store makes few, large commits, and an idle one
commits a single change at once. In a group every change runs in a savepoint of its own: one that raises is undone
alone. When the database gives up a whole group (a full disk, a constraint that is checked at the commit), each
change is tried again by itself, so that only the culprit fails.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, cast

from sailplane_core.ports import Message
from sqlalchemy import Connection, Engine, Table, bindparam, delete
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError

from .port import Transaction
from .sqlite import meaning

GROUP_CHANGES_MAX = 256
CONFIRMATIONS_PER_COMMIT_MAX = 1_000


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
    """Runs changes on its own thread and reports each commit to `committed`, which must not block (it is called there).

    `confirmed` holds ids of outbox rows to delete; they ride along with whatever is committed next.
    """

    def __init__(self, engine: Engine, outbox: Table, committed: Callable[[Commit], None]) -> None:
        self.confirmed: deque[str] = deque()
        self._engine = engine
        self._committed = committed
        self._inbox: SimpleQueue[Change | None] = SimpleQueue()
        self._insert = insert(outbox).on_conflict_do_nothing()
        self._delete = delete(outbox).where(outbox.c.id == bindparam("confirmed_id"))
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Change) -> None:
        """Queue a change. Never blocks."""
        self._inbox.put(change)

    def close(self) -> None:
        """Commit what was submitted before, then end. Blocks until then."""
        self._inbox.put(None)
        self._thread.join()

    def _work(self) -> None:
        with self._engine.connect() as connection:
            is_last = False
            while not is_last:
                group, is_last = self._next_group()
                self._commit(connection, group)

    def _next_group(self) -> tuple[list[Change], bool]:
        """Waits for a change and takes all that are there; True with it when the end was asked for."""
        group: list[Change] = []
        change = self._inbox.get()
        while change is not None:
            if not change.future.cancelled():
                group.append(change)
            if len(group) >= GROUP_CHANGES_MAX:
                return group, False
            try:
                change = self._inbox.get_nowait()
            except Empty:
                return group, False
        return group, True

    def _commit(self, connection: Connection, group: Sequence[Change]) -> None:
        try:
            commit = self._commit_together(connection, group)
        except (_GivenUp, DBAPIError) as error:
            if len(group) > 1:
                for change in group:
                    self._commit(connection, [change])
                return
            cause = error.cause if isinstance(error, _GivenUp) else error
            commit = Commit([Outcome(change, error=meaning(cause) or cause) for change in group])
        self._committed(commit)

    def _commit_together(self, connection: Connection, group: Sequence[Change]) -> Commit:
        commit = Commit()
        confirmed = self._take_confirmed()
        try:
            with connection.begin():
                for change in group:
                    self._run(connection, change, commit)
                # Deleted before the insert: an id that was confirmed and is sent again stays in the outbox.
                if confirmed:
                    connection.execute(self._delete, [{"confirmed_id": id} for id in confirmed])
                if commit.messages:
                    connection.execute(self._insert, [_row(message) for message in commit.messages])
        except BaseException:
            self.confirmed.extendleft(reversed(confirmed))
            raise
        return commit

    def _run(self, connection: Connection, change: Change, commit: Commit) -> None:
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        # Written to the driver: through SQLAlchemy a savepoint costs ten times these 4 us, and every change pays it.
        driver.execute("SAVEPOINT change")
        transaction = OpenTransaction(connection)
        try:
            result = change.run(transaction)
        except BaseException as error:
            if not driver.in_transaction:
                raise _GivenUp(error) from error
            driver.execute("ROLLBACK TO change")
            commit.outcomes.append(Outcome(change, error=meaning(error) or error))
        else:
            commit.outcomes.append(Outcome(change, result))
            commit.messages.extend(transaction.messages)
        driver.execute("RELEASE change")

    def _take_confirmed(self) -> list[str]:
        count = min(len(self.confirmed), CONFIRMATIONS_PER_COMMIT_MAX)
        return [self.confirmed.popleft() for _ in range(count)]


def _row(message: Message) -> dict[str, Any]:
    return {"topic": message.topic, "key": message.key, "id": message.id, "payload": message.payload}
