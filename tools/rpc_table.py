"""Writes docs/rpcs.md: every RPC of every service, its way over HTTP, whether it is answered, and what tries it.

Made from the descriptors and the tests with `make rpc-table`; a test fails when it is out of date.
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sailplane_protos
from google.api import annotations_pb2

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "rpcs.md"
TESTS = ROOT / "tests"
OF_OTHERS = {"AsyncAgentService", "SyncAgentService", "AgentMetadataService", "ExternalPluginService"}
WITH_AUTH = {"IdentityService", "AuthMetadataService"}
VERBS = ("get", "put", "post", "delete", "patch")
HEAD = """# RPCs

Made from the descriptors and the tests by `make rpc-table`. Flyte's services are offered under `flyteidl.` as well as
under `sailplane.`, and its catalog under its own name `datacatalog`. HTTP paths are those of the `google.api.http`
options. Besides what is named here, `tests/wire/test_every_rpc.py` calls every RPC that Flyte publishes and
`tests/wire/test_fuzz.py` sends each what nobody would send.

Answered:

- yes
- auth: once clients have to say who they are, UNIMPLEMENTED until then, as Flyte does
- agents: offered by agents and plugins, which a control plane calls
"""


def main() -> None:
    """Write it."""
    TABLE.write_text(text())


def text() -> str:
    """The whole page."""
    tried = tried_in()
    parts = [HEAD]
    for service in services():
        parts.append(f"\n## {service.full_name}\n\n| RPC | HTTP | Answered | Tests |\n|---|---|---|---|\n")
        parts.extend(_row(service.name, method, tried.get(method.name, [])) for method in service.methods)
    return "".join(parts)


def services() -> Iterator[Any]:
    """Descriptors of all services, by name."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(sailplane_protos.__path__, "sailplane_protos."):
        if module.name.endswith("_pb2"):
            file: Any = importlib.import_module(module.name)
            found |= {service.full_name: service for service in file.DESCRIPTOR.services_by_name.values()}
    yield from (found[name] for name in sorted(found))


def tried_in() -> Mapping[str, list[str]]:
    """The modules of tests that speak of a name, in code or as a text of its own."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
                    names.add(name)
                case _:
                    pass
        for name in names:
            found.setdefault(name, []).append(str(path.relative_to(TESTS)))
    return found


def _row(service: str, method: Any, tests: list[str]) -> str:
    answered = "agents" if service in OF_OTHERS else "auth" if service in WITH_AUTH else "yes"
    streams = " (stream)" if method.server_streaming else ""
    return f"| {method.name}{streams} | {_http(method)} | {answered} | {'<br>'.join(tests)} |\n"


def _http(method: Any) -> str:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    bindings = [rule, *rule.additional_bindings]
    ways = [(verb.upper(), getattr(one, verb)) for one in bindings for verb in VERBS if getattr(one, verb)]
    return "<br>".join(f"{verb} `{path}`" for verb, path in ways)


if __name__ == "__main__":
    main()
