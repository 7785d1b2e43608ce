"""The Store port: one transaction, versions checked, outbox in the same commit.

Changes and queries are plain functions of an open transaction. The event loop may be waiting for them, so they must be
short and wait for nothing but the database. Either may be run again from its start when the database asks for it:
whatever a change does outside the transaction would happen twice. What should happen outside is sent to the outbox, and
carried out by a listener after the commit.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sailplane_core.ports import Message
from sqlalchemy import Connection

T = TypeVar("T")


class Transaction(Protocol):
    """An open write transaction."""

    @property
    def connection(self) -> Connection:
        """Executes SQLAlchemy Core statements. Never commit or roll back on it."""
        ...

    def send(self, message: Message) -> None:
        """Put a message into the outbox, to be handed to the commit listener of its topic after this commit."""
        ...


class Store(Protocol):
    """A service's own tables."""

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query in a read-only transaction, on one snapshot that has every commit `write` returned from."""
        ...

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Run a change and commit it, whole or not at all; concurrent changes may share one commit.

        Whatever `change` raises rolls back this change alone and is raised here. Unique violations surface as
        `sqlalchemy.exc.IntegrityError`; an unreachable database as `Unavailable`; a full disk as `LimitReached`.
        """
        ...

    def listen(self, topic: str, listener: Callable[[Sequence[Message]], None]) -> None:
        """Call `listener`, on the event loop, with each commit's messages of `topic`, in commit order."""
        ...

    async def pending(self, topic: str, key: str | None = None) -> Sequence[Message]:
        """Outbox messages not yet confirmed, oldest first, of one key or of all; read at start, to recover."""
        ...

    async def confirm(self, ids: Sequence[str]) -> None:
        """Delete outbox rows whose effect is committed elsewhere; batched behind the scenes, unknown ids are fine."""
        ...
