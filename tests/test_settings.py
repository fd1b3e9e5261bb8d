"""Every parameter does what it says or is refused clearly."""

from __future__ import annotations

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import INPUTS, NAMES_OF_FILES, PARAMETERS, Settings, check_inputs, find, parse

ORIGINAL = [
    "model",
    "images",
    "max-img-size",
    "batch-size",
    "device",
    "use-trt",
    "precision",
    "min-subgraph-size",
    "enable-auto-tune",
    "cpu-threads",
    "enable-mkldnn",
    "benchmark",
    "model-name",
    "with-argmax",
    "print-detail",
]


def test_every_parameter_of_the_original_is_kept() -> None:
    """A user of the original finds all names again, with the original's defaults."""
    assert set(ORIGINAL) == {p.name for p in PARAMETERS if p.since == "original"}
    got = parse({})
    assert got.for_masks(whole=True).max_img_size == 1_000_000
    assert (1, "cpu", "fp32", 3, 10) == (
        got.engine.batch_size, got.engine.device, got.engine.precision, got.engine.min_subgraph_size,
        got.engine.cpu_threads,
    )  # fmt: skip


def test_declaration_and_settings_agree() -> None:
    """Each declared default is the default in use, and nothing is declared twice or not at all."""
    declared = {p.field: p for p in PARAMETERS if p.name not in NAMES_OF_FILES}

    assert set(Settings().values()) == set(declared)
    for name, parameter in declared.items():
        if parameter.default is not None:
            assert parse({}) == parse({name: parameter.default})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max-img-size": 0}, "max-img-size: 0 is not -1, or at least 1"),
        ({"max-img-size": "big"}, "max-img-size"),
        ({"max-img-size": 10**13}, "max-img-size"),
        ({"batch-size": -1}, "batch-size: -1 is not an integer from 1 to 1024"),
        ({"batch-size": 1.5}, "batch-size"),
        ({"batch-size": True}, "batch-size"),
        ({"min-confidence": float("nan")}, "min-confidence: nan is not a number from 0 to 1"),
        ({"min-confidence": 1.1}, "min-confidence"),
        ({"device": "GPU"}, "device: 'GPU' is not one of cpu, gpu"),
        ({"use-trt": "True"}, "use-trt"),
        ({"use-trt": True}, "use-trt: TensorRT runs on a GPU only. Add --device gpu"),
        ({"device": "gpu", "enable-auto-tune": True}, "enable-auto-tune"),
        ({"precision": "int8"}, "precision"),
        (
            {"min-subgraph-size": 5},
            "min-subgraph-size: the smallest part is one that TensorRT takes over. Add --use-trt",
        ),
        ({"precision": "bf16", "device": "gpu"}, "precision"),
        ({"enable-mkldnn": True, "engine": "onnx"}, "enable-mkldnn"),
        ({"enable-mkldnn": True, "device": "gpu"}, "enable-mkldnn"),
        ({"outputs": "pseudo,art"}, "outputs: 'art' is no output"),
        ({"outputs": " , "}, "outputs: no output is named"),
        ({"outputs": 5}, "outputs: 5 is not a text, or several"),
        ({"batch-size": 10**400}, "batch-size: 1000"),
        ({"min-confidence": 10**400}, "min-confidence: 1000"),
        ({"model-name": 3}, "model-name"),
        ({"on-eror": "stop"}, "Did you mean on-error?"),
        ({"cpu-threads": 0}, "cpu-threads"),
        ({"max-failures": -2}, "max-failures"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(values: dict[str, object], says: str) -> None:
    """The error names the parameter, the value and what is allowed, in one line."""
    with pytest.raises(ParameterError) as caught:
        parse(values)

    assert says in str(caught.value)
    assert "\n" not in caught.value.line


def test_outputs_are_a_list_without_doubles() -> None:
    """Commas and blanks are forgiven."""
    assert parse({"outputs": " overlay,pseudo, overlay "}).pictures.outputs == ("overlay", "pseudo")


def test_the_digest_tells_settings_apart() -> None:
    """Equal settings have equal digests, others do not."""
    assert parse({}).result_digest == parse({"batch-size": 2}).result_digest
    assert parse({"min-score": 1}).result_digest == parse({"min-score": 1.0}).result_digest


def test_a_parameter_is_found_by_either_spelling() -> None:
    """Dashes and underscores are one; where there is no such parameter, the nearest is named."""
    assert find("batch-size") is find("batch_size")
    with pytest.raises(
        ParameterError, match=r"batchsize: there is no such parameter\. Did you mean batch-size\?"
    ):
        find("batchsize")


@pytest.mark.parametrize(
    "given", [{}, {"image": "a", "images": "b"}, {"image": None, "videos": "", "streams": ""}]
)
def test_exactly_one_kind_of_sources(given: dict[str, str | None]) -> None:
    """None and several are errors (the original's Makefile gave the wrong one)."""
    with pytest.raises(ParameterError, match="exactly one"):
        check_inputs(given)


def test_sources_are_not_looked_for_in_a_config_file() -> None:
    """Who gives a config file and no sources may think that it names them."""
    for given, said in (
        ({"config": "c.yaml"}, True),
        ({}, False),
        ({"image": "a", "video": "b", "config": "c"}, False),
    ):
        with pytest.raises(ParameterError) as caught:
            check_inputs(given)
        assert said == caught.value.hint.endswith("; a config file has settings only")


@pytest.mark.parametrize("name", INPUTS)
def test_the_kind_of_sources_given_is_told(name: str) -> None:
    """One of image, images, video, videos and streams."""
    assert name == check_inputs({"model": "m", name: "a"})
    assert name in {p.name for p in PARAMETERS}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"tile-size": 320, "tile-overlap": 320},
            "tile-overlap: an overlap of 320 pixels leaves nothing of tiles of 320",
        ),
        ({"tile-size": 31}, "tile-size: 31 is not 0, or at least 32"),
        ({"tile-overlap": 20}, "tile-overlap: it goes with tiles"),
        ({"full-frame": True}, "full-frame: it goes with tiles"),
        ({"frame-step": 2, "frame-seconds": 1.0}, "by count or by time"),
        ({"smooth-labels": "mode"}, "smooth-labels: a track keeps the class"),
        ({"tracker": "none", "track-across-classes": True}, "nothing is tracked"),
        ({"tracker": "botsort"}, "tracker: 'botsort' is not one of none, sort, bytetrack, ocsort, deepsort"),
        ({"tracker-gate": 1}, "there is no such parameter"),
        ({"merge": "nmm"}, "merge: 'nmm' is not one of ios, iou, wbf"),
        ({"merge": "wbf"}, "merge: it joins boxes of tiles. Add --tile-size 640"),
        ({"merge-threshold": 0.6}, "merge-threshold: it joins boxes of tiles"),
        ({"tracker": "none", "max-age": 5}, "max-age: nothing is tracked"),
        ({"tracker": "none", "min-hits": 3}, "min-hits: nothing is tracked"),
        ({"smooth-frames": 5}, "smooth-frames: no labels are smoothed"),
        ({"smooth-seconds": 1.0}, "smooth-seconds: no labels are smoothed"),
        (
            {"track-across-classes": True, "smooth-labels": "mode", "smooth-seconds": 1, "smooth-frames": 5},
            "over frames or over seconds, not both",
        ),
        (
            {"outputs": "none", "codec": "vp9"},
            "codec: outputs is none, so that no video is drawn. Leave --codec out, or choose other --outputs",
        ),
    ],
)
def test_what_makes_no_sense_of_tiles_and_videos_is_refused(values: dict[str, object], says: str) -> None:
    """A pair that would silently do nothing, and a tracker option that does not exist."""
    with pytest.raises(ParameterError) as caught:
        parse(values)
    assert says in str(caught.value)


