"""What the operator says of mail, channels and templates. Read and checked when the process starts."""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from sailplane_core.errors import InvalidRequest
from sailplane_core.message_templates import Template, link_problem, template_problem

if TYPE_CHECKING:
    from email.headerregistry import Address

CHANNEL_KINDS = ("slack", "pager_duty", "webhook")
TLS_MODES = ("none", "starttls", "tls")
SECRET_CHARS_MIN = 16
"""A signature is worth no more than what it takes to guess its key."""
SEND_TIMEOUT_S_MAX = 60.0
"""What the port promises."""
PAGER_DUTY_URL = "https://events.pagerduty.com/v2/enqueue"
DEFAULT_TEMPLATE = "default"
"""A template of this name is taken where none is asked for."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    """Mail, channels, templates and links."""

    smtp_host: str = ""
    """The mail server. "" for none: then mails are given up at once."""

    smtp_port: int = 587
    """Where it takes mail: 587 and 465 (with `tls`) from those who log in, 25 from other servers."""

    smtp_tls: str = "starttls"
    """`starttls` and `tls` (from the first byte) verify the server's certificate; `none` sends in the clear."""

    smtp_ca_file: str = ""
    """Certificates (PEM) of authorities that the server's certificate may be from. "" for those of the system."""

    smtp_user: str = ""
    """Who logs in. "" for nobody."""

    smtp_password_file: str = ""
    """Holds the password; a line break at its end is not part of it."""

    sender: str = ""
    """The address that mails are from. Needed with a mail server."""

    file: str = ""
    """A JSON file with `channels` and `templates`. It holds secrets: nobody else should be able to read it."""

    link_template: str = ""
    """Where people look at an execution: a URL with `{project}`, `{domain}` and `{name}`. "" for none."""

    send_timeout_s: float = 30.0
    """How long one try may take in all, in seconds."""

    def __post_init__(self) -> None:
        """Raises `InvalidRequest` for what may not be."""
        problems: list[str] = []
        if self.smtp_tls not in TLS_MODES:
            problems.append(f"invalid value for smtp_tls: must be one of {', '.join(TLS_MODES)}")
        if self.smtp_tls == "none" and self.smtp_user:
            problems.append("invalid value for smtp_user: nobody logs in without TLS")
        if not 0 < self.send_timeout_s <= SEND_TIMEOUT_S_MAX:
            problems.append(f"invalid value for send_timeout_s: must be above 0 and at most {SEND_TIMEOUT_S_MAX}")
        if bool(self.smtp_user) != bool(self.smtp_password_file):
            problems.append("invalid value for smtp_user: goes together with smtp_password_file")
        if self.smtp_host and not self.sender:
            problems.append("missing sender: mails need an address that they are from")
        if self.sender and mailbox(self.sender) is None:
            problems.append("invalid value for sender: must be a mail address")
        if problem := link_problem(self.link_template):
            problems.append(f"invalid value for link_template: {problem}")
        if problems:
            raise InvalidRequest(*problems)


@dataclass(frozen=True, slots=True)
class Channel:
    """Somebody to tell by HTTP. `secret` is PagerDuty's routing key, or what a webhook is signed with."""

    kind: Literal["slack", "pager_duty", "webhook"]
    url: str = field(repr=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Configured:
    """Channels and templates by their names; the one for all others is among them."""

    channels: Mapping[str, Channel]
    templates: Mapping[str, Template]


def mailbox(text: str) -> "Address | None":
    """The mail address that a text is, with or without a name before it; None if it is none."""
    # here, because the standard library's parser of mails takes long to load
    from email.errors import NonASCIILocalPartDefect
    from email.headerregistry import HeaderRegistry

    if not text.isprintable():
        return None
    try:
        header = cast("Any", HeaderRegistry()("To", text))
    except Exception:  # on texts that are no addresses CPython's parser stumbles in many ways: IndexError, recursion
        return None
    found = cast("tuple[Address, ...]", header.addresses)
    is_sound = all(isinstance(defect, NonASCIILocalPartDefect) for defect in header.defects)
    if len(found) != 1 or not is_sound or header.groups[0].display_name is not None:
        return None
    return found[0] if found[0].username and found[0].domain else None


def read_file(path: str) -> Configured:
    """The channels and templates of a file; none without one.

    Raises `InvalidRequest` that names the file and each faulty field, and never the value of one.
    """
    configured: dict[str, object] = {}
    if path:
        try:
            configured = _object(json.loads(Path(path).read_text()), "the file")
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"{path} cannot be read: {error}") from error
    problems = [f"{name} is no setting" for name in sorted(configured.keys() - {"channels", "templates"})]
    channels, templates = (_section(configured, name, problems) for name in ("channels", "templates"))
    found = Configured(
        {name: _channel(f"channels.{name}", given, problems) for name, given in channels.items()},
        {DEFAULT_TEMPLATE: Template()}
        | {name: _template(f"templates.{name}", given, problems) for name, given in templates.items()},
    )
    if problems:
        raise InvalidRequest(*(f"{path}: {problem}" for problem in problems))
    return found


