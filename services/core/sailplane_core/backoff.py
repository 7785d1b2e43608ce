"""How long to wait before something that failed is tried again."""

import hashlib
from datetime import timedelta

DOUBLINGS_MAX = 60
"""A pause that was doubled so often is beyond every limit."""


def pause(first_s: float, max_s: float, key: str, failures: int) -> timedelta:
    """The pause after so many failures: `first_s`, doubled with each further one up to `max_s`; half of it by chance.

    Chance is a hash of `key`, which names what is tried: deciding again gives the same, and of many that fail together
    no two come back together.
    """
    whole_s = min(max_s, first_s * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
    chance = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    return timedelta(seconds=whole_s * (0.5 + 0.5 * chance))
