"""No value gets out of its place in a message."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core import message_templates
from sailplane_core.message_templates import Template

VALUES = {
    "project": "p",
    "domain": "d",
    "name": "e1",
    "phase": "FAILED",
    "error": "a < b & c",
    "workflow.name": "w",
    "workflow.version": "v1",
    "launch_plan.name": "lp",
    "link": "https://x.org/p",
}


def test_the_default_texts() -> None:
    template = Template()
    assert message_templates.subject(template.subject, VALUES) == "w failed: p/d/e1"
    ended = "Execution e1 of workflow w (version v1, launch plan lp) in p/d has ended: failed.\n"
    assert message_templates.plain_text(template.text, VALUES) == f"{ended}a < b & c\nhttps://x.org/p"
    assert message_templates.slack_text(template.text, VALUES) == f"{ended}a &lt; b &amp; c\nhttps://x.org/p"
    assert "<pre>a &lt; b &amp; c</pre>" in message_templates.mail_html(template.html, VALUES)
    assert not any(map(message_templates.template_problem, (template.subject, template.html, template.text)))


def test_variables_are_filled_with_and_without_spaces_and_the_phase_is_lower_case() -> None:
    assert message_templates.subject("{{ name }} {{phase}} {{ workflow.version}}", VALUES) == "e1 failed v1"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ name }} {{ inputs.x }}", "unknown variables: inputs.x; there are domain, error,"),
        ("x" * 20_001, "must not be longer than 20000 characters"),
        ("{{error}}" * 51, "must not have more than 50 variables"),
        ("{{ name }} {{launch_plan.version}}", ""),
    ],
)
def test_a_template_that_cannot_be_used_says_why(template: str, problem: str) -> None:
    found = message_templates.template_problem(template)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_values_are_not_expanded_again() -> None:
    assert message_templates.mail_html("{{ error }}", {"error": "{{ link }}", "link": "x"}) == "{{ link }}"


@given(st.text())
def test_a_subject_is_one_printable_line(error: str) -> None:
    line = message_templates.subject("{{ error }} ended", {"error": error + "\r\nBcc: c@d.org"})
    assert line.isprintable()
    assert len(line) <= message_templates.SUBJECT_CHARS_MAX


@given(st.text(alphabet=st.sampled_from("<>&\"'ab")))
def test_a_value_is_text_in_html_and_in_slack(error: str) -> None:
    body = message_templates.mail_html("{{ error }}", {"error": error})
    assert not set(body) & set("<>\"'")
    assert html.unescape(body) == error
    text = message_templates.slack_text("{{ error }}", {"error": error})
    assert not set(text) & set("<>")
    assert text.count("&") == sum(error.count(character) for character in "<>&")


def test_a_long_error_is_cut() -> None:
    body = message_templates.mail_html("{{ error }}", {"error": "x" * 100_000})
    assert len(body) == message_templates.ERROR_CHARS_MAX


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("", ""),
        ("https://x.org/{project}/{domain}?e={name}", ""),
        ("ftp://x.org", "must begin with http:// or https://"),
        ("javascript:alert(1)", "must begin with http:// or https://"),
        ("https://x.org/{execution}", "unknown places: execution; there are project, domain, name"),
    ],
)
def test_a_link_leads_to_the_web(template: str, problem: str) -> None:
    assert message_templates.link_problem(template) == problem


def test_names_in_a_link_are_quoted() -> None:
    made = message_templates.link("https://x.org/{project}?e={name}", {"project": "a/../b", "name": "x&y= {domain}"})
    assert made == "https://x.org/a%2F..%2Fb?e=x%26y%3D%20%7Bdomain%7D"
