"""The notifier: each message by mail or through its channel.

Libraries are loaded with the first message, on a thread, so that neither a start nor anybody's request waits for them.
"""

import asyncio
from collections.abc import Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from sailplane_core import message_templates
from sailplane_core.message_templates import Template
from sailplane_core.notifications import Kind, NotDelivered, Notice
from sailplane_core.ports import Clock

from .settings import DEFAULT_TEMPLATE, NotificationSettings, read_file, read_secret, read_tls

if TYPE_CHECKING:
    from .http import Poster
    from .smtp import Mailer


class Notifiers:
    """A `Notifier` of what the operator has configured. Raises `InvalidRequest` when that cannot be used."""

    def __init__(self, settings: NotificationSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._configured = read_file(settings.file)
        self._password = read_secret(settings.smtp_password_file) if settings.smtp_password_file else None
        if settings.smtp_ca_file:
            read_tls(settings)  # what is wrong with it is to be said now, not with the first mail
        self._mailer: Mailer | None = None
        self._poster: Poster | None = None
        self._loading = asyncio.Lock()

    @property
    def channels(self) -> Mapping[str, str]:
        """The kind of each channel."""
        return {name: channel.kind for name, channel in self._configured.channels.items()}

    @property
    def templates(self) -> Collection[str]:
        """The names of the templates."""
        return self._configured.templates.keys()

    @property
    def has_mail(self) -> bool:
        """Whether there is a mail server."""
        return bool(self._settings.smtp_host)

    async def send(self, notice: Notice) -> None:
        """Send by mail or through a channel. Raises `NotDelivered`."""
        values = {**notice.values, "link": message_templates.link(self._settings.link_template, notice.values)}
        values["error"] = values["error"][: message_templates.ERROR_CHARS_MAX]
        templates = self._configured.templates
        template = templates.get(notice.template or DEFAULT_TEMPLATE, templates[DEFAULT_TEMPLATE])
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                await self._send(notice, template, values)
        except TimeoutError as error:
            raise NotDelivered(f"no answer within {self._settings.send_timeout_s:g} s") from error

    async def _send(self, notice: Notice, template: Template, values: dict[str, str]) -> None:
        if notice.kind is not Kind.CHANNEL:
            mailer = await self._mail()
            await mailer.send(notice, template, values)
            return
        channel = self._configured.channels.get(notice.target)
        if channel is None:
            raise NotDelivered(f"there is no channel {notice.target}", is_permanent=True)
        poster = await self._post()
        await poster.send(notice, channel, template, values)

    async def _mail(self) -> "Mailer":
        if not self.has_mail:
            raise NotDelivered("no mail server is configured (SAILPLANE_NOTIFICATIONS_SMTP_HOST)", is_permanent=True)
        async with self._loading:
            if self._mailer is None:
                smtp = await asyncio.to_thread(import_module, ".smtp", __package__)
                self._mailer = await asyncio.to_thread(smtp.Mailer, self._settings, self._password)
            return cast("Mailer", self._mailer)

    async def _post(self) -> "Poster":
        async with self._loading:
            if self._poster is None:
                http = await asyncio.to_thread(import_module, ".http", __package__)
                self._poster = http.Poster(self._clock, self._settings.send_timeout_s)
            return cast("Poster", self._poster)

    async def close(self) -> None:
        """Close what connections are kept."""
        if self._poster is not None:
            await self._poster.close()
