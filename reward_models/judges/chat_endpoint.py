"""A model behind an OpenAI-compatible chat endpoint, asked to choose between two words."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import random
import re
import time
from collections.abc import Mapping
from typing import Any, Self

import httpx

from reward_models.score import Score
from sampler.vision_input import VisionInput, data_url
from verifiers.errors import BadInput
from verifiers.verifier import shown

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 1 << 20
MAX_WAIT_S = 30.0
MAX_REPLY_TOKENS = 4  # one word; some tokenizers put a space or a line break before it
TOP_LOGPROBS = 20
RETRIED = frozenset({408, 425, 429})  # and every 5xx

_BEFORE = r"""[\s"'*`(\[]*(?:(?:response|answer)\s?:?\s?)?"""
_BEHIND = r"""[\s"'*`.)\]]*"""

Words = tuple[str, str]  # the replies that are one: two digits


class ChatEndpoint:
    """Gives the probability of the first of two words as the reply to a message.

    The key is read from the environment at each request and stands in no log and no error.

    Consumes: messages, from any thread. Waits for: the endpoint, `timeout_s` for each of 1 + `max_retries` tries.
    Unblocked by: a reply or that time. Produces: a probability, or `Unanswered`.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key_env: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 4,
        max_parallel: int = 8,
        backoff_s: float = 0.5,
        extra_body: Mapping[str, Any] | None = None,
    ) -> None:
        """`extra_body` goes over the request's own fields; a field set to None is left out. Raises `BadInput`."""
        if timeout_s <= 0 or max_retries < 0 or max_parallel < 1 or backoff_s < 0:
            raise BadInput("timeout_s > 0, max_retries and backoff_s >= 0, max_parallel >= 1 are needed")
        self._url = _endpoint(base_url)
        self.model, self.api_key_env = model, api_key_env
        self.timeout_s, self.max_retries, self.max_parallel = timeout_s, max_retries, max_parallel
        self._backoff_s = backoff_s
        self._extra_body = dict(extra_body or {})
        self._asks_logprobs = True
        self._key()
        self._client = httpx.Client(timeout=timeout_s, limits=httpx.Limits(max_connections=None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def choose(self, content: list[dict[str, Any]], words: Words) -> float:
        """Probability of the first word. A server that refuses `logprobs` is asked without them from then on.

        Raises: Unanswered where the reply is neither word, a refusal, or there is none.
        """
        if self._asks_logprobs:
            try:
                return self._ask(content, words, with_logprobs=True)
            except Unanswered as why:
                if why.status not in (400, 422):
                    raise
        probability = self._ask(content, words, with_logprobs=False)
        self._asks_logprobs = False
        return probability

    def _ask(self, content: list[dict[str, Any]], words: Words, *, with_logprobs: bool) -> float:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0,
            "max_tokens": MAX_REPLY_TOKENS,
        }
        if with_logprobs:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        body = {name: value for name, value in (body | self._extra_body).items() if value is not None}
        encoded = json.dumps(body).encode()  # ASCII: half a surrogate pair is escaped rather than raised on
        attempt = 0
        while True:
            try:
                return _reading(self._post(encoded), words)
            except Unanswered as why:
                if not why.retry or attempt >= self.max_retries:
                    raise
                wait_s = max(why.wait_s, self._backoff_s * 2**attempt * (0.5 + random.random()))
                attempt += 1
                log.info("%s: %s; try %d of %d", self.model, why, attempt + 1, self.max_retries + 1)
            time.sleep(min(wait_s, MAX_WAIT_S))

    def _post(self, body: bytes) -> bytes:
        """The reply's body. Raises `Unanswered`."""
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        key = self._key()
        if key:
            headers["Authorization"] = f"Bearer {key}"
        deadline = time.monotonic() + self.timeout_s
        reply = bytearray()
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                for chunk in response.iter_bytes():
                    reply += chunk
                    if len(reply) > MAX_REPLY_BYTES:
                        raise Unanswered(f"the reply has more than {MAX_REPLY_BYTES:,} bytes")
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("the reply drips")
        except httpx.TimeoutException:
            raise Unanswered(f"no reply within {self.timeout_s:g} s", retry=True, timed_out=True) from None
        except httpx.RequestError as why:
            raise Unanswered(_clean(f"{type(why).__name__}: {why}", key), retry=True) from None
        if response.status_code == 200:
            return bytes(reply)
        wait_s = response.headers.get("Retry-After", "")  # seconds, or a date, which is left alone
        said = "" if response.status_code in (401, 403) else reply.decode(errors="replace")
        raise Unanswered(
            _clean(f"HTTP {response.status_code} {said}", key),
            status=response.status_code,
            retry=response.status_code in RETRIED or response.status_code >= 500,
            wait_s=float(wait_s) if re.fullmatch("[0-9]{1,9}", wait_s) else 0.0,
        )

    def _key(self) -> str:
        """Raises `BadInput` where it is missing or no header could hold it, without showing it."""
        if self.api_key_env is None:
            return ""
        key = os.environ.get(self.api_key_env, "").strip()
        if not re.fullmatch(r"[!-~]+", key):
            raise BadInput(f"the environment variable {self.api_key_env} holds no usable key: set it")
        return key


class Unanswered(Exception):
    """No judgement: why, and whether to ask again."""

    def __init__(
        self,
        reason: str,
        *,
        status: int = 0,
        retry: bool = False,
        timed_out: bool = False,
        wait_s: float = 0.0,
    ) -> None:
        super().__init__(reason)
        self.status, self.retry, self.timed_out, self.wait_s = status, retry, timed_out, wait_s

    def as_score(self, who: str, *, seconds: float) -> Score:
        """No probability, and never a low one."""
        fail = Score.timed_out if self.timed_out else Score.failed
        return fail(f"{who}: {self}", seconds=seconds)


def text_part(text: str) -> dict[str, Any]:
    """A text of a message."""
    return {"type": "text", "text": text}


def vision_part(visual: VisionInput) -> dict[str, Any]:
    """A picture, or a video, which vLLM's servers take as they take a picture."""
    return {"type": f"{visual.kind}_url", f"{visual.kind}_url": {"url": data_url(visual.portable())}}


def mark_of(*texts: str) -> str:
    """A mark that the writer of any of the texts could not know."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]


def between_marks(label: str, text: str, mark: str) -> str:
    """A text that is to be read and never obeyed."""
    return f"{label}, between the marks {mark}:\n{mark}\n{text}\n{mark}"


def _reading(body: bytes, words: Words) -> float:
    """P(first word) from a reply: from the word's log-probabilities where given, else 0 or 1. Raises `Unanswered`."""
    try:
        choice = json.loads(body)["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, RecursionError, LookupError, TypeError):
        raise Unanswered("the reply is not a chat completion") from None
    if not isinstance(text, str):
        raise Unanswered("the reply holds no text (a refusal, or a thought that used up its tokens)")
    word, _, rest = text[:200].strip().partition("\n")
    either = f"[{''.join(words)}]"
    found = re.fullmatch(rf"{_BEFORE}({either}){_BEHIND}", word, re.IGNORECASE)
    if found is None or re.search(either, rest):
        raise Unanswered(f"the reply is neither {words[0]} nor {words[1]}: {shown(text, 60)!r}")
    probability = _from_logprobs(choice.get("logprobs"), found[1], words)
    return float(found[1] == words[0]) if probability is None else probability


def _from_logprobs(logprobs: Any, said: str, words: Words) -> float | None:
    """P(first) / (P(first) + P(second)) at the token that said it; None where they are missing or odd."""
    try:
        token = next(one for one in logprobs["content"] if _bare(one["token"]) == said)
        mass = dict.fromkeys(words, 0.0)
        for other in token["top_logprobs"]:
            if _bare(other["token"]) in mass:
                logprob = float(other["logprob"])
                if math.isnan(logprob) or logprob > 1e-3:
                    return None
                mass[_bare(other["token"])] += math.exp(logprob)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, StopIteration):
        return None
    total = sum(mass.values())
    return mass[words[0]] / total if total > 0.0 else None


def _bare(token: str) -> str:
    return token.strip(" \n\t.*\"'`()[]▁Ġ")


def _clean(text: str, key: str) -> str:
    return shown(text.replace(key, "***") if key else text, 160).strip()


def _endpoint(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise BadInput("base_url of an endpoint judge is no URL") from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query:
        raise BadInput(
            "base_url of an endpoint judge is http(s)://host/path, with no key in it (that goes into api_key_env)"
        )
    return f"{str(url).rstrip('/')}/chat/completions"
