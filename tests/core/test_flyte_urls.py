"""`flyte://` URLs read and written."""

import pytest
from sailplane_core import flyte_urls
from sailplane_core.errors import InvalidRequest
from sailplane_core.flyte_urls import FlyteUrl, Part
from sailplane_protos.core import identifier_pb2


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("flyte://v1/p/d/e/n0/i", FlyteUrl("p", "d", "e", "n0", Part.INPUTS)),
        ("flyte://v1/p/d/e/n0/o/o0", FlyteUrl("p", "d", "e", "n0", Part.OUTPUTS, name="o0")),
        ("flyte://v1/p/d/e/n0/d", FlyteUrl("p", "d", "e", "n0", Part.DECK)),
        ("flyte://v1/p/d/e/n0-0-n1/3/o", FlyteUrl("p", "d", "e", "n0-0-n1", Part.OUTPUTS, attempt=3)),
        ("flyte://v1/p/d/e/n0/0/i/x_1", FlyteUrl("p", "d", "e", "n0", Part.INPUTS, attempt=0, name="x_1")),
        ("flyte://v1/p/d/e/i/o/d", FlyteUrl("p", "d", "e", "i", Part.OUTPUTS, name="d")),
    ],
)
def test_forms(url: str, parsed: FlyteUrl) -> None:
    assert flyte_urls.parse(url) == parsed
    assert str(parsed) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://bucket/key",
        "flyte://v2/p/d/e/n0/i",
        "flyte://v1/p/d/e/n0",
        "flyte://v1/p/d/e/n0/x",
        "flyte://v1/p/d/e/n0/x/i",
        "flyte://v1/p/d/e/n0/0/d",
        "flyte://v1/p/d/e/n0/d/name",
        "flyte://v1/p/d/e/n0/i/a/b",
        "flyte://v1/p/d/e/n0/0/i/a/b",
        "flyte://v1/p/d/../n0/i",
        "flyte://v1/p/d/e//i",
        "flyte://v1/p/d/e/n0/i\n",
        "flyte://v1/p/d/e/n0/i/a.b",
        "flyte://v1/p/d/e/n0/i/a%2f..",
        "flyte://v1/p/d/e/n0/99999999999/i",
        "flyte://v1/p/d/e/n0/4294967296/i",
        "flyte://v1/p/d/e/n0/i/" + "x" * 3000,
    ],
)
def test_others_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="flyte_url"):
        flyte_urls.parse(url)


def test_urls_of_a_node_and_of_an_attempt() -> None:
    node = identifier_pb2.NodeExecutionIdentifier(node_id="n0")
    node.execution_id.project, node.execution_id.domain, node.execution_id.name = "p", "d", "e"
    assert flyte_urls.parse("flyte://v1/p/d/e/n0/i").node_execution_id == node
    urls = flyte_urls.node_urls(node, has_deck=False)
    assert (urls.inputs, urls.outputs, urls.deck) == ("flyte://v1/p/d/e/n0/i", "flyte://v1/p/d/e/n0/o", "")
    assert flyte_urls.node_urls(node, has_deck=True).deck == "flyte://v1/p/d/e/n0/d"
    attempt = identifier_pb2.TaskExecutionIdentifier(node_execution_id=node, retry_attempt=0)
    urls = flyte_urls.task_urls(attempt)
    assert (urls.inputs, urls.outputs, urls.deck) == ("flyte://v1/p/d/e/n0/0/i", "flyte://v1/p/d/e/n0/0/o", "")
