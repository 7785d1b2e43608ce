"""What operators write about mail and channels is checked when the process starts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.errors import InvalidRequest
from sailplane_runtime.clock import ManualClock
from sailplane_runtime.notifiers.router import Notifiers
from sailplane_runtime.notifiers.settings import NotificationSettings, mailbox
from sailplane_runtime.settings import read

SECRET = "0123456789abcdef"
HOOK = {"kind": "webhook", "url": "https://x.org/hook", "secret": SECRET}


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"SMTP_HOST": "mail.x.org"}, "missing sender"),
        ({"SENDER": "nobody"}, "invalid value for sender"),
        ({"SMTP_TLS": "ssl"}, "invalid value for smtp_tls: must be one of none, starttls, tls"),
        ({"SMTP_USER": "u", "SMTP_PASSWORD_FILE": "f", "SMTP_TLS": "none"}, "invalid value for smtp_user: nobody logs"),
        ({"SMTP_USER": "u"}, "invalid value for smtp_user: goes together with smtp_password_file"),
        ({"SEND_TIMEOUT_S": "61"}, "invalid value for send_timeout_s"),
        ({"SEND_TIMEOUT_S": "0"}, "invalid value for send_timeout_s"),
        ({"LINK_TEMPLATE": "x.org"}, "invalid value for link_template: must begin with http"),
        ({"SMTP_PORT": "no"}, "SAILPLANE_NOTIFICATIONS_SMTP_PORT"),
        ({"CHANNEL": "x"}, "SAILPLANE_NOTIFICATIONS_CHANNEL is no setting"),
    ],
)
def test_settings_that_cannot_be_are_refused(variables: dict[str, str], problem: str) -> None:
    environ = {f"SAILPLANE_NOTIFICATIONS_{name}": value for name, value in variables.items()}
    with pytest.raises(InvalidRequest) as raised:
        read(NotificationSettings, "notifications", environ)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("configured", "problem"),
    [
        ([], "the file must be a JSON object"),
        ({"channel": {}}, "channel is no setting"),
        ({"channels": []}, "channels must be a JSON object"),
        ({"channels": {"a": "https://x.org"}}, "channels.a must be a JSON object"),
        ({"channels": {"A b": HOOK}}, "channels.A b: a name has up to 64"),
        ({"channels": {"a": {**HOOK, "secret": 5}}}, "channels.a: all values must be texts"),
        ({"channels": {"a": {**HOOK, "kind": "teams"}}}, "channels.a.kind: must be one of slack, pager_duty, webhook"),
        ({"channels": {"a": {**HOOK, "url": "http://x.org"}}}, "channels.a.url: must begin with https://, unless"),
        ({"channels": {"a": {**HOOK, "url": "https://"}}}, "channels.a.url: must begin with https:// and a host"),
        ({"channels": {"a": {**HOOK, "url": "https://x:y/"}}}, "channels.a.url: is no URL"),
        ({"channels": {"a": {**HOOK, "url": "file:///etc/passwd"}}}, "channels.a.url: must begin with https://"),
        ({"channels": {"a": {**HOOK, "secret": "short"}}}, "channels.a.secret: must have at least 16"),
        ({"channels": {"a": {**HOOK, "routing_key": "x"}}}, "channels.a.routing_key is no setting of this kind"),
        ({"channels": {"a": {**HOOK, "allow_http": "yes"}}}, "channels.a.allow_http"),
        ({"channels": {"a": {"kind": "pager_duty"}}}, "channels.a.routing_key: must have at least 16"),
        ({"templates": {"a": {"body": "x"}}}, "templates.a.body is no setting"),
        ({"templates": {"a": {"html": "{{ inputs.x }}"}}}, "templates.a.html: unknown variables: inputs.x"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_field(tmp_path: Path, configured: Any, problem: str) -> None:
    path = tmp_path / "notifications.json"
    path.write_text(json.dumps(configured))
    with pytest.raises(InvalidRequest) as raised:
        Notifiers(NotificationSettings(file=str(path)), ManualClock())
    assert problem in str(raised.value)
    assert str(path) in str(raised.value)
    assert SECRET not in str(raised.value)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    for name in ("file", "smtp_ca_file", "smtp_password_file"):
        more = {"smtp_user": "u"} if name == "smtp_password_file" else {}
        with pytest.raises(InvalidRequest, match=r"missing\.txt cannot be read"):
            Notifiers(NotificationSettings(**{name: str(tmp_path / "missing.txt")}, **more), ManualClock())
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InvalidRequest, match=r"bad\.json cannot be read"):
        Notifiers(NotificationSettings(file=str(tmp_path / "bad.json")), ManualClock())


def test_pager_duty_is_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notifications.json"
    path.write_text(json.dumps({"channels": {"a": {"kind": "pager_duty", "routing_key": SECRET}}}))
    notifier = Notifiers(NotificationSettings(file=str(path)), ManualClock())
    assert notifier.channels == {"a": "pager_duty"}
    assert SECRET not in repr(notifier._configured)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@x.org", "a@x.org"),
        ("Ann Other <a@x.org>", "a@x.org"),
        ("a+b@x.org", "a+b@x.org"),
        ("ä@ö.org", "ä@ö.org"),
        ("", None),
        ("a@x.org\r\nBcc: b@x.org", None),
        ("a@x <b@x>", None),
        ("group: a@x;", None),
        ("(" * 310 + "a@x", None),
        ("x" * 300, None),
        ("a", None),
        ("a@", None),
        ("@x", None),
        ("a@x, b@x", None),
    ],
)
def test_a_mail_address_is_one(text: str, address: str | None) -> None:
    found = mailbox(text)
    assert (None if found is None else found.addr_spec) == address


@given(st.text(st.sampled_from("ab@.,;:<>()[]\"\\ =?-ä'"), max_size=40))
def test_no_text_breaks_the_parser_of_addresses(text: str) -> None:
    found = mailbox(text)
    assert found is None or (found.username and found.domain)
