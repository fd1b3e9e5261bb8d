"""The values of a run: made by field, told apart by digests, with the image size in force."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from quadrat.parameters import SETTINGS, Parameter, Settings, parse
from quadrat.pipeline.models import load_models
from tests.detectors import detector_archive
from tests.networks import brightness_archive
from tests.parameters.values import changed

LOG = logging.getLogger("test")


def test_settings_are_made_by_field() -> None:
    """Each value goes to its group; a name that no group has is a mistake of the code."""
    made = Settings.of({"batch_size": 4, "tracker": "sort"})
    assert (4, "sort", 1000) == (made.engine.batch_size, made.tracking.tracker, made.objects.max_detections)
    assert made == Settings.of(made.values())
    with pytest.raises(TypeError, match="colour"):
        Settings.of({"colour": "red"})


def test_equal_settings_have_equal_digests() -> None:
    """However a value is written, and whether a default is given or not."""
    assert (
        parse({}).result_digest
        == parse({"tile-size": 0}).result_digest
        != parse({"tile-size": 64}).result_digest
    )
    assert parse({"min-score": 1}).result_digest == parse({"min-score": 1.0}).result_digest


@pytest.mark.parametrize("parameter", SETTINGS, ids=lambda p: p.name)
def test_a_changed_value_is_in_the_digest_if_it_shapes_results(parameter: Parameter) -> None:
    """The digest covers no other values."""
    usual, other = Settings(), Settings.of({parameter.field: changed(parameter)})

    assert [parameter] == other.changed()
    assert usual != other
    assert parameter.shapes_result == (usual.result_digest != other.result_digest)


def test_what_does_not_shape_a_result() -> None:
    """Logs, failures, speed and pictures; all else may change a number."""
    assert {
        "batch-size", "cpu-threads", "print-detail", "sources-at-once", "outputs", "codec", "on-error",
        "benchmark", "box-labels", "executor", "index", "load-seconds", "max-failures", "max-instance-bytes", "max-instances", "memory-limit", "model-name",
        "overlay-opacity", "overlay-style", "retry-seconds", "source-seconds", "task", "tuning-seconds", "find", "like-row", "max-results", "min-similarity",
        "where",
    } == {each.name for each in SETTINGS if not each.shapes_result}  # fmt: skip


def test_only_masks_of_whole_images_are_shrunk_by_default() -> None:
    """Tiles and detectors keep the size of every image, unless max-img-size is given."""
    plain, tiled, small = (
        parse({}),
        parse({"tile-size": 512}),
        parse({"max-img-size": "0.005MP", "tile-size": 64}),
    )

    assert plain.frames_for(shrinks=True).max_img_size == 1_000_000
    assert plain.frames_for(shrinks=False).max_img_size == -1 == tiled.frames_for(shrinks=True).max_img_size
    assert small.frames_for(shrinks=True).max_img_size == 5000 == small.frames_for(shrinks=False).max_img_size


@pytest.mark.parametrize("tile", [{}, {"tile-size": 512}], ids=["whole", "tiles"])
@pytest.mark.parametrize("task", ["segment", "detect"])
def test_a_size_given_on_purpose_holds_for_every_task(
    tmp_path: Path, task: str, tile: dict[str, int]
) -> None:
    """Also where it is the size that masks of whole images have anyway, and where -1 is given."""
    make = brightness_archive if task == "segment" else detector_archive
    archive = make(tmp_path / "m.tgz")
    for given, in_force in (({}, 1_000_000 if task == "segment" and not tile else -1),
                            ({"max-img-size": 1_000_000}, 1_000_000), ({"max-img-size": -1}, -1)):  # fmt: skip
        with load_models([archive], parse({**given, **tile}), LOG) as models:
            assert [in_force] == [model.frames.max_img_size for model in models.values()]


@pytest.mark.parametrize(
    ("given", "overlap"), [({}, 128), ({"tile-overlap": 0}, 0), ({"tile-overlap": 1}, 1)], ids=str
)
def test_the_overlap_is_a_fifth_of_the_tile_unless_it_is_given(given: dict[str, int], overlap: int) -> None:
    """Zero is a value of its own."""
    assert overlap == parse({"tile-size": 640, **given}).tiles.overlap
