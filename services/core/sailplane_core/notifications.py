"""What an execution that has ended owes to whom, as Flyte's notifications say it and through channels of ours.

Email, PagerDuty's and Slack's addresses are all reached by mail, as in Flyte. A channel is something that the operator
has configured under a name.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sailplane_protos.admin import common_pb2

from .errors import InvalidRequest
from .ids import ExecutionId
from .phases import EXECUTION_TERMINAL

TARGETS_MAX = 100
"""Addresses and channels of one launch plan or execution together, each time that it is named."""

ADDRESS_CHARS_MAX = 320
"""What the longest mail address may have (RFC 3696, erratum 1690)."""


class Kind(StrEnum):
    """What a target is. The words are the schema's: the fields of `Notification`."""

    EMAIL = "email"
    PAGER_DUTY = "pager_duty"
    SLACK = "slack"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Owed:
    """One message to send: to `target`, an address or the name of a channel. `index` is of the notification it is of.

    `template` is the name of an operator's template, empty for the default one.
    """

    index: int
    kind: Kind
    target: str
    template: str

    def delivery_id(self, id: ExecutionId, created_at: datetime) -> str:
        """A name for the message of this execution, created then, that every try of it has. 32 hexadecimal digits."""
        facts = (str(id), created_at.isoformat(), str(self.index), self.kind, self.target)
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:32]


def route_of(kind: Kind, target: str) -> str:
    """The way a message takes. What goes one way fails together: all mail, or what goes through one channel."""
    return f"channel:{target}" if kind is Kind.CHANNEL else "mail"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message as it is handed to a `Notifier`. `values` are those of `message_templates.VARIABLES`, but `link`."""

    delivery_id: str
    kind: Kind
    target: str
    template: str
    ended_at: datetime
    values: Mapping[str, str]


class NotDelivered(Exception):
    """A message was not taken. `reason` is for the operator, and holds no secret.

    What is permanent is not tried again. Whoever refused it may have said when to come again: in `retry_after_s`.
    """

    def __init__(self, reason: str, *, is_permanent: bool = False, retry_after_s: float | None = None) -> None:
        self.reason, self.is_permanent, self.retry_after_s = reason, is_permanent, retry_after_s
        super().__init__(reason)


def owed(notifications: Sequence[common_pb2.Notification], phase: int) -> tuple[Owed, ...]:
    """What is to be sent now that the execution has ended in `phase`, in the order of its `notifications`.

    Each target once for a notification, even if it is named twice.
    """
    return tuple(
        Owed(index, kind, target, template)
        for index, notification in enumerate(notifications)
        if phase in notification.phases
        for kind, targets, template in _told(notification)
        for target in dict.fromkeys(targets)
    )


def problems(notifications: Sequence[common_pb2.Notification]) -> list[str]:
    """What is wrong with a list of them, with the field's name. Whether channels exist is asked of `unknown`."""
    found: list[str] = []
    for index, notification in enumerate(notifications):
        field = f"notifications[{index}]"
        told = _told(notification)
        if not told:
            found.append(f"missing {field}.type")
        for kind, targets, _ in told:
            found += _target_problems(f"{field}.{kind}.{_field_of(kind)}", targets)
        if not notification.phases:
            found.append(f"missing {field}.phases")
        elif not set(notification.phases) <= {phase.value for phase in EXECUTION_TERMINAL}:
            found.append(f"invalid value for {field}.phases: only terminal phases can be notified of")
    if sum(len(targets) for notification in notifications for _, targets, _ in _told(notification)) > TARGETS_MAX:
        found.append(f"invalid value for notifications: must not name more than {TARGETS_MAX} recipients together")
    return found


def unknown(
    notifications: Sequence[common_pb2.Notification], channels: Collection[str], templates: Collection[str]
) -> InvalidRequest | None:
    """Why a list cannot be taken that names channels or templates which there are not; None if it can."""
    found: list[str] = []
    for index, notification in enumerate(notifications):
        for kind, targets, template in _told(notification):
            field = f"notifications[{index}].{kind}"
            if kind is Kind.CHANNEL:
                missing = [target for target in dict.fromkeys(targets) if target not in channels]
                found += [f"invalid value for {field}.names: there is no channel [{name[:64]}]" for name in missing]
            if template and template not in templates:
                found.append(f"invalid value for {field}.template: there is no template [{template[:64]}]")
    return InvalidRequest(*found) if found else None


def _told(notification: common_pb2.Notification) -> list[tuple[Kind, Sequence[str], str]]:
    """The kind, the targets and the template of a notification, if it has a type."""
    match notification.WhichOneof("type"):
        case "email":
            return [(Kind.EMAIL, notification.email.recipients_email, notification.email.template)]
        case "pager_duty":
            return [(Kind.PAGER_DUTY, notification.pager_duty.recipients_email, notification.pager_duty.template)]
        case "slack":
            return [(Kind.SLACK, notification.slack.recipients_email, notification.slack.template)]
        case "channel":
            return [(Kind.CHANNEL, notification.channel.names, notification.channel.template)]
        case None:
            return []


def _field_of(kind: Kind) -> str:
    return "names" if kind is Kind.CHANNEL else "recipients"


def _target_problems(field: str, targets: Sequence[str]) -> list[str]:
    if not targets or not all(targets):
        return [f"missing {field}"]
    if not all(target.isprintable() for target in targets):
        return [f"invalid value for {field}: must not contain control characters"]
    if max(map(len, targets)) > ADDRESS_CHARS_MAX:
        return [f"invalid value for {field}: must not be longer than {ADDRESS_CHARS_MAX} characters"]
    return []
