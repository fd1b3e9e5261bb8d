"""Checks of combinations of values: each must have an effect, and not one that nobody wants."""

from __future__ import annotations

from quadrat.errors import ParameterError
from quadrat.parameters.declare import AUTO
from quadrat.parameters.engines import EngineSettings
from quadrat.parameters.orders import PictureSettings
from quadrat.parameters.results import TileSettings
from quadrat.parameters.searches import SEARCH, SearchSettings
from quadrat.parameters.settings import Settings
from quadrat.parameters.tracks import TrackingSettings

SMALLEST_TILE = 32


def check_combinations(settings: Settings) -> None:
    """Raise ParameterError for the first combination that is refused."""
    _check_engine(settings.engine)
    _check_tiles(settings.tiles)
    if settings.enhancement.enhance and settings.enhancement.compare:
        raise ParameterError(
            "compare says itself which steps each variant has",
            where="enhance, compare",
            hint="Leave one of them out; steps of one variant are joined by +, as in none,grey-world+clahe",
        )
    if settings.enhancement.compare and settings.frames.idle_seconds:
        raise ParameterError(
            "frames would be skipped by what the variants find, so that they could not be compared",
            where="compare, idle-seconds",
            hint="Leave one of them out",
        )
    if settings.enhancement.compare and settings.search.index:
        raise ParameterError(
            "an index has one value of each class, and compare gives one for each variant",
            where="compare, index",
            hint="Leave one of them out: an order without compare makes the index",
        )
    if settings.frames.frame_step > 1 and settings.frames.frame_seconds > 0:
        raise ParameterError(
            "frames are sampled by count or by time, not both",
            where="frame-step, frame-seconds",
            hint="Leave one of them out",
        )
    _check_tracking(settings.tracking)
    _check_pictures(settings.pictures)
    _check_search(settings.search, settings.order.task)


def _check_search(search: SearchSettings, task: str | None) -> None:
    usual = SearchSettings()
    for name in ("find", "where", "like_row", "max_results", "min_similarity"):
        if task != SEARCH and getattr(search, name) != getattr(usual, name):
            where = name.replace("_", "-")
            raise ParameterError(
                "it is about what to look for in an index", where=where, hint=f"Add --task {SEARCH}"
            )
    if search.find != "duplicates" and search.min_similarity != usual.min_similarity:
        raise ParameterError(
            "it has no effect without near-duplicates", where="min-similarity", hint="Add --find duplicates"
        )
    if search.find != "matches" and search.like_row is not None:
        raise ParameterError(
            f"{search.find} are found by comparing all rows", where="like-row", hint="Leave it or --find out"
        )


def _check_pictures(pictures: PictureSettings) -> None:
    usual = PictureSettings()
    if pictures.outputs == ("none",):
        for name in ("codec", "overlay_style", "overlay_opacity", "box_labels"):
            if getattr(pictures, name) != getattr(usual, name):
                where, what = name.replace("_", "-"), "video" if name == "codec" else "picture"
                raise ParameterError(
                    f"outputs is none, so no {what} is drawn",
                    where=where,
                    hint=f"Leave --{where} out, or choose other --outputs",
                )
    if pictures.overlay_style == "outline" and pictures.overlay_opacity != usual.overlay_opacity:
        raise ParameterError(
            "outlines are not tinted",
            where="overlay-opacity",
            hint="Leave --overlay-opacity or --overlay-style out",
        )


def _check_engine(engine: EngineSettings) -> None:
    if engine.use_trt and engine.device != "gpu":
        raise ParameterError("TensorRT runs only on a GPU", where="use-trt", hint="Add --device gpu")
    if engine.enable_auto_tune and not engine.use_trt:
        raise ParameterError(
            "it has no effect without TensorRT", where="enable-auto-tune", hint="Add --use-trt"
        )
    if engine.min_subgraph_size != EngineSettings().min_subgraph_size and not engine.use_trt:
        raise ParameterError(
            "it has no effect without TensorRT",
            where="min-subgraph-size",
            hint="Add --use-trt",
        )
    if engine.use_trt and engine.batch_size == AUTO:
        raise ParameterError(
            "TensorRT is built for one range of batch sizes, so none can be tried",
            where="batch-size",
            hint="Give a number, or leave --use-trt out",
        )
    if engine.tuning_seconds != EngineSettings().tuning_seconds and not engine.tunes:
        raise ParameterError(
            "nothing is tried without auto", where="tuning-seconds", hint="Add --batch-size auto"
        )
    if engine.cpu_threads == AUTO and engine.device == "gpu":
        raise ParameterError(
            "threads are those of the CPU", where="cpu-threads", hint="Leave it out, or use --batch-size auto"
        )
    if engine.precision == "int8" and not (engine.use_trt and engine.engine in ("auto", "paddle")):
        raise ParameterError(
            "int8 runs only in the paddle engine with TensorRT",
            where="precision",
            hint="Add --device gpu --use-trt --engine paddle, or choose fp32 or bf16",
        )
    if engine.precision == "bf16" and engine.device == "gpu":
        raise ParameterError("bf16 runs only on a CPU", where="precision", hint="Choose fp16 on a GPU")
    if engine.enable_mkldnn and (engine.device == "gpu" or engine.engine == "onnx"):
        raise ParameterError(
            "oneDNN is part of the openvino and paddle engines on the CPU",
            where="enable-mkldnn",
            hint="Leave it out, or choose --engine openvino or paddle on --device cpu",
        )


def _check_tiles(tiles: TileSettings) -> None:
    if tiles.tile_size and tiles.overlap >= tiles.tile_size:
        raise ParameterError(
            f"an overlap of {tiles.overlap} pixels is too large for tiles of {tiles.tile_size}",
            where="tile-overlap",
            hint="Choose an overlap well below tile-size, or -1 for a fifth of it",
        )
    if 0 < tiles.tile_size < SMALLEST_TILE:
        raise ParameterError(
            f"{tiles.tile_size} is neither 0 (no tiles) nor at least {SMALLEST_TILE}", where="tile-size"
        )
    if tiles.tile_size:
        return
    usual = TileSettings()
    for name in ("full_frame", "tile_overlap", "merge", "merge_threshold"):
        if getattr(tiles, name) != getattr(usual, name):
            raise ParameterError(
                "it has no effect without tiles", where=name.replace("_", "-"), hint="Add --tile-size 640"
            )


def _check_tracking(tracking: TrackingSettings) -> None:
    usual = TrackingSettings()
    if tracking.smooth_labels != "none" and not tracking.track_across_classes:
        raise ParameterError(
            "a track keeps the class of its first object, so there is nothing to smooth",
            where="smooth-labels",
            hint="Add --track-across-classes",
        )
    if tracking.smooth_labels == "none":
        for name in ("smooth_frames", "smooth_seconds"):
            if getattr(tracking, name) != getattr(usual, name):
                where = name.replace("_", "-")
                raise ParameterError(
                    "it has no effect without smoothing", where=where, hint="Choose --smooth-labels"
                )
    if tracking.smooth_seconds and tracking.smooth_frames != usual.smooth_frames:
        raise ParameterError(
            "labels are smoothed over frames or over seconds, not both",
            where="smooth-frames, smooth-seconds",
            hint="Leave one of them out",
        )
    if tracking.tracker == "none":
        for name in ("track_across_classes", "max_age", "min_hits"):
            if getattr(tracking, name) != getattr(usual, name):
                where = name.replace("_", "-")
                raise ParameterError(
                    "it has no effect without a tracker",
                    where=where,
                    hint="Choose a --tracker, or leave it out",
                )