def read_secret(path: str) -> str:
    """The text of a file, without the line break at its end. Raises `InvalidRequest`."""
    try:
        return Path(path).read_text().rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from error


def read_tls(settings: NotificationSettings) -> ssl.SSLContext | None:
    """What the mail server's certificate is verified with; None without TLS. Raises `InvalidRequest`."""
    if settings.smtp_tls == "none":
        return None
    try:
        return ssl.create_default_context(cafile=settings.smtp_ca_file or None)
    except OSError as error:
        raise InvalidRequest(f"{settings.smtp_ca_file} cannot be read: {error}") from error


def _object(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a JSON object")
    return cast("dict[str, object]", value)


def _section(configured: Mapping[str, object], name: str, problems: list[str]) -> dict[str, dict[str, str]]:
    """Named groups of texts."""
    found: dict[str, dict[str, str]] = {}
    try:
        for key, value in _object(configured.get(name, {}), name).items():
            if not _NAME.fullmatch(key):
                problems.append(f"{name}.{key}: a name has up to 64 of a-z, 0-9, '_', '.' and '-'")
            texts = _object(value, f"{name}.{key}")
            if not all(isinstance(text, str) for text in texts.values()):
                raise ValueError(f"{name}.{key}: all values must be texts")
            found[key] = cast("dict[str, str]", texts)
    except ValueError as error:
        problems.append(str(error))
    return found


def _channel(at: str, given: Mapping[str, str], problems: list[str]) -> Channel:
    kind = given.get("kind", "")
    secret_name = {"slack": "", "pager_duty": "routing_key", "webhook": "secret"}.get(kind)
    if secret_name is None:
        problems.append(f"{at}.kind: must be one of {', '.join(CHANNEL_KINDS)}")
        return Channel("webhook", "")
    known = {"kind", "url", "allow_http", secret_name} - {""}
    problems += [f"{at}.{name} is no setting of this kind" for name in sorted(given.keys() - known)]
    if given.get("allow_http", "false") not in ("true", "false"):
        problems.append(f'{at}.allow_http: must be "true" or "false"')
    url = given.get("url", PAGER_DUTY_URL if kind == "pager_duty" else "")
    if problem := _url_problem(url, allow_http=given.get("allow_http") == "true"):
        problems.append(f"{at}.url: {problem}")
    secret = given.get(secret_name, "")
    if secret_name and len(secret) < SECRET_CHARS_MIN:
        problems.append(f"{at}.{secret_name}: must have at least {SECRET_CHARS_MIN} characters")
    return Channel(cast("Literal['slack', 'pager_duty', 'webhook']", kind), url, secret)


def _url_problem(url: str, *, allow_http: bool) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is no number raises
    except ValueError:
        return "is no URL"
    if parts.scheme == "http" and not allow_http:
        return 'must begin with https://, unless the channel says "allow_http": "true"'
    if parts.scheme not in ("https", "http") or not host:
        return "must begin with https:// and a host"
    return ""


def _template(at: str, given: Mapping[str, str], problems: list[str]) -> Template:
    known = {one.name for one in fields(Template)}
    problems += [f"{at}.{name} is no setting" for name in sorted(given.keys() - known)]
    for name in sorted(known & given.keys()):
        if problem := template_problem(given[name]):
            problems.append(f"{at}.{name}: {problem}")
    return Template(**{name: text for name, text in given.items() if name in known})
