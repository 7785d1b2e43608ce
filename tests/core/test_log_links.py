"""Log links: what the templates stand for."""

from sailplane_core.ids import ExecutionId
from sailplane_core.log_links import links

X = ExecutionId("flytesnacks", "development", "x")


def uris(template: str) -> list[str]:
    return [link.uri for link in links([("logs", template)], X, "flytesnacks-development", "x-n0-0", "n0")]


def test_a_template_names_the_pod_and_its_execution() -> None:
    template = "https://logs/{{.namespace}}/{{ .podName }}?q={{.project}}:{{.domain}}:{{.executionName}}:{{.nodeID}}"
    assert uris(template) == [
        "https://logs/flytesnacks-development/x-n0-0?q=flytesnacks:development:x:n0",
    ]


def test_what_is_not_known_is_left_alone() -> None:
    assert uris("https://logs/{{.cluster}}/{x}") == ["https://logs/{{.cluster}}/{x}"]


def test_a_value_cannot_add_to_the_address() -> None:
    found = links([("logs", "https://logs/{{.nodeID}}")], X, "n", "p", "../a?b#c")
    assert found[0].uri == "https://logs/..%2Fa%3Fb%23c"


def test_each_template_is_a_link_of_its_name() -> None:
    found = links([("a", "file:///a"), ("b", "file:///b")], X, "n", "p", "n0")
    assert [(link.name, link.uri) for link in found] == [("a", "file:///a"), ("b", "file:///b")]
