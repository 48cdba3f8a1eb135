"""`make fuzz`: many damaged inputs, in processes that may die, and a table of what came of them.

    python -m tests.faults.campaign --inputs 100000      all targets, by their shares
    python -m tests.faults.campaign header 1234          one input again, with its traceback

A finding is an exception that is none of ours, a law that what was read breaks, more than 2 s or
500 MB, or the death of the process. The first of each kind are kept in .faults/, and any makes the
exit status 1.
"""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tests.faults.attempts import BYTES, SECONDS, Campaign, Outcome, limit_memory, write
from tests.faults.processes import Death, run
from tests.faults.targets import TARGETS

KEPT = Path(".faults")
Job = tuple[str, int]


def schedule(inputs: int, names: Sequence[str]) -> Iterator[Job]:
    """Targets in turn by their shares, each with its numbers from 0 up."""
    given = Counter[str]()
    turn = [name for name in names for _ in range(TARGETS[name].share)]
    for number in range(inputs):
        name = turn[number % len(turn)]
        yield name, given[name]
        given[name] += 1


def worker(names: tuple[str, ...]) -> Callable[[Job], Outcome]:
    """What a process of the campaign does with a job."""
    campaign = Campaign(names)
    for name in names:  # what a reader imports late is not the first input's
        campaign.attempt(name, 0)
    limit_memory(4 * BYTES)
    return lambda job: campaign.attempt(*job)


class Tally:
    """What came of all inputs, by target, and the inputs of each kind of finding."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[Outcome]] = {}
        self.kinds: set[tuple[str, str]] = set()

    def add(self, job: Job, found: Outcome | Death) -> dict[tuple[str, str], int]:
        """Answers with the kind of finding that this is, where it is the first of it."""
        if isinstance(found, Death):
            found = Outcome(*job, found.how, f"process {found.how} ({found.code})")
        self.outcomes.setdefault(job[0], []).append(found)
        kind = (job[0], found.fault)
        if not found.fault or kind in self.kinds:
            return {}
        self.kinds.add(kind)
        return {kind: found.number}

    def findings(self) -> dict[tuple[str, str], list[int]]:
        """{(target, fault): the numbers of its inputs}."""
        found: dict[tuple[str, str], list[int]] = {}
        for name, outcomes in sorted(self.outcomes.items()):
            for one in outcomes:
                if one.fault:
                    found.setdefault((name, one.fault), []).append(one.number)
        return found

    def text(self) -> str:
        lines = [f"{'target':16}{'inputs':>8}{'read':>8}{'slowest':>9}{'memory':>10}  exceptions"]
        for name, outcomes in [*sorted(self.outcomes.items()), ("all", self._all())]:
            said = Counter(one.said for one in outcomes)
            slow, large = _most(outcomes)
            raised = ", ".join(f"{w} {n}" for w, n in said.most_common() if w != "read")
            lines.append(f"{name:16}{len(outcomes):8}{said['read']:8}{slow:7.2f} s{large:7.0f} MB"
                         f"  {raised}")  # fmt: skip
        findings = self.findings()
        for (name, fault), numbers in findings.items():
            few = ", ".join(map(str, sorted(numbers)[:4]))
            lines.append(f"FINDING {name}: {len(numbers)} x {fault} (numbers {few})")
        lines.append(f"{sum(map(len, findings.values()))} findings, {len(findings)} kinds; allowed "
                     f"are {SECONDS:g} s and {BYTES / 1e6:.0f} MB")  # fmt: skip
        return "\n".join(lines)

    def _all(self) -> list[Outcome]:
        return [one for outcomes in self.outcomes.values() for one in outcomes]


def _most(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Seconds of the slowest, and megabytes of the largest."""
    return max(o.seconds for o in outcomes), max(o.bytes for o in outcomes) / 1e6


def again(name: str, number: int) -> None:
    """One input, laid down where it says, with the traceback of what it does."""
    folder = KEPT / f"{name}-{number}"
    write(Campaign((name,)).damaged(name, number), folder)
    print(f"the input lies in {folder}")
    print(f"read: {TARGETS[name].read(folder)!r:.500}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("number", nargs="?", type=int, help="one input, again")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    if given.number is not None:
        again(given.target, given.number)
        return
    names = (given.target,) if given.target else tuple(TARGETS)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background too
    tally, began = Tally(), time.monotonic()
    jobs, make = schedule(given.inputs, names), partial(worker, names)
    try:
        found = run(jobs, make, given.processes, preload="tests.faults.attempts")
        for number, (job, came) in enumerate(found, 1):
            for (name, fault), first in tally.add(job, came).items():
                print(f"found: {name} {first}: {fault}", file=sys.stderr, flush=True)
            if number % 5000 == 0:
                print(f"{number} inputs, {time.monotonic() - began:.0f} s", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; so far:", file=sys.stderr)
    kept, findings = Campaign(names), tally.findings()
    for (name, _), numbers in findings.items():
        for number in sorted(numbers)[:2]:
            write(kept.damaged(name, number), KEPT / f"{name}-{number}")
    print(tally.text())
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
