"""Models are opened for what will be asked of them, and each has a name of its own."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quadrat.errors import (
    EngineMemoryError,
    EngineRunError,
    GraphError,
    ManifestError,
    ModelError,
    ParameterError,
)
from quadrat.pipeline.facts import facts_of
from quadrat.pipeline.labels import label
from quadrat.pipeline.models import AT_ONCE, Pass, load_models
from tests.archives import build, contents
from tests.moving import LOG, RECTANGLES, load, with_settings
from tests.networks import brightness_archive, brightness_onnx
from tests.values import settings_of


@pytest.mark.parametrize(
    ("fixed", "asked", "logged"), [(4, 8, True), (4, 4, False), (4, 1, False), (-1, 8, False)]
)
def test_a_batch_size_that_is_not_used_is_logged(
    fixed: int, asked: int, logged: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A network of a fixed batch runs as it is: who asked for another number hears why nothing changed."""
    archive = brightness_archive(tmp_path / "m.tgz", shape=[fixed, 3, -1, -1])
    with load(archive, settings_of(batch_size=asked)):
        pass

    assert ("batch-size 8 is not used: the network has a fixed batch size of 4" in caplog.text) is logged
    assert logged or "batch-size" not in caplog.text


def test_only_a_stream_of_frames_is_measured_side_by_side(tmp_path: Path) -> None:
    """One picture has all threads for itself; of many frames two are with the network, if there are threads for it."""
    archive = brightness_archive(tmp_path / "m.tgz")
    found = []
    for throughput in (False, True):
        with load(archive, throughput=throughput) as model:
            assert model.at_once == model.engine.at_once
            found.append(model.at_once)

    assert found == [1, min(AT_ONCE, len(os.sched_getaffinity(0)))]


def named(path: Path, name: str, **changes: object) -> Path:
    """Write an archive of the brightness network with another name."""
    return brightness_archive(path, name=name, **changes)


def test_equal_labels_are_numbered(tmp_path: Path) -> None:
    """Every model of a pass has a label for file names that no other has, whatever its case."""
    names = ("reef", "Reef!", "reef-2", "reef?", "海草", "model")
    archives = [named(tmp_path / f"{n}.tgz", name) for n, name in enumerate(names)]
    with load_models(archives, settings_of(), LOG) as models:
        facts = facts_of(models, "urn:order", [f"urn:{n}" for n in range(6)], moving=False)

    assert ("reef", "Reef!-2", "reef-2", "reef?-3", "海草", "model-2") == models.names
    assert ["reef", "Reef--2", "reef-2", "reef--3", "model", "model-2"] == [each.label for each in facts]
    assert [f"urn:{n}" for n in range(6)] == [each.provenance.model for each in facts]
    assert facts == pickle.loads(pickle.dumps(facts))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("reef", "reef"), ("a b/c", "a-b-c"), ("Grüße", "Gr-e"), ("海草", "model"), ("", "model")],
)
def test_a_label_is_fit_for_file_names(name: str, expected: str) -> None:
    """Plain ASCII, never empty."""
    assert expected == label(name)


@pytest.mark.parametrize("letter", ["a", "海", " ", "É"])
def test_labels_of_long_names_are_short_and_differ(letter: str) -> None:
    """A name may have 255 characters, and so may a file's with everything added; variants of twelve steps are long too."""
    one, other = label(letter * 254 + "b"), label(letter * 254 + "c")
    assert max(len(one), len(other)) <= 48
    assert letter != "a" or one != other
    assert label("a" * 48) == "a" * 48


def test_one_model_has_no_label(tmp_path: Path) -> None:
    """Its products are named after the sources alone."""
    with load_models([named(tmp_path / "m.tgz", "reef")], settings_of(), LOG) as models:
        (facts,) = facts_of(models, "urn:order", ["urn:m"], moving=False)

    assert ("reef", "") == (facts.name, facts.label)


