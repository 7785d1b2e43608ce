"""MessagePack against the reference implementation."""

import msgpack as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.msgpack import DEPTH_MAX, pack, unpack

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
VALUES = st.recursive(
    SCALARS,
    lambda each: st.lists(each, max_size=20) | st.dictionaries(st.text(max_size=40), each, max_size=20),
    max_leaves=40,
)


@given(VALUES)
def test_what_is_packed_is_what_the_reference_packs_and_reads_back(value: object) -> None:
    packed = pack(value)
    assert packed == reference.packb(value)
    assert unpack(packed) == value


@pytest.mark.parametrize("size", [31, 32, 255, 256, 65535, 65536])
def test_sizes_around_the_limits_of_each_form(size: int) -> None:
    for value in ("x" * size, b"x" * size, [None] * size, dict.fromkeys(range(size))):
        assert pack(value) == reference.packb(value)
        assert unpack(pack(value)) == value


def test_single_precision_and_extensions_are_read() -> None:
    assert unpack(reference.packb(1.5, use_single_float=True)) == 1.5
    assert unpack(reference.packb(reference.ExtType(5, b"abcd"))) == b"abcd"
    assert unpack(reference.packb(reference.ExtType(5, b"abc"))) == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa5ab",
        b"\x92\x01",
        b"\xc1",
        b"\x01\x02",
        b"\xcb\x00",
        b"\xa1\xff",
        b"\x81\x90\x01",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_what_is_not_msgpack_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        unpack(data)


def test_deep_nesting_is_refused_not_followed() -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        unpack(b"\x91" * (DEPTH_MAX + 2) + b"\xc0")
    nested: list[object] = []
    for _ in range(DEPTH_MAX + 2):
        nested = [nested]
    with pytest.raises(ValueError, match="nested deeper"):
        pack(nested)


@pytest.mark.parametrize("value", [object(), {1, 2}, 2**64, -(2**63) - 1])
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        pack(value)
