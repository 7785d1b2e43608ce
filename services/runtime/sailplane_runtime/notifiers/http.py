"""Channels: what an operator's URLs are sent, and what their answers mean.

A generic webhook is signed: `Sailplane-Signature` is `v1=` and the HMAC-SHA256, in hex, of the time in
`Sailplane-Timestamp`, a full stop, and the body, with the channel's secret as the key.
"""

import hashlib
import hmac
import json
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from sailplane_core import message_templates
from sailplane_core.message_templates import Template
from sailplane_core.notifications import NotDelivered, Notice
from sailplane_core.ports import Clock

from .settings import Channel

USER_AGENT = "Sailplane"
REFUSED = (400, 410, 413, 422)
"""Answers to the message itself. Others, an operator may mend on either side before the message is given up."""
ANSWER_BYTES_MAX = 4096
ANSWER_CHARS_MAX = 200
RETRY_AFTER_S_MAX = 3600.0
"""Who asks for more is asked again all the same."""
PAGER_DUTY_SUMMARY_CHARS_MAX = 1024
_SEVERITIES = {"SUCCEEDED": "info", "ABORTED": "warning"}


class Poster:
    """Posts messages to channels, over connections that it keeps."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock = clock
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
        )

    async def send(self, notice: Notice, channel: Channel, template: Template, values: dict[str, str]) -> None:
        """Return once the other side has said that it has the message. Raises `NotDelivered` when it has not."""
        body = json.dumps(_BODIES[channel.kind](notice, channel, template, values)).encode()
        headers = {"Content-Type": "application/json"}
        if channel.kind == "webhook":
            headers |= self._signed(notice, channel, body)
        try:
            async with self._session.post(channel.url, data=body, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    raise await self._refused(answer, channel)
        except TimeoutError as error:
            raise NotDelivered("no answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NotDelivered(_hide(f"{type(error).__name__}: {error}", channel)) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _signed(self, notice: Notice, channel: Channel, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        signature = hmac.new(channel.secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        return {
            "Sailplane-Delivery": notice.delivery_id,
            "Sailplane-Timestamp": timestamp,
            "Sailplane-Signature": f"v1={signature}",
        }

    async def _refused(self, answer: aiohttp.ClientResponse, channel: Channel) -> NotDelivered:
        said = (await answer.content.read(ANSWER_BYTES_MAX)).decode(errors="replace")
        reason = f"answered {answer.status}: {said}" if said else f"answered {answer.status}"
        return NotDelivered(
            _hide(reason, channel)[:ANSWER_CHARS_MAX],
            is_permanent=answer.status in REFUSED,
            retry_after_s=self._retry_after_s(answer.headers.get("Retry-After", "")),
        )

    def _retry_after_s(self, text: str) -> float | None:
        """Seconds, or a date (RFC 9110, 10.2.3); None for anything else."""
        if text.isascii() and text.isdigit():
            return min(float(text[:10]), RETRY_AFTER_S_MAX)
        try:
            wait_s = (parsedate_to_datetime(text) - self._clock.now()).total_seconds()
        except (ValueError, TypeError):
            return None
        return min(max(wait_s, 0.0), RETRY_AFTER_S_MAX)


def _hide(text: str, channel: Channel) -> str:
    """A text without what only the operator knows, in one line. Slack's whole URL is a secret."""
    for secret in (channel.url, channel.url.partition("://")[2].partition("/")[2], channel.secret):
        if secret:
            text = text.replace(secret, "***")
    return message_templates.one_line(text)


def _slack(notice: Notice, channel: Channel, template: Template, values: dict[str, str]) -> dict[str, Any]:
    return {"text": message_templates.slack_text(template.text, values)}


def _pager_duty(notice: Notice, channel: Channel, template: Template, values: dict[str, str]) -> dict[str, Any]:
    event: dict[str, Any] = {
        "routing_key": channel.secret,
        "event_action": "trigger",
        "dedup_key": notice.delivery_id,
        "client": USER_AGENT,
        "payload": {
            "summary": message_templates.subject(template.subject, values)[:PAGER_DUTY_SUMMARY_CHARS_MAX],
            "source": "/".join(values[name] for name in ("project", "domain", "name")),
            "severity": _SEVERITIES.get(values["phase"], "error"),
            "timestamp": notice.ended_at.isoformat(),
            "component": values["workflow.name"],
            "custom_details": {"text": message_templates.plain_text(template.text, values)},
        },
    }
    if values["link"]:
        event["links"] = [{"href": values["link"], "text": "The execution"}]
    return event


def _webhook(notice: Notice, channel: Channel, template: Template, values: dict[str, str]) -> dict[str, Any]:
    def version(entity: str) -> dict[str, str]:
        return {part: values[f"{entity}.{part}"] for part in ("project", "domain", "name", "version")}

    return {
        "type": "execution.ended",
        "delivery": notice.delivery_id,
        "ended_at": notice.ended_at.isoformat(),
        "execution": {name: values[name] for name in ("project", "domain", "name")},
        "phase": values["phase"],
        "error": values["error"],
        "workflow": version("workflow"),
        "launch_plan": version("launch_plan"),
        "link": values["link"],
    }


_BODIES = {"slack": _slack, "pager_duty": _pager_duty, "webhook": _webhook}
