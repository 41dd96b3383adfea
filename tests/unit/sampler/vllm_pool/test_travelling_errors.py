"""What a rollout worker's engine raises reaches the caller in words, whether or not it pickles."""

from __future__ import annotations

import pickle

import pydantic
import pytest

from sampler.vllm_pool.worker import travelling


@pydantic.dataclasses.dataclass
class Config:
    length: int

    @pydantic.model_validator(mode="before")
    @classmethod
    def refuse(cls, given: object) -> object:
        raise ValueError("the length is greater than the model's")


def test_an_error_that_does_not_pickle_leaves_its_words() -> None:
    """As vLLM's configuration raises it."""
    with pytest.raises(pydantic.ValidationError) as raised:
        Config(3)
    with pytest.raises(TypeError):
        pickle.dumps(raised.value)
    sent = pickle.loads(pickle.dumps(travelling(raised.value)))
    assert isinstance(sent, RuntimeError)
    assert "ValidationError" in str(sent) and "greater than the model's" in str(sent)


def test_others_travel_as_they_are() -> None:
    error = ValueError("too long")
    assert travelling(error) is error
