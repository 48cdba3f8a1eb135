"""Questions to an OpenAI-compatible server: bounded concurrency, retries, each answer kept once."""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import openai

from kmerl.knowledge.backend import MiningError, Unresolved
from kmerl.knowledge.vllm import prompts
from kmerl.knowledge.vllm.answers import Answers, key
from kmerl.knowledge.vllm.connection import http_client, refused
from kmerl.knowledge.vllm.prompts import Question
from kmerl.knowledge.vllm.replies import MalformedError, Reply
from kmerl.knowledge.vllm.settings import LLM
from kmerl.progress import Meter
from kmerl.runtime import Server


class UnreadableError(Exception):
    """What came with status 200 is no completion: a page, half of one, JSON of another shape."""


API_KEY = "KMERL_LLM_API_KEY"  # environment variable; never in params.yaml
KEY_IS_WRONG = f"401 and 403: set {API_KEY}"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries
PASSING = (  # faults that another try may mend
    UnreadableError,
    openai.APIConnectionError,  # the time-out is one of these
    openai.RateLimitError,
    openai.InternalServerError,
    openai.ConflictError,
    TimeoutError,
)
REJECTED = (openai.BadRequestError, openai.UnprocessableEntityError)

Answer = TypeVar("Answer")


class LLMError(MiningError):
    """The server cannot be used; the message says what to do and holds no report text."""


@dataclass(frozen=True)
class Running:
    """A server that answers. `alive()` raises an LLMError where it is known to have stopped."""

    base_url: str
    api_key: str | None
    alive: Callable[[], None] = lambda: None


class Client:
    """Asks one model; keeps answers, counts what it used and lists what stayed unresolved."""

    def __init__(self, settings: LLM, machine: Server, answers: Answers, running: Running) -> None:
        logging.getLogger("openai").setLevel(logging.WARNING)  # it can log whole requests
        self.settings, self.machine = settings, machine
        self.answers, self.running = answers, running
        self.asked = self.retries = 0  # of this run; not among the counts, which a resume keeps
        self.used: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.unresolved: list[Unresolved] = []

    def ask(
        self, questions: Sequence[Question], read: Callable[[int, Reply], Answer], what: str
    ) -> list[Answer | None]:
        """What `read(index, reply)` makes of each reply, in the order of the questions.

        A malformed reply is asked for once more with a repair prompt; if that is malformed too the
        question is unresolved, and what could be read of it (or None) stands.

        Raises:
            LLMError: the server is out of reach or refuses to serve; answers so far are kept.
        """
        try:
            return asyncio.run(self._ask(questions, read, what))
        except BaseExceptionGroup as group:  # of the workers: the first tells what happened
            raise group.exceptions[0] from None

    async def _ask(
        self, questions: Sequence[Question], read: Callable[[int, Reply], Answer], what: str
    ) -> list[Answer | None]:
        results: list[Answer | None] = [None] * len(questions)
        waiting = iter(enumerate(questions))
        meter = Meter(what, len(questions), "questions")

        async def work(client: openai.AsyncOpenAI) -> None:
            for index, question in waiting:
                results[index] = await self._resolve(client, index, question, read)
                meter.advance()

        async with openai.AsyncOpenAI(
            base_url=self.running.base_url,
            api_key=self.running.api_key or "none",
            max_retries=0,
            timeout=self.machine.timeout,
            http_client=http_client(),
        ) as client:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self.machine.concurrency, len(questions))):
                        workers.create_task(work(client))
            finally:
                meter.close()
        return results

    async def _resolve(
        self,
        client: openai.AsyncOpenAI,
        index: int,
        question: Question,
        read: Callable[[int, Reply], Answer],
    ) -> Answer | None:
        self.used["questions"] += 1
        reply = await self._reply(client, question)
        try:
            return read(index, reply)
        except MalformedError as fault:
            self.malformed[fault.reason] += 1
            first = fault
        if reply.finish != "rejected":  # the repair, which is longer, would be so too
            again = prompts.repaired(question, reply.text, first.reason, self.settings)
            reply = await self._reply(client, again)
        try:
            answer = read(index, reply)
        except MalformedError as fault:
            self.unresolved.append(Unresolved(question.about, fault.reason, reply.text))
            partial: Answer | None = first.partial if fault.partial is None else fault.partial
            return partial
        self.used["repaired"] += 1
        return answer

    async def _reply(self, client: openai.AsyncOpenAI, question: Question) -> Reply:
        body = self._body(question)
        known = key({**body, "revision": self.settings.revision, "prompts": prompts.version()})
        reply = self.answers.get(known)
        if reply is None:
            reply = await self._request(client, body, question.kind)
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

    async def _request(self, client: openai.AsyncOpenAI, body: dict[str, Any], kind: str) -> Reply:
        """One request, tried again after passing faults with growing pauses."""
        pause = FIRST_PAUSE
        for attempt in range(self.machine.retries + 1):
            try:
                async with asyncio.timeout(self.machine.timeout):
                    return await _post(client, body)
            except REJECTED:
                return Reply("", "rejected", 0, 0)
            except PASSING as error:
                self.running.alive()
                if attempt == self.machine.retries:
                    raise LLMError(self._gave_up(kind, error)) from None
                self.retries += 1
                await asyncio.sleep(max(pause, _wanted_pause(error)))
                pause = min(2 * pause, LONGEST_PAUSE)
            except openai.APIStatusError as error:
                advice = KEY_IS_WRONG, f"404: is {self.settings.model!r} what the server serves?"
                what = refused(self.running.base_url, error.status_code, *advice)
                raise LLMError(what) from None
        raise AssertionError("the last try returns or raises")

    def _gave_up(self, kind: str, error: Exception) -> str:
        status = getattr(error, "status_code", None)
        what = f"status {status}" if status else type(error).__name__
        return (
            f"{self.running.base_url} gave no answer to a question of kind {kind} in "
            f"{self.machine.retries + 1} tries (last: {what}); {len(self.answers.known)} answers "
            "are kept: start the server again, run the same command; see also runtime.llm.timeout"
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
            f"{self.retries} tried again, {len(self.unresolved)} unresolved",
            file=sys.stderr,
        )


async def _post(client: openai.AsyncOpenAI, body: dict[str, Any]) -> Reply:
    given = {name: value for name, value in body.items() if name != "structured_outputs"}
    extra = {name: value for name, value in body.items() if name == "structured_outputs"}
    try:
        answer = await client.chat.completions.create(**given, extra_body=extra or None)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or of no use: numbers, depth
        raise UnreadableError from None
    try:
        return _reply(answer)  # the library checks no types
    except (AttributeError, LookupError, TypeError, ValueError):
        raise UnreadableError from None


def _reply(answer: openai.types.chat.ChatCompletion) -> Reply:
    if not answer.choices:
        return Reply("", "stop", 0, 0)
    choice, usage = answer.choices[0], answer.usage
    refused = choice.message.refusal
    text = choice.message.content or refused or ""
    return Reply(
        text.encode("utf-8", "replace").decode(),  # half a surrogate pair cannot be kept
        "refusal" if refused else choice.finish_reason or "stop",
        usage.prompt_tokens if usage else 0,
        usage.completion_tokens if usage else 0,
    )


def _wanted_pause(error: Exception) -> float:
    """Seconds of a Retry-After header, at most a minute."""
    response = getattr(error, "response", None)
    wanted = response.headers.get("retry-after", "") if response is not None else ""
    return min(float(wanted), 60.0) if wanted.replace(".", "", 1).isdigit() else 0.0
