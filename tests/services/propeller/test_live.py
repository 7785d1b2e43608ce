"""What is known of an execution in service."""

import pytest
from sailplane_core.errors import InvariantBroken, Unavailable
from sailplane_propeller.live import Live
from services.propeller.conftest import X


def test_the_state_can_be_had_later_while_it_is_read_again() -> None:
    with pytest.raises(Unavailable):
        _ = Live(X).definition


def test_the_state_of_what_is_parked_and_was_not_loaded_can_never_be_had() -> None:
    with pytest.raises(InvariantBroken):
        _ = Live(X, is_parked=True).definition
