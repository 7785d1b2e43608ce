"""What handlers know of a call besides its request."""

from typing import Any

PEER, REQUEST_ID = "ipv4:10.0.0.1:5", "r1"


class Call:
    """As much of gRPC's context as handlers use."""

    def invocation_metadata(self) -> Any:
        """With a request id."""
        return (("x-request-id", REQUEST_ID),)

    def peer(self) -> str:
        """From where it comes."""
        return PEER
