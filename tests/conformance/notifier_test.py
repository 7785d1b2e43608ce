"""The Notifier port: mail and channels against a real mail server and a real receiver."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from conformance import notifier_servers as servers
from conformance.notifier_servers import MailServer, Receiver
from sailplane_core.notifications import Kind, NotDelivered, Notice
from sailplane_runtime.clock import EPOCH_OF_TESTS, ManualClock
from sailplane_runtime.notifiers.router import Notifiers
from sailplane_runtime.notifiers.settings import NotificationSettings

SECRET = "a secret of the webhook"
KEY = "r" * 32
VERSION = {"project": "p", "domain": "d", "name": "w", "version": "v1"}
NOTICE = Notice(
    "0123456789abcdef0123456789abcdef",
    Kind.EMAIL,
    "Ann <a@x.org>",
    "",
    EPOCH_OF_TESTS,
    {"project": "p", "domain": "d", "name": "e1", "phase": "FAILED", "error": "1 < 2 & <script>\r\nBcc: c@d.org"}
    | {f"{entity}.{part}": text for entity in ("workflow", "launch_plan") for part, text in VERSION.items()},
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(params=["none", "starttls", "tls"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def mail_server(mode: str, authority: trustme.CA) -> AsyncIterator[MailServer]:
    server = await MailServer(mode, authority).start()
    yield server
    await server.stop()


@pytest.fixture
def settings(mode: str, authority: trustme.CA, mail_server: MailServer, tmp_path: Path) -> NotificationSettings:
    """Of mail."""
    password, authorities = tmp_path / "password", tmp_path / "authorities.pem"
    password.write_text(servers.PASSWORD + "\n")
    authority.cert_pem.write_to_path(str(authorities))
    logged_in: dict[str, Any] = {"smtp_user": servers.USER, "smtp_password_file": str(password)}
    return NotificationSettings(
        smtp_host=servers.HOST,
        smtp_port=mail_server.port,
        smtp_tls=mode,
        smtp_ca_file=str(authorities),
        sender="Sailplane <sailplane@x.org>",
        link_template="https://x.org/{project}/{domain}/{name}",
        send_timeout_s=5,
        **({} if mode == "none" else logged_in),
    )


async def test_a_mail_arrives(settings: NotificationSettings, mail_server: MailServer, mode: str) -> None:
    await Notifiers(settings, ManualClock()).send(NOTICE)
    [mail] = mail_server.handler.taken
    assert mail.recipients == ["a@x.org"]
    assert mail.message["To"] == "Ann <a@x.org>"
    assert mail.message["From"] == "Sailplane <sailplane@x.org>"
    assert mail.message["Subject"] == "w failed: p/d/e1"
    assert mail.message["Message-ID"] == f"<{NOTICE.delivery_id}@sailplane.x.org>"
    assert "Bcc" not in mail.message
    html, text = mail.message.get_body(("html",)), mail.message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert "1 &lt; 2 &amp; &lt;script&gt;" in html.get_content()
    assert "1 < 2 & <script>" in text.get_content()
    assert "https://x.org/p/d/e1" in text.get_content()
    assert mail_server.handler.logins == (0 if mode == "none" else 1)


async def test_no_value_makes_a_header(settings: NotificationSettings, mail_server: MailServer, tmp_path: Path) -> None:
    path = tmp_path / "notifications.json"
    path.write_text(json.dumps({"templates": {"default": {"subject": "{{ error }}"}}}))
    await Notifiers(replace(settings, file=str(path)), ManualClock()).send(NOTICE)
    [mail] = mail_server.handler.taken
    assert mail.message["Subject"] == "1 < 2 & <script> Bcc: c@d.org"
    assert "Bcc" not in mail.message


@pytest.mark.parametrize(("refusal", "is_permanent"), [("550 no such user", True), ("451 come back later", False)])
async def test_a_recipient_is_refused_for_good_or_for_now(
    settings: NotificationSettings, mail_server: MailServer, refusal: str, is_permanent: bool
) -> None:
    mail_server.handler.refusal = refusal
    with pytest.raises(NotDelivered, match=refusal) as raised:
        await Notifiers(settings, ManualClock()).send(NOTICE)
    assert raised.value.is_permanent == is_permanent
    mail_server.handler.refusal = ""
    await Notifiers(settings, ManualClock()).send(NOTICE)
    assert len(mail_server.handler.taken) == 1


async def test_a_mail_server_that_hangs_is_left_in_time(
    settings: NotificationSettings, mail_server: MailServer
) -> None:
    mail_server.handler.hangs = True
    with pytest.raises(NotDelivered) as raised:
        await Notifiers(replace(settings, send_timeout_s=0.3), ManualClock()).send(NOTICE)
    assert not raised.value.is_permanent


async def test_a_mail_server_that_is_away_comes_back(settings: NotificationSettings, mail_server: MailServer) -> None:
    notifier = Notifiers(settings, ManualClock())
    await mail_server.stop()
    with pytest.raises(NotDelivered) as raised:
        await notifier.send(NOTICE)
    assert not raised.value.is_permanent
    await mail_server.start()
    await notifier.send(NOTICE)
    assert len(mail_server.handler.taken) == 1


@pytest.mark.parametrize("mode", ["starttls", "tls"], indirect=True)
async def test_a_certificate_of_nobody_is_not_trusted(settings: NotificationSettings, mail_server: MailServer) -> None:
    with pytest.raises(NotDelivered) as raised:
        await Notifiers(replace(settings, smtp_ca_file=""), ManualClock()).send(NOTICE)
    assert not raised.value.is_permanent
    assert (mail_server.handler.taken, mail_server.handler.logins) == ([], 0)


@pytest.mark.parametrize("mode", ["none"], indirect=True)
async def test_a_password_never_goes_to_a_server_without_tls(
    settings: NotificationSettings, mail_server: MailServer, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    asked = replace(settings, smtp_tls="starttls", smtp_user="u", smtp_password_file=str(password))
    with pytest.raises(NotDelivered):
        await Notifiers(asked, ManualClock()).send(NOTICE)
    assert mail_server.handler.logins == 0


@pytest.mark.parametrize("mode", ["tls"], indirect=True)
async def test_a_wrong_password_can_be_mended(settings: NotificationSettings, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong horse")
    with pytest.raises(NotDelivered) as raised:
        await Notifiers(settings, ManualClock()).send(NOTICE)
    assert not raised.value.is_permanent
    assert "wrong horse" not in raised.value.reason


@pytest.mark.parametrize("mode", ["none"], indirect=True)
@pytest.mark.parametrize("target", ["nobody", "a@x.org, b@x.org", "a@x.org\r\nRCPT TO:<b@x.org>", "@", "a b@x", "<>"])
async def test_what_is_no_address_is_given_up(
    settings: NotificationSettings, mail_server: MailServer, target: str
) -> None:
    with pytest.raises(NotDelivered) as raised:
        await Notifiers(settings, ManualClock()).send(replace(NOTICE, target=target))
    assert raised.value.is_permanent
    assert mail_server.handler.taken == []


async def test_without_a_mail_server_mails_are_given_up() -> None:
    with pytest.raises(NotDelivered, match="no mail server is configured") as raised:
        await Notifiers(NotificationSettings(), ManualClock()).send(NOTICE)
    assert raised.value.is_permanent


# Channels


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = await Receiver().start()
    yield receiver
    await receiver.stop()


@pytest.fixture
async def notifier(receiver: Receiver, tmp_path: Path) -> AsyncIterator[Notifiers]:
    """With a channel of each kind."""
    at = {"url": receiver.url, "allow_http": "true"}
    channels = {
        "slack": {"kind": "slack", **at},
        "pager_duty": {"kind": "pager_duty", "routing_key": KEY, **at},
        "webhook": {"kind": "webhook", "secret": SECRET, **at},
    }
    path = tmp_path / "notifications.json"
    path.write_text(json.dumps({"channels": channels, "templates": {"short": {"text": "{{ name }}: {{ error }}"}}}))
    made = Notifiers(
        NotificationSettings(file=str(path), link_template="https://x.org/{name}", send_timeout_s=5), ManualClock()
    )
    yield made
    await made.close()


def to(name: str, **more: Any) -> Notice:
    return replace(NOTICE, kind=Kind.CHANNEL, target=name, **more)


async def test_slack_gets_text_that_mentions_nobody(notifier: Notifiers, receiver: Receiver) -> None:
    await notifier.send(to("slack", template="short"))
    [post] = receiver.posts
    assert json.loads(post.body) == {"text": "e1: 1 &lt; 2 &amp; &lt;script&gt;\r\nBcc: c@d.org"}


async def test_pager_duty_gets_an_event_that_comes_once(notifier: Notifiers, receiver: Receiver) -> None:
    receiver.status = 202
    await notifier.send(to("pager_duty"))
    event = json.loads(receiver.posts[0].body)
    assert (event["routing_key"], event["event_action"], event["dedup_key"]) == (KEY, "trigger", NOTICE.delivery_id)
    assert event["payload"]["summary"] == "w failed: p/d/e1"
    assert (event["payload"]["severity"], event["payload"]["source"]) == ("error", "p/d/e1")
    assert event["links"] == [{"href": "https://x.org/e1", "text": "The execution"}]


async def test_a_webhook_is_signed(notifier: Notifiers, receiver: Receiver) -> None:
    await notifier.send(to("webhook"))
    [post] = receiver.posts
    timestamp = post.headers["Sailplane-Timestamp"]
    assert timestamp == str(int(EPOCH_OF_TESTS.timestamp()))
    expected = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + post.body, hashlib.sha256).hexdigest()
    assert post.headers["Sailplane-Signature"] == f"v1={expected}"
    assert post.headers["Sailplane-Delivery"] == NOTICE.delivery_id
    assert json.loads(post.body) == {
        "type": "execution.ended",
        "delivery": NOTICE.delivery_id,
        "ended_at": EPOCH_OF_TESTS.isoformat(),
        "execution": {"project": "p", "domain": "d", "name": "e1"},
        "phase": "FAILED",
        "error": NOTICE.values["error"],
        "workflow": VERSION,
        "launch_plan": VERSION,
        "link": "https://x.org/e1",
    }


@pytest.mark.parametrize("name", ["slack", "pager_duty", "webhook"])
@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [(400, True), (410, True), (401, False), (404, False), (408, False), (429, False), (500, False), (302, False)],
)
async def test_what_an_answer_means(
    notifier: Notifiers, receiver: Receiver, name: str, status: int, is_permanent: bool
) -> None:
    receiver.status, receiver.answer = status, f"not\nfor {receiver.url} and {KEY}"
    receiver.headers = {"Location": receiver.url} if status == 302 else {}
    with pytest.raises(NotDelivered, match=f"^answered {status}: not for ") as raised:
        await notifier.send(to(name))
    assert (raised.value.is_permanent, raised.value.retry_after_s) == (is_permanent, None)
    assert len(receiver.posts) == 1, "redirects are not followed"
    assert "XsecretX" not in raised.value.reason
    assert name != "pager_duty" or KEY not in raised.value.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120.0),
        ("99999999", 3600.0),
        ("Tue, 01 Jan 2030 00:02:00 GMT", 120.0),
        ("Mon, 01 Jan 1990 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
    ],
)
async def test_who_is_busy_says_until_when(
    notifier: Notifiers, receiver: Receiver, text: str, expected: float | None
) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": text}
    with pytest.raises(NotDelivered) as raised:
        await notifier.send(to("webhook"))
    assert raised.value.retry_after_s == expected


async def test_a_receiver_that_hangs_is_left_in_time(receiver: Receiver, notifier: Notifiers) -> None:
    receiver.hangs = True
    impatient = Notifiers(replace(notifier._settings, send_timeout_s=0.3), ManualClock())
    with pytest.raises(NotDelivered, match="no answer") as raised:
        await impatient.send(to("webhook"))
    assert not raised.value.is_permanent
    await impatient.close()


async def test_a_receiver_that_was_away_comes_back(receiver: Receiver, notifier: Notifiers) -> None:
    await receiver.stop()
    with pytest.raises(NotDelivered) as raised:
        await notifier.send(to("slack"))
    assert not raised.value.is_permanent
    assert "XsecretX" not in raised.value.reason
    await receiver.start()
    await notifier.send(to("slack"))
    assert len(receiver.posts) == 1


async def test_a_channel_that_is_not_there_is_given_up(notifier: Notifiers) -> None:
    with pytest.raises(NotDelivered, match="there is no channel none") as raised:
        await notifier.send(to("none"))
    assert raised.value.is_permanent
    assert notifier.channels == {"slack": "slack", "pager_duty": "pager_duty", "webhook": "webhook"}
    assert sorted(notifier.templates) == ["default", "short"]


async def test_a_long_answer_is_not_read_to_its_end(notifier: Notifiers, receiver: Receiver) -> None:
    receiver.status, receiver.answer = 500, "x" * 10_000_000
    with pytest.raises(NotDelivered) as raised:
        await notifier.send(to("webhook"))
    assert len(raised.value.reason) <= 200


async def test_ends_long_past_are_told_with_their_own_time(notifier: Notifiers, receiver: Receiver) -> None:
    ended_at = EPOCH_OF_TESTS - timedelta(hours=3)
    await notifier.send(to("webhook", ended_at=ended_at))
    assert json.loads(receiver.posts[0].body)["ended_at"] == ended_at.isoformat()
