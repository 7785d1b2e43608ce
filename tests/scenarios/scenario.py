"""Plays a scenario file and writes down what happens."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path

from core.machine.language import Library, duration
from core.machine.run import Run, earlier_of
from sailplane_core.machine import ExecutionState, Observation, Policies, SetTimer, Timer
from scenarios import observations, transcript

HERE = Path(__file__).parent
STEPS_MAX = 1000
"""Of one `run`."""
_WAITED_FOR = frozenset({Timer.RETRY, Timer.SLEEP, Timer.CACHE})


@dataclass
class Block:
    """A part of a file between blank lines: remarks, what is said, and the transcript (None if there is none)."""

    remarks: list[str] = field(default_factory=list[str])
    said: list[str] = field(default_factory=list[str])
    expected: list[str] | None = None

    def text(self) -> str:
        """As it stands in the file."""
        lines = [*self.remarks, *self.said]
        if self.expected is not None:
            lines += ["----", *self.expected]
        return "\n".join(lines)


def blocks_of(text: str) -> list[Block]:
    """A file, part by part."""
    return [_block(part.splitlines()) for part in text.strip("\n").split("\n\n")]


def _block(lines: list[str]) -> Block:
    block = Block()
    for line in lines:
        if block.expected is not None:
            block.expected.append(line)
        elif line == "----":
            block.expected = []
        elif line.startswith("#"):
            block.remarks.append(line)
        else:
            block.said.append(line)
    return block


@dataclass
class Scenario:
    """A scenario being played."""

    library: Library = field(default_factory=Library)
    run: Run | None = None

    def play(self, block: Block) -> Block:
        """The block with the transcript that it has now."""
        if not block.said:
            return block
        word, _, rest = block.said[0].partition(" ")
        body = "\n".join(block.said[1:])
        match word:
            case "define":
                self.library.define(rest, body)
            case "workflow":
                self._workflow(rest, body)
            case "recover":
                self._recover(rest)
            case "wait":
                self._running.now += duration(rest) - timedelta(seconds=1)
            case _:
                return replace(block, expected=list(self._step(word, rest, block.said)))
        return block

    @property
    def _running(self) -> Run:
        assert self.run is not None, "there is no workflow yet"
        return self.run

    def _workflow(self, words: str, body: str) -> None:
        options = {word.partition("=")[0]: word.partition("=")[2] for word in words.split()}
        limit = options.pop("timeout", None)
        after = options.pop("after", None) is not None
        self.library.define("main", body, after=after, timeout=None if limit is None else duration(limit))
        self.run = Run(self.library, "main", _policies(options))

    def _recover(self, name: str) -> None:
        ended = played(HERE / name)._running
        assert ended.state.header.is_terminal, f"{name} leaves an execution that has not ended"
        self.library = ended.library
        self.run = Run(self.library, "main", ended.policies, name="y", earlier=[earlier_of(ended)])

    def _step(self, word: str, rest: str, said: list[str]) -> Iterator[str]:
        match word:
            case "run":
                yield from self._run_on()
            case "timer":
                yield from self._see(self._running.timer(self._outstanding_timer(*rest.split())))
            case _:
                told = said[1:] if word == "see" else said
                yield from self._see(*(observations.parse(self._running, line) for line in told))

    def _outstanding_timer(self, target: str, timer: str) -> SetTimer:
        for one in self._running.ledger.outstanding:
            at = f"{one.node_id}/{one.attempt}" if one.node_id else "execution"
            if isinstance(one, SetTimer) and (at, str(one.timer)) == (target, timer):
                return one
        raise ValueError(f"{target} has set no timer {timer}")

    def _see(self, *seen: Observation) -> Iterator[str]:
        run = self._running
        before = ExecutionState(run.state.start, run.state.header, dict(run.state.nodes))
        transition = run.see(*seen)
        yield f"at {transcript.time(run.now)}"
        yield from transcript.lines(before, transition)

    def _run_on(self) -> Iterator[str]:
        run = self._running
        for _ in range(STEPS_MAX):
            for command in [one for one in run.ledger.outstanding if not run.is_current(one)]:
                run.done(command)
            outstanding = run.ledger.outstanding
            ready = [command for command in outstanding if not isinstance(command, SetTimer)]
            timers = [one for one in outstanding if isinstance(one, SetTimer) and one.timer in _WAITED_FOR]
            if not ready and not timers:
                return
            command = ready[0] if ready else min(timers, key=lambda one: one.at)
            run.done(command)
            for seen in [run.timer(command)] if isinstance(command, SetTimer) else run.usual(command):
                yield f"saw  {observations.describe(seen)}"
                yield from self._see(seen)
        raise AssertionError(f"it does not come to rest in {STEPS_MAX} steps")


def _policies(options: dict[str, str]) -> Policies:
    kinds = {field.name: type(getattr(Policies(), field.name)) for field in fields(Policies)}
    return replace(
        Policies(),
        **{name: _value(kinds[name], text) for name, text in options.items()},  # pyright: ignore[reportArgumentType]
    )


def _value(kind: type, text: str) -> bool | int | float:
    if kind is bool:
        return text != "False"
    return int(text) if kind is int else float(text)


def played(path: Path) -> Scenario:
    """A scenario at its end."""
    scenario = Scenario()
    for block in blocks_of(path.read_text()):
        scenario.play(block)
    return scenario


def replayed(text: str) -> str:
    """The scenario with the transcript that it has now."""
    scenario = Scenario()
    return "\n\n".join(scenario.play(block).text() for block in blocks_of(text)) + "\n"
