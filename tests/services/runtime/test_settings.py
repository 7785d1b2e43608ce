"""Settings from the environment: read whole, refused whole."""

from dataclasses import dataclass

import pytest
from sailplane_core.errors import InvalidRequest
from sailplane_runtime.settings import GrpcSettings, read


@dataclass(frozen=True)
class Group:
    count: int = 1
    ratio: float = 0.5
    name: str = "default"
    is_on: bool = False
    limit: int | None = 10
    domains: tuple[str, ...] = ("a",)
    table: dict[str, str] | None = None


def test_what_is_not_set_keeps_its_default() -> None:
    assert read(Group, "group", {}) == Group()
    assert read(Group, "group", {"SAILPLANE_OTHER_COUNT": "7", "GROUP_COUNT": "7"}) == Group()


def test_values_are_of_their_fields_types() -> None:
    environ = {
        "SAILPLANE_GROUP_COUNT": "7",
        "SAILPLANE_GROUP_RATIO": "2",
        "SAILPLANE_GROUP_NAME": "",
        "SAILPLANE_GROUP_IS_ON": "True",
        "SAILPLANE_GROUP_LIMIT": "",
        "SAILPLANE_GROUP_DOMAINS": "x, y,",
        "SAILPLANE_GROUP_TABLE": '{"a": "b, c"}',
    }
    assert read(Group, "group", environ) == Group(7, 2.0, "", True, None, ("x", "y"), {"a": "b, c"})


def test_overrides_win_unless_they_say_nothing() -> None:
    environ = {"SAILPLANE_GRPC_PORT": "1", "SAILPLANE_GRPC_HOST": "::1"}
    settings = read(GrpcSettings, "grpc", environ, port=0, host=None)
    assert (settings.port, settings.host) == (0, "::1")


@pytest.mark.parametrize("text", ["-1", "-0.5", "inf", "nan"])
def test_numbers_are_finite_and_not_negative(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"SAILPLANE_GRPC_STOP_GRACE_S.*from 0 on"):
        read(GrpcSettings, "grpc", {"SAILPLANE_GRPC_STOP_GRACE_S": text})


@pytest.mark.parametrize("text", ["x", "[]", '{"a": 1}', "null"])
def test_names_with_texts_are_an_object_of_texts(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"SAILPLANE_GROUP_TABLE.*JSON object"):
        read(Group, "group", {"SAILPLANE_GROUP_TABLE": text})


def test_every_mistake_is_named() -> None:
    environ = {
        "SAILPLANE_GROUP_COUNT": "many",
        "SAILPLANE_GROUP_IS_ON": "yes",
        "SAILPLANE_GROUP_NAMES": "x",
        "SAILPLANE_GROUP_TABLE": "x",
    }
    with pytest.raises(InvalidRequest) as caught:
        read(Group, "group", environ)
    assert [problem.split("=")[0].split(" ")[0] for problem in caught.value.problems] == sorted(environ)
