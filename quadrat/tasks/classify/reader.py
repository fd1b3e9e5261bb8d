"""Network outputs of one picture -> calibrated probabilities of its classes, checked, and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quadrat.errors import ClassesError, EngineRunError, ManifestError, ParameterError
from quadrat.package.labels import LabelWords
from quadrat.tasks.embed.task import unit
from quadrat.types import ModelPackage, OutputSpec

ROLES = ("logits", "scores", "features")
"""Roles of a classifier's outputs: `logits` are values before the activation, `scores` are probabilities."""
SUM = 0.02
"""How far the sum of probabilities may be from 1, as after rounding to bf16."""
BEYOND = 1e-3
"""How far a probability may be outside 0 to 1, as after rounding."""
_FAR = 700.0
"""Values further from 0 than this overflow in an exponential; their sigmoid is 0 or 1."""
LEAST = 2.0**-24
"""Probabilities of independent labels nearer to 0 or 1 than this are rounded off; it stands for them in a logarithm."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreReader:
    """Reads the outputs of a classifier with `count` classes.

    `values` names the output with one number per class, `features` the one with the feature vector, "" for none;
    `activation` turns the numbers into probabilities. `binary` is True if one number stands for two classes: it is
    the probability of the second.
    """

    model: str
    count: int
    values: str
    features: str
    activation: str
    temperature: float
    multi_label: bool
    binary: bool

    @classmethod
    def of(
        cls, package: ModelPackage, outputs: Sequence[OutputSpec], words: LabelWords, *, features: bool
    ) -> ScoreReader:
        """Find the outputs of a loaded network.

        Raises ManifestError if none can be identified or the activation does not fit, ClassesError unless there is
        one number for each class, and ParameterError for features that the archive does not have.
        """
        known = {spec.name: spec for spec in outputs}
        role, values = _find(package, known)
        if package.num_classes is None:
            raise ClassesError(
                "it lists no classes", where="meta.json: classes", hint="List each class with its name"
            )
        activation = words.activation or ("none" if role == "scores" else _usual(words))
        binary = _binary(package, _length(known[values]), activation, words)
        vector = package.outputs.get("features", "") if features else ""
        if features and vector not in known:
            raise ParameterError(
                f"the model {package.name!r} gives no features", where="features",
                hint="Leave --features out, or export the model with its feature vector",
            )  # fmt: skip
        return cls(
            package.name, package.num_classes, values, vector, activation, words.temperature, words.multi_label, binary
        )  # fmt: skip

    @property
    def wanted(self) -> tuple[str, ...]:
        """The outputs to request for every picture."""
        return (self.values, self.features) if self.features else (self.values,)

    def read(self, arrays: Mapping[str, NDArray[Any]], *, calibrated: bool = True) -> NDArray[np.float32]:
        """Return the probabilities (K,) float32 of the classes; without `calibrated`, at a temperature of 1.

        Raises EngineRunError for NaN and infinity, ClassesError for another number of values, and ManifestError for
        values that are no probabilities although the archive says so.
        """
        values = self._vector(arrays, self.values).astype(np.float64)
        if len(values) != (1 if self.binary else self.count):
            raise ClassesError(
                f"the network gives {len(values)} values, but meta.json lists {self.count} classes",
                where=self.model,
            )
        if not np.isfinite(values.max()) or np.isnan(values).any():
            raise EngineRunError("the network gave NaN or infinite scores", where=self.model)
        temperature = self.temperature if calibrated else 1.0
        if self.activation == "none":
            values = self._checked(values)
            if temperature == 1.0:
                return self._both(values)
            values = _logits(values, independent=self.multi_label or self.binary)
        values /= temperature
        return self._both(_softmax(values) if not (self.multi_label or self.binary) else _sigmoid(values))

    def read_features(self, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
        """Return the feature vector (D,) float32; None if it is not requested. Raises VectorError for NaN and zeros."""
        if not self.features:
            return None
        vector = self._vector(arrays, self.features).astype(np.float32)
        unit(vector, self.model)  # it must have a direction
        return vector

    def _vector(self, arrays: Mapping[str, NDArray[Any]], name: str) -> NDArray[Any]:
        """Return an output as a vector; (K, 1, 1) is one too."""
        if name not in arrays:
            raise EngineRunError("the engine returned none of the requested outputs", where=self.model)
        array = arrays[name]
        if not array.size or array.dtype.kind not in "biuf":
            raise EngineRunError(f"output {name!r} holds no numbers", where=self.model)
        if array.size != max(array.shape, default=1):
            raise ManifestError(
                f"output {name!r} has the shape {array.shape} for a picture, but must be one vector",
                where="meta.json: outputs", hint="Export the network with its pooling",
            )  # fmt: skip
        return array.reshape(-1)

    def _checked(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities inside 0 to 1; ManifestError for values that are none."""
        low, high, total = float(values.min()), float(values.max()), float(values.sum())
        if low < -BEYOND or high > 1 + BEYOND:
            raise ManifestError(
                f"the network gives {low if low < -BEYOND else high:.4g}, which is no probability",
                where="meta.json: classify.activation", hint="State softmax or sigmoid, and name the output logits",
            )  # fmt: skip
        if not (self.multi_label or self.binary) and abs(total - 1) > SUM:
            raise ManifestError(
                f"the probabilities of a picture sum to {total:.4g}, not to 1",
                where="meta.json: classify", hint='If several labels can hold at once, state "multi-label": true',
            )  # fmt: skip
        return np.clip(values, 0.0, 1.0)

    def _both(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the probabilities of both classes if one value stands for two."""
        if self.binary:
            values = np.array([1 - values[0], values[0]])
        return values.astype(np.float32)


def _find(package: ModelPackage, known: Mapping[str, OutputSpec]) -> tuple[str, str]:
    """Return role and name of the output with the values of the classes."""
    for role in ("logits", "scores"):
        if role in package.outputs:
            if package.outputs[role] in known:
                return role, package.outputs[role]
            raise ManifestError(
                f"the network has no output {package.outputs[role]!r}, only {', '.join(known)}",
                where=f"meta.json: outputs.{role}",
            )
    others = [name for name in known if name != package.outputs.get("features")]
    if len(others) == 1:
        return "logits", others[0]
    raise ManifestError(
        f"the network has the outputs {', '.join(others) or '(none)'}, and nothing says which one has the classes",
        where="meta.json: outputs", hint='State {"logits": NAME}, or {"scores": NAME} for probabilities',
    )  # fmt: skip


def _usual(words: LabelWords) -> str:
    return "sigmoid" if words.multi_label else "softmax"


def _length(spec: OutputSpec) -> int | None:
    """Return the number of values of an output, whose first axis is the batch; None if it is not fixed."""
    own = [length for length in spec.shape[1:] if length != 1]
    return own[0] if len(own) == 1 else None if own else 1


def _binary(package: ModelPackage, length: int | None, activation: str, words: LabelWords) -> bool:
    """Return True if one value stands for two classes. Raises ClassesError and ManifestError for what does not fit."""
    count = package.num_classes
    binary = length == 1 and count == 2 and not words.multi_label and activation != "softmax"
    if length is not None and length != count and not binary:
        raise ClassesError(
            f"the network gives {length} values, but meta.json lists {count} classes",
            where=package.name, hint="List every class of the network once, in the order of its output",
        )  # fmt: skip
    if count == 1 and not words.multi_label:
        raise ClassesError(
            "one class leaves nothing to choose from", where="meta.json: classes",
            hint='List what the picture is otherwise, such as "other", or state "multi-label": true',
        )  # fmt: skip
    if activation == "sigmoid" and not (words.multi_label or binary):
        raise ManifestError(
            f"a sigmoid for each of {count} classes gives labels that can hold at once", where="meta.json: classify",
            hint='State "multi-label": true, or the activation softmax',
        )  # fmt: skip
    return binary


def _softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(values - values.max())
    return np.asarray(shares / shares.sum())


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -_FAR, _FAR))))


def _logits(shares: NDArray[np.float64], *, independent: bool) -> NDArray[np.float64]:
    """Return values whose softmax or sigmoid gives these probabilities, so that a temperature can be applied."""
    if independent:
        known = np.clip(shares, LEAST, 1 - LEAST)
        return np.asarray(np.log(known) - np.log1p(-known))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(shares))
