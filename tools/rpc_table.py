"""Writes docs/rpcs.md: every RPC of every service, its way over HTTP, whether it is answered, and what tries it.

Made from the descriptors and the tests with `make rpc-table`; a test fails when it is out of date.
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sailplane_protos
from google.api import annotations_pb2

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "rpcs.md"
TESTS = ROOT / "tests"
OF_OTHERS = {"AsyncAgentService", "SyncAgentService", "AgentMetadataService", "ExternalPluginService"}
WITH_AUTH = {"IdentityService", "AuthMetadataService"}
AMONG_MANY = {"sailplane.propeller.PropellerService.Drain"}
ASKING = ("compat", "e2e", "services", "wire")
"""Folders of tests that call RPCs."""
VERBS = ("get", "put", "post", "delete", "patch")
HEAD = """# RPCs

Made from the descriptors and the tests by `make rpc-table`. Flyte's services are offered under `flyteidl.` as well as
under `sailplane.`, and its catalog under its own name `datacatalog`. HTTP paths are those of the `google.api.http`
options. Besides what is named here, `tests/wire/test_every_rpc.py` calls every RPC and
`tests/wire/test_fuzz.py` sends each what nobody would send.

Answered:

- yes
- auth: once clients have to say who they are, UNIMPLEMENTED until then, as Flyte does
- agents: offered by agents and plugins, which a control plane calls
- among many: UNIMPLEMENTED where everything runs in one process, since there is no other propeller to hand work to
"""


def main() -> None:
    """Write it."""
    TABLE.write_text(text())


def text() -> str:
    """The whole page."""
    modules = test_modules()
    parts = [HEAD]
    for service in services():
        parts.append(f"\n## {service.full_name}\n\n| RPC | HTTP | Answered | Tests |\n|---|---|---|---|\n")
        parts.extend(_row(method, tried_in(modules, method)) for method in service.methods)
    return "".join(parts)


def services() -> Iterator[Any]:
    """Descriptors of all services, by name."""
    found: dict[str, Any] = {}
    for module in pkgutil.walk_packages(sailplane_protos.__path__, "sailplane_protos."):
        if module.name.endswith("_pb2"):
            file: Any = importlib.import_module(module.name)
            found |= {service.full_name: service for service in file.DESCRIPTOR.services_by_name.values()}
    yield from (found[name] for name in sorted(found))


@dataclass(frozen=True, slots=True)
class TestModule:
    """What a module of tests speaks of: names in its code, and texts of their own."""

    path: str
    source: str
    names: frozenset[str]


def test_modules() -> list[TestModule]:
    """Those that ask services, with the tables and helpers of theirs."""
    found: list[TestModule] = []
    for path in sorted(path for folder in ASKING for path in (TESTS / folder).rglob("*.py")):
        source, names = path.read_text(), set[str]()
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Constant(value=str(name)):
                    names.add(name)
                case _:
                    pass
        found.append(TestModule(str(path.relative_to(TESTS)), source, frozenset(names)))
    return found


def tried_in(modules: Sequence[TestModule], method: Any) -> list[str]:
    """The modules that speak of an RPC. One whose name others have too is meant where its service is named as well."""
    service = method.containing_service
    if answered(method) == "agents":
        return []
    named = [module for module in modules if method.name in module.names]
    if is_ambiguous(method):
        named = [module for module in named if service.name.lower() in module.source.lower()]
    return [module.path for module in named]


def is_ambiguous(method: Any) -> bool:
    """Whether another service that is answered has an RPC of this name, or it is a word of everyday speech."""
    same = [
        one
        for service in services()
        for one in service.methods
        if one.name == method.name and answered(one) != "agents"
    ]
    return len(same) > 1 or method.name.istitle()


def answered(method: Any) -> str:
    """`yes`, or why not."""
    service = method.containing_service
    if f"{service.full_name}.{method.name}" in AMONG_MANY:
        return "among many"
    return "agents" if service.name in OF_OTHERS else "auth" if service.name in WITH_AUTH else "yes"


def _row(method: Any, tests: list[str]) -> str:
    streams = " (stream)" if method.server_streaming else ""
    return f"| {method.name}{streams} | {_http(method)} | {answered(method)} | {'<br>'.join(tests)} |\n"


def _http(method: Any) -> str:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    bindings = [rule, *rule.additional_bindings]
    ways = [(verb.upper(), getattr(one, verb)) for one in bindings for verb in VERBS if getattr(one, verb)]
    return "<br>".join(f"{verb} `{path}`" for verb, path in ways)


if __name__ == "__main__":
    main()
