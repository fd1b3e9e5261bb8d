"""Parameters of pictures, failures and logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import MASKS, MOVING, OBJECTS, Group, parameter
from quadrat.parameters.searches import SEARCH

TASK_CHOICES = ("segment", "detect", "classify", "embed", "enhance", SEARCH)
"""Values of the parameter `task`: all tasks of models, and what needs no archive that states it."""
OUTPUTS = ("pseudo", "labels", "confidence", "overlay", "annotated", "labelled", "enhanced", "joined", "none")
"""Names of the pictures that the tasks can draw, and none."""


@dataclass(frozen=True, slots=True)
class PictureSettings(Group):
    """Which pictures and videos are delivered."""

    title: ClassVar[str] = "pictures"
    about: ClassVar[str] = "Which pictures and videos are delivered."

    outputs: tuple[str, ...] = parameter(
        "string",
        "Pictures to deliver for each image, separated by commas: " + ", ".join(OUTPUTS) + ". "
        "auto is pseudo for masks (overlay in videos), annotated for objects, labelled for labels and enhanced for "
        "task=enhance, and with several models also joined for images; joined shows what all models found; none delivers "
        "only tables.",
        default="auto",
        unset=(),
        since="1",
    )
    overlay_style: str = parameter(
        "option",
        "How an overlay shows classes: tinted (tint), by the outlines between them (outline), or tinted with the "
        "photograph beside it (beside).",
        default="tint",
        choices=("tint", "outline", "beside"),
        tasks=MASKS,
        since="5",
    )
    overlay_opacity: float = parameter(
        "float",
        "How strongly an overlay tints: 0 shows only the photograph and outlines, 1 only the classes.",
        default=0.45,
        low=0.0,
        high=1.0,
        tasks=MASKS,
        since="5",
    )
    box_labels: str = parameter(
        "option",
        "Labels of boxes: beside the objects and fewer in crowds (auto), for every box (all), or none.",
        default="auto",
        choices=("auto", "all", "none"),
        tasks=OBJECTS,
        since="5",
    )
    codec: str = parameter(
        "option",
        "Codec of annotated videos, all in mp4: h264 plays everywhere, vp9 and av1 are royalty-free.",
        default="h264",
        choices=("h264", "vp9", "av1"),
        media=MOVING,
        since="2",
    )


@dataclass(frozen=True, slots=True)
class OrderSettings(Group):
    """What an order does, how it deals with failures, and what it logs."""

    title: ClassVar[str] = "order"
    about: ClassVar[str] = "What an order does, how it deals with failures, and what it logs."

    task: str | None = parameter(
        "option",
        "What to do. Without it, the archives say. enhance needs no model; search looks in a given index; any other task needs archives that state it.",
        choices=TASK_CHOICES,
        since="6",
    )
    on_error: str = parameter(
        "option",
        "What to do with an image or video that cannot be measured: skip it, or stop the order.",
        default="skip",
        choices=("skip", "stop"),
        since="1",
    )
    max_failures: int = parameter(
        "int",
        "End the order when more than this many images or videos have failed; -1 sets no limit.",
        default=-1,
        unit="images",
        low=-1,
        high=10**9,
        since="1",
    )
    retry_seconds: float = parameter(
        "float",
        "Repeat a request that the platform cannot answer at the moment for at most this long; 0 does not repeat it. "
        "Local runs ignore it.",
        default=300.0,
        unit="seconds",
        low=0.0,
        high=86_400.0,
        since="5",
    )
    executor: str = parameter(
        "option",
        "Where networks run: in a child process with limits, so that one that crashes costs only the image that it "
        "was on (isolated), or in this process (local).",
        default="isolated",
        choices=("isolated", "local"),
        since="4",
    )
    benchmark: bool = parameter(
        "bool", "Warm up with the first batch, and log the machine, model, settings and time of each stage."
    )
    model_name: str = parameter(
        "string", "Name of the model to use in the log, if there is only one model.", unset=""
    )
