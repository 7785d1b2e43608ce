"""The texts of messages: templates with variables, and what becomes of values in a mail, in HTML and in Slack.

Templates know Flyte's variables, written `{{ name }}` with or without the inner spaces, and `link`. Values are put in
once, never expanded again: an error text that contains `{{ link }}` stays as it is.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

VARIABLES = frozenset(
    {"project", "domain", "name", "phase", "error", "link"}
    | {
        f"{entity}.{part}"
        for entity in ("workflow", "launch_plan")
        for part in ("project", "domain", "name", "version")
    }
)
"""What a template may ask for. Flyte's, and `link`: where the execution is to be looked at."""

ERROR_CHARS_MAX = 4096
"""Of an error's text in a message; the whole of it is with the execution."""
SUBJECT_CHARS_MAX = 255
"""Of a mail's subject; mail programs show less."""
TEXT_CHARS_MAX = 40_000
"""Of a message in plain text. Slack cuts longer ones."""
TEMPLATE_CHARS_MAX = 20_000
TEMPLATE_VARIABLES_MAX = 50
"""So that no template can make a mail of many megabytes of one long error."""

_VARIABLE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_PLACE = re.compile(r"\{([^{}]*)\}")
_PLACES = ("project", "domain", "name")


@dataclass(frozen=True, slots=True)
class Template:
    """The texts of a message: `subject` and `html` of a mail, and `text` of all that is no HTML."""

    subject: str = "{{ workflow.name }} {{ phase }}: {{ project }}/{{ domain }}/{{ name }}"
    html: str = (
        "<p>Execution <b>{{ name }}</b> of workflow {{ workflow.name }} (version {{ workflow.version }}, launch plan "
        "{{ launch_plan.name }}) in {{ project }}/{{ domain }} has ended: <b>{{ phase }}</b>.</p>\n"
        "<pre>{{ error }}</pre>\n"
        "<p>{{ link }}</p>\n"
    )
    text: str = (
        "Execution {{ name }} of workflow {{ workflow.name }} (version {{ workflow.version }}, launch plan "
        "{{ launch_plan.name }}) in {{ project }}/{{ domain }} has ended: {{ phase }}.\n"
        "{{ error }}\n"
        "{{ link }}"
    )


def template_problem(text: str) -> str:
    """Why a text of a template cannot be used, for the operator who wrote it; empty if it can."""
    variables = _VARIABLE.findall(text)
    unknown = sorted({name for name in variables if name not in VARIABLES})
    if unknown:
        return f"unknown variables: {', '.join(unknown)}; there are {', '.join(sorted(VARIABLES))}"
    if len(text) > TEMPLATE_CHARS_MAX:
        return f"must not be longer than {TEMPLATE_CHARS_MAX} characters"
    if len(variables) > TEMPLATE_VARIABLES_MAX:
        return f"must not have more than {TEMPLATE_VARIABLES_MAX} variables"
    return ""


def subject(template: str, values: Mapping[str, str]) -> str:
    """The subject of a mail: one line without control characters, at most `SUBJECT_CHARS_MAX` long."""
    return one_line(_fill(template, values, str))[:SUBJECT_CHARS_MAX]


def one_line(text: str) -> str:
    """A text as one line of printable characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def mail_html(template: str, values: Mapping[str, str]) -> str:
    """The HTML of a mail: the template is HTML, the values are text."""
    return _fill(template, values, html.escape)


def plain_text(template: str, values: Mapping[str, str]) -> str:
    """A message of text alone, at most `TEXT_CHARS_MAX` long."""
    return _fill(template, values, str)[:TEXT_CHARS_MAX].strip()


def slack_text(template: str, values: Mapping[str, str]) -> str:
    """A message for Slack, at most `TEXT_CHARS_MAX` long; values can neither mention people nor hide links."""
    return _fill(template, values, _slack_escape)[:TEXT_CHARS_MAX].strip()


def link_problem(template: str) -> str:
    """Why a link's template cannot be used; empty if it can. An empty one makes no links."""
    if template and not template.startswith(("http://", "https://")):
        return "must begin with http:// or https://"
    unknown = sorted(set(_PLACE.findall(template)) - set(_PLACES))
    return f"unknown places: {', '.join(unknown)}; there are {', '.join(_PLACES)}" if unknown else ""


def link(template: str, values: Mapping[str, str]) -> str:
    """Where an execution is to be looked at: a URL with `{project}`, `{domain}` and `{name}` in it."""
    return _PLACE.sub(lambda match: quote(values.get(match.group(1), ""), safe=""), template)


def _fill(template: str, values: Mapping[str, str], escape: Callable[[str], str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        text = values.get(name, "")
        if name == "phase":
            text = text.lower()
        return escape(text[:ERROR_CHARS_MAX] if name == "error" else text)

    return _VARIABLE.sub(value, template)


def _slack_escape(text: str) -> str:
    return html.escape(text, quote=False)
