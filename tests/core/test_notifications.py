"""What ended executions owe, and which notifications are taken."""

from datetime import UTC, datetime, timedelta

import pytest
from sailplane_core import notifications
from sailplane_core.ids import ExecutionId
from sailplane_core.notifications import Kind, Owed
from sailplane_protos.admin import common_pb2
from sailplane_protos.core import execution_pb2
from sailplane_protos.notification import channel_pb2

Phase = execution_pb2.WorkflowExecution
MAIL = "a@x.org"
EMAIL = common_pb2.Notification(
    phases=[Phase.SUCCEEDED, Phase.FAILED],
    email=common_pb2.EmailNotification(recipients_email=[MAIL, "b@x.org", MAIL], template="short"),
)
PAGE = common_pb2.Notification(
    phases=[Phase.FAILED], pager_duty=common_pb2.PagerDutyNotification(recipients_email=["p@x.org"])
)
SLACK = common_pb2.Notification(
    phases=[Phase.ABORTED], slack=common_pb2.SlackNotification(recipients_email=["s@x.org"])
)
CHANNEL = common_pb2.Notification(
    phases=[Phase.FAILED], channel=channel_pb2.ChannelNotification(names=["oncall", "audit"], template="page")
)
LISTED = [EMAIL, PAGE, SLACK, CHANNEL]
MAILED = (Owed(0, Kind.EMAIL, MAIL, "short"), Owed(0, Kind.EMAIL, "b@x.org", "short"))


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (Phase.SUCCEEDED, MAILED),
        (
            Phase.FAILED,
            (
                *MAILED,
                Owed(1, Kind.PAGER_DUTY, "p@x.org", ""),
                Owed(3, Kind.CHANNEL, "oncall", "page"),
                Owed(3, Kind.CHANNEL, "audit", "page"),
            ),
        ),
        (Phase.ABORTED, (Owed(2, Kind.SLACK, "s@x.org", ""),)),
        (Phase.TIMED_OUT, ()),
    ],
)
def test_an_ended_execution_owes_what_names_its_phase(phase: int, expected: tuple[Owed, ...]) -> None:
    assert notifications.owed(LISTED, phase) == expected


def test_a_message_has_an_id_of_its_own() -> None:
    id, at = ExecutionId("p", "d", "x"), datetime(2026, 1, 1, tzinfo=UTC)
    one = Owed(0, Kind.EMAIL, MAIL, "")
    others = [
        Owed(1, Kind.EMAIL, MAIL, "").delivery_id(id, at),
        Owed(0, Kind.SLACK, MAIL, "").delivery_id(id, at),
        Owed(0, Kind.EMAIL, "b@x.org", "").delivery_id(id, at),
        one.delivery_id(ExecutionId("p", "d", "y"), at),
        one.delivery_id(id, at + timedelta(microseconds=1)),  # the name was deleted, and is used again
    ]
    assert one.delivery_id(id, at) == one.delivery_id(id, at)
    assert len({one.delivery_id(id, at), *others}) == 6


def test_all_mail_goes_one_way_and_every_channel_its_own() -> None:
    failed = notifications.owed(LISTED, Phase.FAILED)
    assert [notifications.route_of(one.kind, one.target) for one in failed] == [
        "mail",
        "mail",
        "mail",
        "channel:oncall",
        "channel:audit",
    ]


def channel(*names: str) -> common_pb2.Notification:
    return common_pb2.Notification(phases=[Phase.FAILED], channel=channel_pb2.ChannelNotification(names=names))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (channel(), "missing notifications[0].channel.names"),
        (channel("a", ""), "missing notifications[0].channel.names"),
        (channel("a\nb"), "invalid value for notifications[0].channel.names: must not contain control characters"),
        (channel("a" * 321), "invalid value for notifications[0].channel.names: must not be longer than 320"),
        (channel(*(str(n) for n in range(101))), "invalid value for notifications: must not name more than 100"),
    ],
)
def test_what_cannot_be_told_is_refused(given: common_pb2.Notification, problem: str) -> None:
    [found] = notifications.problems([given])
    assert found.startswith(problem)


def test_what_can_be_told_is_taken() -> None:
    assert notifications.problems([*LISTED, channel(*(str(n) for n in range(93)))]) == []
    assert notifications.unknown(LISTED, ["audit", "oncall"], ["short", "page"]) is None


def test_names_of_nothing_are_refused_with_their_fields() -> None:
    error = notifications.unknown(LISTED, ["audit"], ["page"])
    assert error is not None
    assert error.problems == (
        "invalid value for notifications[0].email.template: there is no template [short]",
        "invalid value for notifications[3].channel.names: there is no channel [oncall]",
    )
