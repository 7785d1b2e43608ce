"""Flyte's names of what is ours: one contract under two sets of names.

Flyte's packages are `flyteidl.core`, `flyteidl.service` and so on, and `datacatalog` by itself. Ours are
`sailplane.core`, `sailplane.service`, `sailplane.datacatalog`. Only names differ, never bytes.
"""

FIRST_EXTENSION = 1000
"""In messages that Flyte has, fields from this number on are ours."""

_PACKAGES = ("core", "admin", "event", "plugins", "service", "cacheservice")


def flyte_name(name: str) -> str | None:
    """Flyte's name of one of our packages, types or services; None for what Flyte does not have."""
    first, _, rest = name.partition(".")
    second = rest.partition(".")[0]
    if first != "sailplane":
        return None
    if second in _PACKAGES:
        return f"flyteidl.{rest}"
    return rest if second == "datacatalog" else None


def our_name(name: str) -> str:
    """Our name of what Flyte calls `name`; any other name as it is."""
    if name.startswith("flyteidl."):
        return "sailplane" + name.removeprefix("flyteidl")
    return f"sailplane.{name}" if name.startswith("datacatalog.") else name


def is_flyte_name(name: str) -> bool:
    """Whether a type or service goes by Flyte's name."""
    return name.startswith(("flyteidl.", "datacatalog."))