def test_masks_of_whole_images_alone_are_shrunk_by_default() -> None:
    """Tiles and detectors take every picture as it is, unless max-img-size says otherwise."""
    plain, tiled, small = parse({}), parse({"tile-size": 512}), parse({"max-img-size": 5000, "tile-size": 64})

    assert plain.for_task("segment").max_img_size == 1_000_000
    assert plain.for_task("detect").max_img_size == -1 == tiled.for_task("segment").max_img_size
    assert small.for_task("segment").max_img_size == 5000 == small.for_task("detect").max_img_size
    assert (102, 64) == (tiled.overlap, parse({"tile-size": 512, "tile-overlap": 64}).overlap)


OTHER: dict[str, object] = {
    "frame-step": 2, "frame-seconds": 1.0, "sequence-rate": 5.0, "read-mode": "latest", "stall-seconds": 5.0,
    "reconnect-seconds": 5.0, "stream-seconds": 5.0, "sources-at-once": 2, "skip-black": True, "idle-seconds": 1.0,
    "tracker": "sort", "max-age": 5, "min-hits": 3, "track-across-classes": True, "codec": "vp9",
}  # fmt: skip
"""Parameters of frames in time, with a value each that is not the default."""
WITH = {"smooth-labels": "mode", "smooth-frames": 5, "track-across-classes": True}


