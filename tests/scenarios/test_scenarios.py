"""Every scenario decides today what its transcript says. `--rewrite` writes the transcripts anew, to be reviewed."""

from pathlib import Path

import pytest
from scenarios.scenario import HERE, replayed

FILES = sorted(HERE.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_transcript_is_what_the_machine_decides(path: Path, request: pytest.FixtureRequest) -> None:
    before = path.read_text()
    now = replayed(before)
    if request.config.getoption("--rewrite", default=False):
        path.write_text(now)
        return
    assert now.splitlines() == before.splitlines()
