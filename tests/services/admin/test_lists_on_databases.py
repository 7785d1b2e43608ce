"""Every list is answered on every kind of database that this machine has: the benchmark of lists, at its smallest."""

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[3] / "bench" / "lists.py"


def test_all_lists_are_answered_on_every_database_there_is() -> None:
    options = ["--sizes", "100", "200", "--rounds", "1"]
    done = subprocess.run([sys.executable, BENCHMARK, *options], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    lists = found["sqlite"]["lists"]
    assert {"executions", "executions_by_phase", "named_entities"} <= lists.keys()
    assert {"first", "page_1000"} == lists["executions"].keys()
    if "not measured" not in found["postgresql"]:
        assert found["postgresql"]["lists"].keys() == lists.keys()
