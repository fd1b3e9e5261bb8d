"""Every parameter of the service, once: type, range, default, unit, help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["int", "float", "bool", "option", "string", "artifact", "collection"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter; `kind` is the platform's word for its type.

    `default` None means: must be given, unless `optional`. `low` and `high` are inclusive.
    """

    name: str
    kind: Kind
    help: str
    default: int | float | str | None = None
    optional: bool = False
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    since: str = "original"

    @property
    def field(self) -> str:
        """The parameter's name as a Python identifier."""
        return self.name.replace("-", "_")


NAME = "infer-with-paddle-paddle"
"""The service's name on the platform, as its users know it."""
DESCRIPTION = "Measures images and videos with your model: masks and cover, objects and tracks, and a table of the survey."
MEMORY, CPU, DISK = "5Gi", "2", "8Gi"
"""What an order asks of the platform, as Kubernetes quantities."""

OUTPUTS = ("pseudo", "labels", "confidence", "overlay", "annotated", "none")

PARAMETERS: tuple[Parameter, ...] = (
    Parameter("model", "artifact", "Model archive (model.tgz) made by export_model."),
    Parameter(
        "images", "collection", "Images to measure: a collection, or a folder.", optional=True
    ),
    Parameter(
        "image", "artifact", "One image to measure, in place of images; on a laptop a folder is taken too.", optional=True, since="1"
    ),
    Parameter(
        "max-img-size",
        "int",
        "Shrink an image to at most this many pixels before measuring; -1 leaves it as it is. The default "
        "is for masks of whole images and frames: tiles and detectors take every image as it is.",
        default=1_000_000,
        unit="pixels",
        low=-1,
        high=10**12,
    ),
    Parameter(
        "batch-size", "int", "Images, tiles or frames of one size that go through the network at once.",
        default=1, unit="images", low=1, high=1024,
    ),
    Parameter(
        "device", "option", "Where the network runs. gpu without a GPU is an error.",
        default="cpu", choices=("cpu", "gpu"),
    ),
    Parameter("use-trt", "bool", "Run through TensorRT. Needs device=gpu."),
    Parameter(
        "precision", "option",
        "Number format of the network: fp32 is exact, bf16 is faster where the CPU has it, "
        "fp16 needs a GPU or a CPU that has it, int8 needs use-trt with the paddle engine.",
        default="fp32", choices=("fp32", "bf16", "fp16", "int8"),
    ),
    Parameter(
        "min-subgraph-size", "int", "Smallest part of the network that TensorRT takes over. Used with use-trt.",
        default=3, unit="operators", low=1, high=10_000,
    ),
    Parameter(
        "enable-auto-tune", "bool",
        "Collect TensorRT's input shapes from the first images. Needs use-trt.",
    ),
    Parameter(
        "cpu-threads", "int", "Threads of the network on the CPU; never more than the machine has.",
        default=10, unit="threads", low=1, high=4096,
    ),
    Parameter(
        "enable-mkldnn", "bool",
        "Insist on oneDNN on the CPU. The openvino engine always has it, paddle uses it where the model allows, "
        "onnx has none and is refused.",
    ),
    Parameter(
        "benchmark", "bool",
        "Warm up with the first batch and log machine, model, settings and the time of every stage.",
    ),
    Parameter(
        "model-name", "string", "Name of the model in the log.", optional=True
    ),
    Parameter(
        "with-argmax", "bool",
        "Take the class from the network's scores, not from its own argmax. Refused where the archive gives no scores.",
    ),
    Parameter("print-detail", "bool", "Log what the engine says of itself."),
    Parameter(
        "engine", "option", "Engine that runs the network; auto takes the first that can.",
        default="auto", choices=("auto", "openvino", "onnx", "paddle"), since="1",
    ),
    Parameter(
        "result-size", "option",
        "Size of masks and counts: working is the size after max-img-size, source is the image's own.",
        default="working", choices=("working", "source"), since="1",
    ),
    Parameter(
        "outputs", "string",
        "Pictures to deliver for each image, separated by commas: " + ", ".join(OUTPUTS) + ". "
        "auto is pseudo for masks (overlay in videos) and annotated for objects; none delivers tables only.",
        default="auto", since="1",
    ),
    Parameter(
        "on-error", "option", "What an image or video that cannot be measured does: skip goes on, stop ends the order.",
        default="skip", choices=("skip", "stop"), since="1",
    ),
    Parameter(
        "max-failures", "int", "End the order when more images or videos than this have failed; -1 sets no limit.",
        default=-1, unit="images", low=-1, high=10**9, since="1",
    ),
    Parameter(
        "min-confidence", "float",
        "Count pixels below this confidence as unknown; 0 counts all. Refused where the archive gives no confidence.",
        default=0.0, low=0.0, high=1.0, since="1",
    ),
    Parameter("videos", "collection", "Videos to measure: a collection, or a folder; a folder of images in it is a sequence.",
        optional=True, since="2",
    ),
    Parameter("video", "artifact", "One video to measure; on a laptop a folder is taken as videos takes it.",
        optional=True, since="2",
    ),
    Parameter("streams", "string", "Addresses of live streams (rtsp, http, udp and others), separated by spaces.",
        optional=True, since="2",
    ),
    Parameter("tile-size", "int", "Cut each image into square tiles of this side, best the size that the network was trained at; 0 does not cut.",
        default=0, unit="pixels", low=0, high=65536, since="2",
    ),
    Parameter("tile-overlap", "int", "Least overlap of neighbouring tiles; -1 is a fifth of the tile.",
        default=-1, unit="pixels", low=-1, high=65535, since="2",
    ),
    Parameter("full-frame", "bool", "Besides the tiles, detect on the whole image too. Needs tile-size.", since="2"),
    Parameter("merge", "option", "How boxes of one object from several tiles become one: ios (overlap over the smaller box), "
        "iou (overlap over the union), wbf (mean weighted by score).",
        default="ios", choices=("ios", "iou", "wbf"), since="2",
    ),
    Parameter("merge-threshold", "float", "Overlap from which boxes of different tiles are one object.",
        default=0.5, low=0.0, high=1.0, since="2",
    ),
    Parameter("min-score", "float",
        "Keep objects with at least this score; bytetrack also keeps fainter ones that it follows already.", default=0.25, low=0.0, high=1.0, since="2"),
    Parameter("nms-threshold", "float", "Overlap (IoU) from which the weaker of two boxes of one class is dropped, "
        "for networks that leave this to the caller.", default=0.5, low=0.0, high=1.0, since="2",
    ),
    Parameter("max-detections", "int", "Keep at most so many objects of an image, the best first; an image with more is partial.",
        default=1000, unit="objects", low=1, high=100_000, since="2",
    ),
    Parameter("frame-step", "int", "Take every n-th frame of a video.", default=1, unit="frames", low=1, high=10**6, since="2"),
    Parameter("frame-seconds", "float", "Take one frame in so many seconds of a video; 0 goes by frame-step.",
        default=0.0, unit="seconds", low=0.0, high=86400.0, since="2",
    ),
    Parameter("sequence-rate", "float", "Frames per second of a sequence of images.",
        default=10.0, unit="frames/s", low=0.001, high=1000.0, since="2",
    ),
    Parameter("read-mode", "option", "For streams: every frame waits its turn, or the latest one is taken and older ones are dropped "
        "and counted. Files always give every frame.", default="every", choices=("every", "latest"), since="2",
    ),
    Parameter("stall-seconds", "float", "A stream without a frame for so long is connected anew.",
        default=10.0, unit="seconds", low=0.1, high=3600.0, since="2",
    ),
    Parameter("reconnect-seconds", "float", "A stream that cannot be reached for so long is given up.",
        default=60.0, unit="seconds", low=0.0, high=86400.0, since="2",
    ),
    Parameter("stream-seconds", "float", "End a stream after so many seconds; 0 goes on until it ends or the order is stopped.",
        default=0.0, unit="seconds", low=0.0, high=10**7, since="2",
    ),
    Parameter("sources-at-once", "int", "Videos, or sequences, read side by side; streams are all read at once.",
        default=4, unit="sources", low=1, high=256, since="2",
    ),
    Parameter("skip-black", "bool", "Do not measure frames that are black all over.", since="2"),
    Parameter("idle-seconds", "float", "After a frame without objects, do not measure its source's next so many seconds; 0 measures all.",
        default=0.0, unit="seconds", low=0.0, high=86400.0, since="2",
    ),
    Parameter("tracker", "option", "How objects are followed through a video: by motion (sort, bytetrack, ocsort), by motion and look "
        "(deepsort), or not at all.",
        default="bytetrack", choices=("none", "sort", "bytetrack", "ocsort", "deepsort"), since="2",
    ),
    Parameter("max-age", "int", "A track ends when its object is unseen for more frames than this.",
        default=30, unit="frames", low=0, high=10**6, since="2",
    ),
    Parameter("min-hits", "int", "A track counts once its object was seen in so many frames in a row; the first of them (up to 5) then belong to it, too.",
        default=2, unit="frames", low=1, high=1000, since="2",
    ),
    Parameter("track-across-classes", "bool", "Let a track go on when the class of its object changes.", since="2"),
    Parameter("smooth-labels", "option", "Class of a tracked object: of each frame (none), or over the last frames the most frequent (mode), "
        "the median, or the one with most score (score). Needs track-across-classes.",
        default="none", choices=("none", "mode", "median", "score"), since="2",
    ),
    Parameter("smooth-frames", "int", "Frames that smooth-labels looks back on.", default=15, unit="frames", low=1, high=10_000, since="2"),
    Parameter("smooth-seconds", "float", "Seconds that smooth-labels looks back on; 0 goes by smooth-frames.",
        default=0.0, unit="seconds", low=0.0, high=3600.0, since="2",
    ),
    Parameter("codec", "option", "Codec of annotated videos, all in mp4: h264 plays everywhere, vp9 and av1 are free of patents.",
        default="h264", choices=("h264", "vp9", "av1"), since="2",
    ),
    Parameter("config", "artifact", "Settings by name, as JSON or YAML: a file, or an artifact on the platform. The run.json of an earlier "
        "order is one, too. What the order gives goes before them.",
        optional=True, since="3",
    ),
)  # fmt: skip
