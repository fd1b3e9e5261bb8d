"""What the vectors of an index are: vectors of different embeddings cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quadrat.errors import IndexFileError

METRIC = "cosine"


@dataclass(frozen=True, slots=True)
class Identity:
    """The embedding that made the vectors: the `digest` (sha256) and `name` of its archive, and the `dimension`.

    Steps that change the pictures before follow the digest, as in "...+grey-world". `dimension` is 0 if it is not known yet.
    """

    digest: str
    name: str
    dimension: int = 0

    @property
    def shown(self) -> str:
        """The model for people: its name, the beginning of the digest, and the steps before it."""
        archive, _, steps = self.digest.partition("+")
        return f"{self.name!r} ({archive[:12]}{f', after {steps}' if steps else ''})"

    def facts(self) -> dict[str, str]:
        """Return what an index stores of it."""
        return {
            "embedding": self.digest,
            "embedding-name": self.name,
            "dimension": str(self.dimension),
            "metric": METRIC,
        }

    def check(self, other: Identity, where: str) -> None:
        """Raise IndexFileError if `other` made other vectors."""
        if self.digest != other.digest:
            raise IndexFileError(
                f"its vectors are those of the model {self.shown}, not of {other.shown}: they cannot be compared",
                where=where,
                hint=f"Give {self.shown}, or make a new index",
            )
        if self.dimension and other.dimension and self.dimension != other.dimension:
            raise IndexFileError(
                f"its vectors have {self.dimension} values, and new ones {other.dimension}", where=where
            )


def identity_in(facts: Mapping[str, str], where: str) -> Identity | None:
    """Return the embedding that an index names; None if it has no vectors. Raises IndexFileError for a wrong one."""
    if "embedding" not in facts:
        return None
    try:
        dimension = int(facts["dimension"])
    except (KeyError, ValueError):
        dimension = -1
    if not 0 < dimension <= 1 << 20 or facts.get("metric") != METRIC:
        raise IndexFileError("it does not say what its vectors are", where=where)
    return Identity(facts["embedding"], facts.get("embedding-name", ""), dimension)
