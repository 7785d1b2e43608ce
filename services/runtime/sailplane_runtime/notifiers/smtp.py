"""Mail. One connection for each message, so that a server that is away for a moment spoils nothing else."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib
from sailplane_core import message_templates
from sailplane_core.message_templates import Template
from sailplane_core.notifications import NotDelivered, Notice

from .settings import NotificationSettings, mailbox, read_tls

POLICY = SMTP_POLICY.clone(max_line_length=998, cte_type="7bit")
"""Lines as long as SMTP allows: a subject that is folded before its first word begins with a space in many programs.
Seven bits, so that the server need not say that it takes eight."""
REFUSED_CODES = range(500, 600)


class Mailer:
    """Hands mails to a server. `password` is None where nobody logs in."""

    def __init__(self, settings: NotificationSettings, password: str | None) -> None:
        self._settings, self._password, self._tls = settings, password, read_tls(settings)

    async def send(self, notice: Notice, template: Template, values: dict[str, str]) -> None:
        """Return once the server has taken the mail. Raises `NotDelivered` when it has not."""
        to, sender = mailbox(notice.target), mailbox(self._settings.sender)
        if to is None or sender is None:
            raise NotDelivered("the recipient is no mail address", is_permanent=True)
        message = _message(sender, to, notice, template, values)
        is_international = not (to.addr_spec.isascii() and sender.addr_spec.isascii())
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
            if is_international and not client.supports_extension("smtputf8"):
                raise NotDelivered("the mail server takes only addresses in ASCII", is_permanent=True)
            data = message.as_bytes(policy=POLICY.clone(utf8=is_international))
            options = ["SMTPUTF8"] if is_international else []
            await client.sendmail(sender.addr_spec, [to.addr_spec], data, mail_options=options)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotDelivered(_reason(error), is_permanent=_is_permanent(error)) from error
        finally:
            client.close()


def _message(sender: Address, to: Address, notice: Notice, template: Template, values: dict[str, str]) -> EmailMessage:
    message = EmailMessage(POLICY)
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
