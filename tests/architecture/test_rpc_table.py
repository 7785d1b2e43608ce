"""docs/rpcs.md lists every RPC as it is."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rpc_table", ROOT / "tools" / "rpc_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_up_to_date(tool: ModuleType) -> None:
    assert tool.TABLE.read_text() == tool.text(), "`make rpc-table` writes it anew"


def test_whatever_is_answered_is_tried(tool: ModuleType) -> None:
    tried = tool.tried_in()
    answered = [service for service in tool.services() if service.name not in tool.OF_OTHERS | tool.WITH_AUTH]
    methods = [f"{service.full_name}.{method.name}" for service in answered for method in service.methods]
    assert [name for name in methods if name.rpartition(".")[2] not in tried] == []
