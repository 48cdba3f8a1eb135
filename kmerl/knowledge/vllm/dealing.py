"""Which of several servers is asked: the one with the fewest questions on their way.

A server that fails some times in a row is set aside, and its questions go to the others. After a
rest it is asked one question at a time, until it answers again.
"""

import sys
import time
from collections.abc import Iterator, Sequence

from yarl import URL

from kmerl.knowledge.vllm.connection import Running

ASIDE = 3
"""Faults in a row after which a server is set aside: one lost connection is not its end."""
FIRST_REST, LONGEST_REST = 0.5, 30.0  # seconds


class Dealt:
    """A server: what is on its way to it, and what it has done."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.url = URL(f"{running.base_url}/chat/completions")
        self.in_flight = self.answered = self.set_aside = 0
        self.faults = 0  # in a row
        self.rest = self.rests_until = 0.0

    def ready(self) -> bool:
        """Whether it may be asked; one that was set aside, for one question after its rest."""
        if self.faults < ASIDE:
            return True
        return not self.in_flight and time.monotonic() >= self.rests_until


class Dealer:
    """Deals questions to servers and counts what each did; all of a step's questions go here."""

    def __init__(self, servers: Sequence[Running]) -> None:
        self.servers = [Dealt(server) for server in servers]

    def round(self) -> Iterator[Dealt]:
        """Every server that is in use, each once, the least busy first; at least one of all."""
        asked: list[Dealt] = []
        while ready := [one for one in self.servers if one not in asked and one.ready()]:
            asked.append(min(ready, key=lambda one: (one.in_flight, one.answered)))
            yield asked[-1]
        if not asked:
            yield min(self.servers, key=lambda one: one.rests_until)

    def answered(self, server: Dealt) -> None:
        server.answered += 1
        server.faults = 0
        server.rest = server.rests_until = 0.0

    def failed(self, server: Dealt, what: str, wait: float) -> None:
        """It gave no answer for the reason `what`, and wants to be left alone for `wait` s."""
        server.faults += 1
        now = time.monotonic()
        if server.faults >= ASIDE and now >= server.rests_until:
            server.rest = min(max(2 * server.rest, FIRST_REST), LONGEST_REST)
            server.rests_until = now + max(server.rest, wait)
        if server.faults == ASIDE:
            server.set_aside += 1
            if len(self.servers) > 1 and server.set_aside == 1:
                address = server.running.base_url
                line = f"{address} is set aside (last: {what}); its questions go to the others"
                print(line, file=sys.stderr, flush=True)

    def told(self) -> str:
        """What each of several servers did."""
        if len(self.servers) == 1:
            return ""
        parts = [
            f"{one.running.base_url} {one.answered}"
            + (f" (set aside {one.set_aside} times)" if one.set_aside else "")
            for one in self.servers
        ]
        return f"; answered by {', '.join(parts)}"
