"""What an order measures, and with which model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from quadrat.parameters.declare import Group, parameter


@dataclass(frozen=True, slots=True)
class Inputs(Group):
    """What is measured, and with which model. The values go to the store and are not settings."""

    title: ClassVar[str] = "inputs"
    about: ClassVar[str] = "The model or models, and exactly one of image, images, video, videos and streams."

    model: str | None = parameter(
        "artifact", "Model archive (model.tgz) made by export_model; task=enhance can do without."
    )
    models: str | None = parameter(
        "collection",
        "Several model archives, instead of model. Each image is decoded once for all of them. A collection, or "
        "locally a folder of archives or paths separated by commas.",
        since="4",
    )
    images: str | None = parameter(
        "collection",
        "Images to measure: a collection, or locally a folder or a list of instances (JSON lines).",
    )
    image: str | None = parameter(
        "artifact", "One image to measure, instead of images; locally also a folder.", since="1"
    )
    videos: str | None = parameter(
        "collection",
        "Videos to measure: a collection, or locally a folder. A folder that contains only images is a sequence.",
        since="2",
    )
    video: str | None = parameter(
        "artifact", "One video to measure, instead of videos; locally also a folder.", since="2"
    )
    streams: str | None = parameter(
        "string", "Addresses of live streams (rtsp, http, udp and others), separated by spaces.", since="2"
    )
    config: str | None = parameter(
        "artifact",
        "A file with settings by name, as JSON or YAML: a local file, or an artifact on the platform. The run.json "
        "of an earlier order also works. Parameters of the order override the file.",
        since="3",
    )


@dataclass(frozen=True, slots=True)
class ResultFolder(Group):
    """What happens to results that are already there. The values go to the store and are not settings."""

    title: ClassVar[str] = "results"
    about: ClassVar[str] = "What happens to results that are already in the local folder of results."

    into: str | None = parameter(
        "string",
        "Deliver into a folder of this name in the folder of results; for local folders only.",
        since="5",
    )
    overwrite: bool = parameter(
        "bool",
        "Replace the results of an earlier order in the folder of results. Without it, the same order continues "
        "them, and another order is refused; for local folders only.",
        since="5",
    )


@dataclass(frozen=True, slots=True)
class IndexInput(Group):
    """The index that an order begins with. The value goes to the store and is not a setting."""

    title: ClassVar[str] = "index"
    about: ClassVar[str] = "The index that an order searches in, or appends to."

    from_index: str | None = parameter(
        "artifact",
        "An index.tgz of an earlier order: task=search looks in it, and index appends to it. It is not changed; the "
        "order delivers a new one.",
        since="6",
    )
