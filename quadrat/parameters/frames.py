"""Parameters of reading: which frames are measured, at which size, and how live streams are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import MOVING, OBJECTS, Group, parameter


@dataclass(frozen=True, slots=True)
class FrameSettings(Group):
    """Which frames are measured, and at which size."""

    title: ClassVar[str] = "frames"
    about: ClassVar[str] = "Which frames are measured, and at which size."

    max_img_size: int | str | None = parameter(
        "size",
        "Shrink an image or frame to at most this size before measuring: pixels in all (1000000 or 1MP), or the long "
        "side (1024px). -1 means no limit. A bare number counts pixels and is at least 50000. If unset, masks of whole "
        "images and frames use 1MP, and tiles and detectors keep the size.",
        shapes_result=True,
    )
    frame_step: int = parameter(
        "int",
        "Measure every Nth frame of a video.",
        default=1,
        unit="frames",
        low=1,
        high=10**6,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    frame_seconds: float = parameter(
        "float",
        "Sample one frame every N seconds; 0 uses frame-step.",
        default=0.0,
        unit="seconds",
        low=0.0,
        high=86400.0,
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    sequence_rate: float = parameter(
        "float",
        "Frames per second of a sequence of images.",
        default=10.0,
        unit="frames/s",
        low=0.001,
        high=1000.0,
        media=("video",),
        shapes_result=True,
        hints=(("stream", "Leave --sequence-rate out: a stream has the rate of its camera"),),
        since="2",
    )
    sources_at_once: int = parameter(
        "int",
        "Number of videos and sequences to read at once. Streams are always read all at once.",
        default=4,
        unit="sources",
        low=1,
        high=256,
        media=("video",),
        hints=(("stream", "Leave --sources-at-once out: streams are always read all at once"),),
        since="2",
    )
    skip_black: bool = parameter(
        "bool",
        "Skip frames that are entirely black.",
        media=MOVING,
        shapes_result=True,
        since="2",
    )
    skip_flagged: bool = parameter(
        "bool",
        "Do not measure images that are dark, flat, blurred or small, and leave duplicates out of the tables.",
        media=("image",),
        shapes_result=True,
        since="5",
    )
    sample_bits: int | None = parameter(
        "int",
        "Significant bits of images with 16-bit samples. If unset, tags of the file or its values show whether 8, 12, 14 "
        "or 16 bits are used.",
        unit="bits",
        low=8,
        high=16,
        media=("image", "video"),
        shapes_result=True,
        since="5",
    )
    idle_seconds: float = parameter(
        "float",
        "After a frame without objects, skip the source's frames for N seconds; 0 measures every frame.",
        default=0.0,
        unit="seconds",
        low=0.0,
        high=86400.0,
        tasks=OBJECTS,
        media=MOVING,
        shapes_result=True,
        since="2",
    )


@dataclass(frozen=True, slots=True)
class StreamSettings(Group):
    """How live streams are read."""

    title: ClassVar[str] = "streams"
    about: ClassVar[str] = "How live streams are read."

    read_mode: str = parameter(
        "option",
        "Measure every frame of a stream in turn (every), or always the latest one (latest). Older frames are then "
        "dropped and counted.",
        default="every",
        choices=("every", "latest"),
        media=("stream",),
        shapes_result=True,
        since="2",
    )
    stall_seconds: float = parameter(
        "float",
        "Reconnect to a stream that sends no frame for N seconds.",
        default=10.0,
        unit="seconds",
        low=0.1,
        high=3600.0,
        media=("stream",),
        shapes_result=True,
        since="2",
    )
    reconnect_seconds: float = parameter(
        "float",
        "Give up on a stream that cannot be reached for N seconds.",
        default=60.0,
        unit="seconds",
        low=0.0,
        high=86400.0,
        media=("stream",),
        shapes_result=True,
        since="2",
    )
    stream_seconds: float = parameter(
        "float",
        "Stop reading a stream after N seconds; 0 reads until it ends or the order is stopped.",
        default=0.0,
        unit="seconds",
        low=0.0,
        high=10**7,
        media=("stream",),
        shapes_result=True,
        since="2",
    )