@pytest.mark.parametrize(
    ("given", "read"),
    [({}, -1), ({"tile_size": 64}, -1), ({"max_img_size": 5000}, 5000), ({"max_img_size": -1}, -1)],
)
def test_pictures_are_read_at_the_size_that_all_models_measure_at(
    tmp_path: Path, given: dict[str, int], read: int
) -> None:
    """A detector measures whole pictures, a segmentation model shrinks them unless max-img-size is given."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([archive, RECTANGLES], settings_of(**given), LOG) as models:
        tiny, rectangles = models.values()

    assert read == models.frames.max_img_size == rectangles.frames.max_img_size
    whole = given.get("max_img_size", 0) == -1 or "tile_size" in given
    assert (read if read > 0 or whole else 1_000_000) == tiny.frames.max_img_size


def test_a_pass_is_a_mapping_in_the_order_given(tmp_path: Path) -> None:
    """Names are kept in order; settings are those of the run."""
    settings = settings_of(batch_size=3)
    archives = [named(tmp_path / f"{name}.tgz", name) for name in "ba"]
    with load_models(archives, settings, LOG) as models:
        assert isinstance(models, Pass)
        assert (["b", "a"], 2, settings) == (list(models), len(models), models.settings)
        assert models["a"].package.name == "a"


def test_a_setting_that_one_of_the_models_cannot_answer_is_refused(tmp_path: Path) -> None:
    """A picture that only one kind of model draws is fine beside it, and refused without it."""
    archive = brightness_archive(tmp_path / "m.tgz")
    drawn = settings_of(outputs=("annotated",))
    with pytest.raises(ParameterError, match="outputs"), load_models([archive], drawn, LOG):
        pass
    with load_models([archive, RECTANGLES], drawn, LOG) as models:
        assert len(models) == 2


def test_a_bad_archive_among_good_ones_frees_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The networks that have started are closed, and the unpacked archives are gone."""
    good = brightness_archive(tmp_path / "m.tgz")
    network = ("model.onnx", b"rubbish" + brightness_onnx())
    bad = build(tmp_path / "bad.tgz", contents(network=network, params=None, name="bad"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(GraphError), load_models([good, bad], settings_of(), LOG):
        pass

    assert [] == list(scratch.iterdir())


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_networks_are_closed_with_the_context(tmp_path: Path, engine: str) -> None:
    """Whoever keeps a model gets an error from its engine."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load(archive, settings_of(engine=engine)) as model:
        pass
    with pytest.raises(EngineRunError, match="closed"):
        model.engine.run(np.zeros((1, 3, 8, 8), np.float32), model.task.wanted)


def test_an_import_under_way_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad archive is known sooner than OpenVINO is imported; a process that ended by then would crash."""
    imported: list[str] = []

    def library() -> None:
        threading.Event().wait(0.2)
        imported.append("openvino")

    monkeypatch.setattr("quadrat.engines.openvino.library", library)
    (tmp_path / "m.tgz").write_bytes(b"no archive")
    with (
        pytest.raises(ModelError),
        load_models([tmp_path / "m.tgz"], settings_of(engine="openvino"), LOG),
    ):
        pass
    assert ["openvino"] == imported


def test_of_two_sizes_none_is_read(tmp_path: Path) -> None:
    """A picture that is shrunk twice gives other numbers, so each model gets it shrunk from the whole."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([archive, RECTANGLES], settings_of(), LOG) as models:
        tiny, rectangles = models.values()
        for sizes in ((5000, 9000), (9000, 5000)):
            both = [
                with_settings(model, settings_of(max_img_size=size))
                for model, size in zip((tiny, rectangles), sizes, strict=True)
            ]
            assert Pass(both).frames.max_img_size == -1


def test_what_is_in_force_depends_on_model_and_media(tmp_path: Path) -> None:
    """A size that limits nothing is None, and so is a tracker where nothing is tracked."""
    archive = brightness_archive(tmp_path / "m.tgz")
    with load_models([archive, RECTANGLES], settings_of(), LOG) as models:
        tiny, rectangles = models.values()

    assert [1_000_000, None] == [each.in_force(moving=True)["max-img-size"] for each in (tiny, rectangles)]
    trackers = [
        each.in_force(moving=moving)["tracker"] for each in (tiny, rectangles) for moving in (True, False)
    ]
    assert [None, None, "bytetrack", None] == trackers


def test_each_of_two_models_has_a_label(tmp_path: Path) -> None:
    """It is what tells their products apart."""
    archives = [named(tmp_path / f"{name}.tgz", name) for name in ("reef", "sand")]
    with load_models(archives, settings_of(), LOG) as models:
        facts = facts_of(models, "urn:order", ["urn:r", "urn:s"], moving=False)

    assert ["reef", "sand"] == [each.label for each in facts]


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1, 3, 65536, 65536]},
        {"shape": [20_000_000, 3, 64, 64]},
        {"shape": [200_000, 3, -1, -1], "transforms": [{"type": "Resize", "target_size": [10_000, 10_000]}]},
    ],
    ids=["image", "batch", "resize"],
)  # fmt: skip
def test_inputs_that_do_not_fit_into_memory_are_refused_before_the_first(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """The error states the size; nothing is allocated."""
    archive = brightness_archive(tmp_path / "m.tgz", **changes)
    with pytest.raises(EngineMemoryError, match="its inputs of"), load_models([archive], settings_of(), LOG):
        pass


@pytest.mark.parametrize("length", [2**31, 10**30])
def test_a_length_beyond_what_an_array_has_is_a_fault_of_the_archive(tmp_path: Path, length: int) -> None:
    """No number of the archive is computed with before it is checked."""
    archive = brightness_archive(tmp_path / "m.tgz", shape=[-1, 3, length, -1])
    with pytest.raises(ManifestError, match="four lengths"), load_models([archive], settings_of(), LOG):
        pass
