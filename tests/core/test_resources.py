"""Kubernetes quantities, and whose word counts for resources."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.errors import InvalidRequest
from sailplane_core.resources import Needs, format_bytes, format_cpu, merge, needs_of, parse_quantity
from sailplane_protos.core import tasks_pb2

Resources = tasks_pb2.Resources


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", "2"),
        ("0.5", "0.5"),
        (".5", "0.5"),
        ("500m", "0.5"),
        ("1k", "1000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("2E", "2000000000000000000"),
        ("1e3", "1000"),
        ("1E-3", "0.001"),
        (" 1Mi ", "1048576"),
        ("100n", "0.0000001"),
    ],
)
def test_quantities(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "much", "1kb", "1 Gi", "-1", "1KI", "1e", "0x10", "NaN", "1e999"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_quantity(text)


@pytest.mark.parametrize(("cores", "shown"), [("2", "2"), ("0.5", "500m"), ("0.0001", "1m"), ("1.25", "1250m")])
def test_cores_are_shown_in_thousandths(cores: str, shown: str) -> None:
    assert format_cpu(Decimal(cores)) == shown


@given(st.integers(min_value=0, max_value=2**62))
def test_shown_bytes_read_back_the_same(size: int) -> None:
    assert parse_quantity(format_bytes(Decimal(size))) == size


def test_needs_of_the_wire() -> None:
    wire = Resources(
        requests=[
            Resources.ResourceEntry(name=Resources.CPU, value="1"),
            Resources.ResourceEntry(name=Resources.GPU, value="1"),
        ],
        limits=[Resources.ResourceEntry(name=Resources.MEMORY, value="1Gi")],
    )
    assert needs_of(wire) == Needs({"cpu": "1", "nvidia.com/gpu": "1"}, {"memory": "1Gi"})


def test_a_resource_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="resource number 0"):
        needs_of(Resources(requests=[Resources.ResourceEntry(value="1")]))


def cpu(request: str = "", limit: str = "") -> Needs:
    return Needs({"cpu": request} if request else {}, {"cpu": limit} if limit else {})


@pytest.mark.parametrize(
    ("override", "own", "defaults", "merged"),
    [
        (cpu(), cpu("1"), cpu(), cpu("1", "1")),
        (cpu(), cpu("", "2"), cpu(), cpu("2", "2")),
        (cpu(), cpu("1", "2"), cpu(), cpu("1", "2")),
        (cpu(), cpu("4", "2"), cpu(), cpu("2", "2")),
        (cpu("3"), cpu("1", "2"), cpu(), cpu("3", "3")),
        (cpu("500m"), cpu("1", "2"), cpu(), cpu("500m", "2")),
        (cpu("", "500m"), cpu("1", "2"), cpu(), cpu("500m", "500m")),
        (cpu("", "4"), cpu("1", "2"), cpu(), cpu("1", "4")),
        (cpu(), cpu("1"), cpu("100m", "8"), cpu("1", "1")),
        (cpu(), cpu("", "2"), cpu("100m", "8"), cpu("2", "2")),
        (cpu("1"), cpu(), cpu("100m", "8"), cpu("1", "1")),
        (cpu(), cpu(), cpu("100m", "8"), cpu("100m", "8")),
        (cpu(), cpu(), cpu("100m"), cpu("100m", "100m")),
    ],
)
def test_the_stronger_word_counts_and_the_weaker_follows(
    override: Needs, own: Needs, defaults: Needs, merged: Needs
) -> None:
    assert merge(override, own, defaults) == merged


def test_resources_are_settled_one_by_one() -> None:
    merged = merge(
        Needs({"cpu": "1"}, {}), Needs({"cpu": "2", "memory": "1Gi"}, {}), Needs({}, {"nvidia.com/gpu": "1"})
    )
    assert merged.requests == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert merged.manifest["limits"] == {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert merge(cpu(), cpu(), cpu()).manifest == {}