@pytest.mark.parametrize("sources", ["image", "images"])
@pytest.mark.parametrize("name", OTHER)
def test_images_have_no_frames_in_time(name: str, sources: str) -> None:
    """What is for videos would silently do nothing to images."""
    with pytest.raises(ParameterError, match="it is for videos and streams, and images are given") as caught:
        parse({sources: "a", name: OTHER[name]})
    assert (name, f"Leave --{name} out, or give --videos") == (caught.value.where, caught.value.hint)


def test_labels_of_images_are_not_smoothed() -> None:
    """The same for what goes with tracks only."""
    with pytest.raises(ParameterError, match="images are given"):
        parse({"images": "a", **WITH})
    assert parse({"videos": "a", **WITH}).smooth_frames == 5


@pytest.mark.parametrize("sources", ["video", "videos"])
@pytest.mark.parametrize("name", OTHER)
def test_videos_take_all_but_what_is_for_streams(name: str, sources: str) -> None:
    """Files give every frame, and are neither lost nor found again."""
    if name not in ("read-mode", "stall-seconds", "reconnect-seconds", "stream-seconds"):
        parse({sources: "a", name: OTHER[name]})
        return
    with pytest.raises(ParameterError, match="it is for live streams, and videos are given"):
        parse({sources: "a", name: OTHER[name]})


@pytest.mark.parametrize("name", OTHER)
def test_streams_take_all_but_how_many_at_once(name: str) -> None:
    """They are all read at once, or frames would be lost."""
    if name != "sources-at-once":
        parse({"streams": "rtsp://a", name: OTHER[name]})
        return
    with pytest.raises(ParameterError, match="streams are all read at once"):
        parse({"streams": "rtsp://a", name: OTHER[name]})


@pytest.mark.parametrize("kind", ["pseudo", "labels", "confidence"])
def test_videos_have_no_pictures_of_their_own(kind: str) -> None:
    """An output that no video has is refused, and the drawn video's are not."""
    for sources in ("video", "videos", "streams"):
        with pytest.raises(ParameterError, match=f"{kind} is a picture of an image"):
            parse({sources: "a", "outputs": f"overlay,{kind}"})
        assert parse({sources: "a", "outputs": "overlay"}).pictures.outputs == ("overlay",)
    assert parse({"images": "a", "outputs": kind}).pictures.outputs == (kind,)


@pytest.mark.parametrize("sources", INPUTS)
def test_defaults_said_aloud_are_never_in_vain(sources: str) -> None:
    """The platform gives every parameter its default by name."""
    values = {p.name: p.default for p in PARAMETERS if p.default is not None}
    assert parse(values) == parse({**values, sources: "a"})
