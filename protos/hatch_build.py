"""Generates the Python package before a wheel or an editable install is made of it."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":  # a source distribution carries the .proto files and this script
            return
        sys.path.insert(0, str(Path(__file__).resolve().parent))
        import generate

        generate.main()
