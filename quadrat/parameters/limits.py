"""Parameters of the limits on networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import Group, parameter


@dataclass(frozen=True, slots=True)
class LimitSettings(Group):
    """How much time and memory a network may take."""

    title: ClassVar[str] = "limits"
    about: ClassVar[str] = "How much time and memory a network may take. They need executor=isolated."

    memory_limit: int | None = parameter(
        "int",
        "Most memory that the process of a network may take. If unset, it is nine tenths of what is free at its start.",
        unit="MB",
        low=100,
        high=10**8,
        since="5",
    )
    load_seconds: float | None = parameter(
        "float",
        "Most seconds to read a network, for all engines that auto tries. If unset, 240, or 1200 on a GPU.",
        unit="seconds",
        low=1.0,
        high=86400.0,
        since="5",
    )
    source_seconds: float | None = parameter(
        "float",
        "Most seconds that a network may take for one image, or for one frame of a video. If unset, each run has "
        "60, and 60 more for each million pixels of its input.",
        unit="seconds",
        low=0.1,
        high=10**7,
        since="5",
    )


@dataclass(frozen=True, slots=True)
class InstanceSettings(Group):
    """How long a list of instances may be."""

    title: ClassVar[str] = "instances"
    about: ClassVar[str] = "How long a list of instances (JSON lines, given as images) may be."

    max_instances: int = parameter(
        "int",
        "Most instances of a list; a list with more is refused before any of them is measured.",
        default=100_000,
        unit="instances",
        low=1,
        high=10**9,
        media=("image",),
        since="6",
    )
    max_instance_bytes: int = parameter(
        "int",
        "Most bytes of one instance as it is written in its list; a longer one fails, and is not read into memory.",
        default=40_000_000,
        unit="bytes",
        low=1000,
        high=10**9,
        media=("image",),
        since="6",
    )
