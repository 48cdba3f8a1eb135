"""Questions to OpenAI-compatible servers: bounded concurrency, retries, each answer kept once."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import aiohttp

from kmerl.knowledge.backend import MiningError, Unresolved
from kmerl.knowledge.vllm import prompts
from kmerl.knowledge.vllm.answers import Answers, key
from kmerl.knowledge.vllm.connection import FAILED, Page, Running, page, refused, session
from kmerl.knowledge.vllm.dealing import Dealer, Dealt
from kmerl.knowledge.vllm.prompts import Question
from kmerl.knowledge.vllm.replies import MalformedError, Reply, UnreadableError, completion
from kmerl.knowledge.vllm.settings import LLM
from kmerl.progress import Meter
from kmerl.runtime import Server

API_KEY = "KMERL_LLM_API_KEY"  # environment variable; never in params.yaml
KEY_IS_WRONG = f"401 and 403: set {API_KEY}"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries
PASSING = (408, 409, 429)  # statuses that another try may mend, beside those from 500 on
REJECTED = (400, 422)

BODY = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Answer = TypeVar("Answer")


class LLMError(MiningError):
    """The server cannot be used; the message says what to do and holds no report text."""


class PassingError(Exception):
    """What another try may mend, at once at another server if this one was not slow to fail."""

    def __init__(self, what: str, wait: float = 0.0, slow: bool = False) -> None:
        super().__init__(what)
        self.what, self.wait, self.slow = what, wait, slow


class Client:
    """Asks one model; keeps answers, counts what it used and lists what stayed unresolved."""

    def __init__(
        self, settings: LLM, machine: Server, answers: Answers, servers: Sequence[Running]
    ) -> None:
        self.settings, self.machine = settings, machine
        self.answers, self.dealer = answers, Dealer(servers)
        self.asked = self.retries = 0  # of this run; not among the counts, which a resume keeps
        self.used: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.unresolved: list[Unresolved] = []

    def ask(
        self,
        questions: Iterable[Question],
        count: int,
        read: Callable[[int, Reply], Answer],
        what: str,
    ) -> list[Answer | None]:
        """What `read(index, reply)` makes of each reply, in the order of the `count` questions.

        Questions are drawn as they are asked, so that only those on their way take memory.
        A malformed reply is asked for once more with a repair prompt; if that is malformed too the
        question is unresolved, and what could be read of it (or None) stands.

        Raises:
            LLMError: no server is in reach, or one refuses to serve; answers so far are kept.
        """
        try:
            return asyncio.run(self._ask(questions, count, read, what))
        except BaseExceptionGroup as group:  # of the workers: the first tells what happened
            raise group.exceptions[0] from None

    async def _ask(
        self,
        questions: Iterable[Question],
        count: int,
        read: Callable[[int, Reply], Answer],
        what: str,
    ) -> list[Answer | None]:
        results: list[Answer | None] = [None] * count
        waiting = iter(enumerate(questions))
        meter = Meter(what, count, "questions")

        async def work(asking: aiohttp.ClientSession) -> None:
            for index, question in waiting:
                results[index] = await self._resolve(asking, index, question, read)
                meter.advance()

        async with session(self.machine.concurrency) as asking:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self.machine.concurrency, count)):
                        workers.create_task(work(asking))
            finally:
                meter.close()
        return results

    async def _resolve(
        self,
        asking: aiohttp.ClientSession,
        index: int,
        question: Question,
        read: Callable[[int, Reply], Answer],
    ) -> Answer | None:
        self.used["questions"] += 1
        reply = await self._reply(asking, question)
        try:
            return read(index, reply)
        except MalformedError as fault:
            self.malformed[fault.reason] += 1
            first = fault
        if reply.finish != "rejected":  # the repair, which is longer, would be so too
            again = prompts.repaired(question, reply.text, first.reason, self.settings)
            reply = await self._reply(asking, again)
        try:
            answer = read(index, reply)
        except MalformedError as fault:
            self.unresolved.append(Unresolved(question.about, fault.reason, reply.text))
            partial: Answer | None = first.partial if fault.partial is None else fault.partial
            return partial
        self.used["repaired"] += 1
        return answer

    async def _reply(self, asking: aiohttp.ClientSession, question: Question) -> Reply:
        body = self._body(question)
        known = key({**body, "revision": self.settings.revision, "prompts": prompts.version()})
        reply = self.answers.get(known)
        if reply is None:
            reply = await self._request(asking, body, question.kind)
            self.asked += 1
            if reply.finish != "rejected":  # by this server as it is; another one may take it
                self.answers.put(known, reply)
        self.used["prompt_tokens"] += reply.prompt_tokens
        self.used["completion_tokens"] += reply.completion_tokens
        return reply

    def _body(self, question: Question) -> dict[str, Any]:
        limit = {} if question.max_tokens is None else {"max_tokens": question.max_tokens}
        return {
            "model": self.settings.model,
            "messages": list(question.messages),
            "temperature": self.settings.temperature,
            "seed": self.settings.seed,
            **limit,
            **question.constraint,
        }

    async def _request(
        self, asking: aiohttp.ClientSession, body: dict[str, Any], kind: str
    ) -> Reply:
        """One request, tried again after passing faults: at once at a server that was not tried
        yet, and at those that were after pauses that grow."""
        data = BODY.encode(body).encode()
        tries, pause, fault = 0, FIRST_PAUSE, PassingError("not asked")
        for attempt in range(self.machine.retries + 1):
            if attempt:
                await asyncio.sleep(max(pause, fault.wait))
                pause = min(2 * pause, LONGEST_PAUSE)
            for server in self.dealer.round():
                self.retries += tries > 0
                tries += 1
                try:
                    return await self._post(asking, server, data)
                except PassingError as error:
                    fault = error
                server.running.alive()
                self.dealer.failed(server, fault.what, fault.wait)
                if fault.slow:
                    break
        raise LLMError(self._gave_up(kind, tries, fault))

    async def _post(self, asking: aiohttp.ClientSession, server: Dealt, data: bytes) -> Reply:
        server.in_flight += 1
        try:
            async with asyncio.timeout(self.machine.timeout):
                answer = await page(asking, server.url, server.running.api_key, data)
        except FAILED as error:
            raise PassingError(type(error).__name__, slow=isinstance(error, TimeoutError)) from None
        finally:
            server.in_flight -= 1
        if answer.status in PASSING or answer.status >= 500:
            raise PassingError(f"status {answer.status}", wait=_wanted_pause(answer))
        if answer.status not in REJECTED and not 200 <= answer.status < 300:
            advice = KEY_IS_WRONG, f"404: is {self.settings.model!r} what the server serves?"
            raise LLMError(refused(server.running.base_url, answer.status, *advice))
        try:
            rejected = answer.status in REJECTED
            reply = Reply("", "rejected", 0, 0) if rejected else completion(answer.body)
        except UnreadableError as error:
            raise PassingError(type(error).__name__) from None
        self.dealer.answered(server)
        return reply

    def _gave_up(self, kind: str, tries: int, last: PassingError) -> str:
        addresses = " and ".join(one.running.base_url for one in self.dealer.servers)
        return (
            f"{addresses} gave no answer to a question of kind {kind} in {tries} tries "
            f"(last: {last.what}); {len(self.answers.known)} answers are kept: start the server "
            "again, run the same command; see also runtime.llm.timeout"
        )

    def counts(self) -> dict[str, Any]:
        """Questions, tokens, cost and malformed replies; the same after a resumed run."""
        price = self.settings.price
        cost = self.used["prompt_tokens"] * price.prompt
        cost += self.used["completion_tokens"] * price.completion
        return {
            **{name: self.used[name] for name in ("questions", "repaired")},
            **{name: self.used[name] for name in ("prompt_tokens", "completion_tokens")},
            "cost": cost / 1e6,
            "malformed": dict(sorted(self.malformed.items())),
            "unresolved": len(self.unresolved),
        }

    def tell(self, stage: str) -> None:
        """One line on what this run did itself."""
        print(
            f"{stage}: {self.used['questions']} questions, {self.asked} replies asked for, "
            f"{self.retries} tried again, {len(self.unresolved)} unresolved"
            f"{self.dealer.told()}",
            file=sys.stderr,
        )


def _wanted_pause(answer: Page) -> float:
    """Seconds of a Retry-After header, at most a minute."""
    wanted = answer.headers.get("Retry-After", "")
    return min(float(wanted), 60.0) if wanted.replace(".", "", 1).isdigit() else 0.0
