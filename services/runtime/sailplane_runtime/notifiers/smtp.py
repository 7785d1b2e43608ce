"""Mail. One connection for each message, so that a server that is away for a moment spoils nothing else."""

from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib
from sailplane_core import message_templates
from sailplane_core.message_templates import Template
from sailplane_core.notifications import NotDelivered, Notice

from .settings import NotificationSettings, mailbox, read_tls

REFUSED_CODES = range(500, 600)


class Mailer:
    """Hands mails to a server. `password` is None where nobody logs in."""

    def __init__(self, settings: NotificationSettings, password: str | None) -> None:
        self._settings, self._password, self._tls = settings, password, read_tls(settings)

    async def send(self, notice: Notice, template: Template, values: dict[str, str]) -> None:
        """Return once the server has taken the mail. Raises `NotDelivered` when it has not."""
        message = self._message(notice, template, values)
        client = aiosmtplib.SMTP(
            hostname=self._settings.smtp_host,
            port=self._settings.smtp_port,
            username=self._settings.smtp_user or None,
            password=self._password,
            use_tls=self._settings.smtp_tls == "tls",
            start_tls=self._settings.smtp_tls == "starttls",
            tls_context=self._tls,
            timeout=self._settings.send_timeout_s,
        )
        try:
            await client.connect()
            await client.send_message(message)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered(_reason(error), is_permanent=_is_permanent(error)) from error
        finally:
            client.close()

    def _message(self, notice: Notice, template: Template, values: dict[str, str]) -> EmailMessage:
        to, sender = mailbox(notice.target), mailbox(self._settings.sender)
        if to is None or sender is None:
            raise NotDelivered("the recipient is no mail address", is_permanent=True)
        message = EmailMessage(SMTP_POLICY)
        message["From"] = sender
        message["To"] = to
        message["Subject"] = message_templates.subject(template.subject, values)
        message["Date"] = format_datetime(notice.ended_at)
        message["Message-ID"] = f"<{notice.delivery_id}@sailplane.{sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"  # so that nobody's absence is reported to us (RFC 3834)
        message.set_content(message_templates.plain_text(template.text, values))
        message.add_alternative(message_templates.mail_html(template.html, values), subtype="html")
        return message


def _is_permanent(error: Exception) -> bool:
    """Whether the server refused this very mail. What is wrong with logins or certificates, operators can mend."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return all(one.code in REFUSED_CODES for one in error.recipients)
        case aiosmtplib.SMTPDataError():
            return error.code in REFUSED_CODES
        case _:
            return isinstance(error, aiosmtplib.SMTPNotSupported | ValueError) and not isinstance(error, OSError)


def _reason(error: Exception) -> str:
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return "; ".join(f"{one.code} {message_templates.one_line(one.message)}" for one in error.recipients)
    return message_templates.one_line(f"{type(error).__name__}: {error}")
