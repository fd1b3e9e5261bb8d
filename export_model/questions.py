"""Questions that the exporter cannot answer from the network: all are asked at once, in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quadrat.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Question:
    """What is open, and the options that answer it."""

    what: str
    options: str


def ask(questions: Sequence[Question], where: str) -> None:
    """Raise ParameterError that states all questions and their answers; do nothing if there are none."""
    if questions:
        raise ParameterError(
            "; and ".join(question.what for question in questions), where=where,
            hint="Give " + "; and ".join(question.options for question in questions),
        )  # fmt: skip
