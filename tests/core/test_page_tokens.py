"""Tokens of list requests."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sailplane_core.errors import InvalidRequest
from sailplane_core.page_tokens import OFFSET_MAX, TOKEN_CHARS_MAX, KeyValue, issue, read

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
KEYS = st.lists(st.none() | st.integers(-(2**63), 2**63) | st.text(max_size=300), min_size=1, max_size=3)


@given(st.binary(), KEYS)
def test_a_token_leads_on_after_its_row(asked: bytes, last: list[KeyValue]) -> None:
    token = issue(KEY, asked, last)
    assert not token.isdigit()
    assert len(token) <= TOKEN_CHARS_MAX
    assert read(KEY, asked, token, len(last)) == tuple(last)


@given(st.binary(), KEYS)
def test_a_token_is_for_one_request_of_one_installation(asked: bytes, last: list[KeyValue]) -> None:
    token = issue(KEY, asked, last)
    for key, elsewhere, keys in ((KEY, asked + b"x", 0), (OTHER_KEY, asked, 0), (KEY, asked, 1)):
        with pytest.raises(InvalidRequest, match="invalid pagination token"):
            read(key, elsewhere, token, len(last) + keys)


def test_no_letter_of_a_token_can_be_changed() -> None:
    token = issue(KEY, b"asked", ["abc", 17, None])
    sealed = base64.urlsafe_b64decode(token.removeprefix("p1.") + "=" * (-len(token.removeprefix("p1.")) % 4))
    for at in range(len(sealed)):
        forged = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(InvalidRequest, match="invalid pagination token"):
            read(KEY, b"asked", "p1." + base64.urlsafe_b64encode(forged).decode(), 3)


@given(st.text() | st.text().map(lambda text: f"p1.{text}") | st.binary().map(lambda b: f"p1.{b.hex()}"))
def test_any_text_is_an_offset_or_refused(text: str) -> None:
    try:
        assert isinstance(read(KEY, b"asked", text, 2), int)
    except InvalidRequest as refused:
        assert "invalid pagination token" in str(refused)  # noqa: PT017


@pytest.mark.parametrize(("token", "offset"), [("", 0), ("0", 0), ("0100", 100), (str(OFFSET_MAX), OFFSET_MAX)])
def test_a_client_may_give_an_offset(token: str, offset: int) -> None:
    assert read(KEY, b"", token, 2) == offset


@pytest.mark.parametrize("token", ["-1", "a", "1.5", " 1", "²", str(OFFSET_MAX + 1), "9" * 5000, "p1." + "A" * 20_000])
def test_what_is_no_offset_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid pagination token"):
        read(KEY, b"", token, 2)
