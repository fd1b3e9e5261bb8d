"""Classifiers from folders in Hugging Face's form: an archive gives what transformers' own pipeline gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from export_model import heads, processors, verify
from export_model.export import main
from export_model.from_transformers import named
from export_model.label_outputs import activated
from quadrat.errors import ClassesError, ParameterError
from quadrat.geometry import Geometry
from quadrat.package import open_archive
from quadrat.transforms import build
from tests.export_model.conftest import Made

NAMES = ["Amphiprion ocellaris", "Pomacentrus coelestis", "no fish", "Dascyllus aruanus", "Chromis viridis"]
LABELS = dict(enumerate(NAMES))


def model(name: str, **more):
    """Make a small model with random weights, and its processor."""
    import torch
    import transformers as tf

    torch.manual_seed(3)
    said = {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}, **more}
    if name == "vit":
        config = tf.ViTConfig(
            hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48, image_size=32,
            patch_size=8, initializer_range=0.5, **said,
        )  # fmt: skip
        made = tf.ViTForImageClassification(config)
        processor = tf.ViTImageProcessorPil(size={"height": 32, "width": 32})
    elif name == "convnext":
        config = tf.ConvNextConfig(
            hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1], initializer_range=0.5, **said
        )
        made = tf.ConvNextForImageClassification(config)
        processor = tf.ConvNextImageProcessorPil(size={"shortest_edge": 64}, crop_pct=0.875)
    else:
        config = tf.MobileNetV2Config(depth_multiplier=0.35, **said)
        made = tf.MobileNetV2ForImageClassification(config)
        processor = tf.MobileNetV2ImageProcessorPil(
            size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64},
            image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225], resample=3,
        )  # fmt: skip
    with torch.no_grad():  # a classifier with some contrast between its classes
        made.classifier.bias.normal_(0, 0.5)
        made.classifier.weight.normal_(0, 1)
    return made.eval(), processor


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of three architectures."""
    pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("models")
    for name in ("vit", "convnext", "mobilenet"):
        for part in model(name):
            part.save_pretrained(root / name)
    return root


@pytest.fixture
def copied(folders, tmp_path):
    """A copy of one of them, to be spoiled."""
    shutil.copytree(folders / "vit", tmp_path / "vit")
    return tmp_path / "vit"


def changed(path: Path, **values) -> None:
    """Change entries of a JSON file; None removes one."""
    made = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in made.items() if value is not None}))


def pack(folder: Path, path: Path, *words: str, status: int = 0) -> Made | None:
    """Pack a folder, and open the archive; None if that must fail."""
    assert main(["--transformers", str(folder), *words, "--save-path", str(path)]) == status
    return None if status else Made(path)


def pipeline(folder: Path):
    """Return transformers' pipeline of a folder."""
    from transformers import pipeline

    return pipeline("image-classification", str(folder), device="cpu", top_k=99)


def archive_says(path: Path, pictures: list[np.ndarray], tmp_path: Path) -> list[dict[str, float]]:
    """Return the probabilities of an archive by name, one picture at a time, through its own transforms."""
    folder = tmp_path / "unpacked"
    folder.mkdir()
    package = open_archive(path, folder)
    chain, run = build(package.transforms), heads.Runner(package.engines["onnx"].read_bytes())
    found = []
    for picture in pictures:
        tensor, _ = chain(picture, Geometry.identity(picture.shape[:2]))
        scores = run(tensor[None], package.outputs["logits"])
        values = activated(scores, package.meta["classify"]["activation"])[0]
        found.append(dict(zip([each.name for each in package.classes], values.tolist(), strict=True)))
    return found


def drawings() -> list[np.ndarray]:
    """Return pictures of several sizes."""
    sizes = ((120, 90), (97, 211), (40, 33), (500, 640))
    return [processors._drawing(hw, seed) for seed, hw in enumerate(sizes)]


@pytest.mark.needs_export
@pytest.mark.parametrize("name", ["vit", "convnext", "mobilenet"])
def test_it_gives_what_the_pipeline_gives(folders, tmp_path, name):
    """The same labels, and probabilities within 1e-5, for pictures of any size; verify agrees on every engine."""
    from PIL import Image

    made = pack(folders / name, tmp_path / "made.tgz")
    assert [each["name"] for each in made.meta["classes"]] == NAMES
    assert set(made.meta["outputs"]) == {"logits", "features"}
    theirs = pipeline(folders / name)
    own = archive_says(tmp_path / "made.tgz", drawings(), tmp_path)
    for picture, ours in zip(drawings(), own, strict=True):
        expected = {each["label"]: each["score"] for each in theirs(Image.fromarray(picture))}
        assert ours == pytest.approx(expected, abs=1e-5)
        assert max(ours, key=ours.get) == max(expected, key=expected.get)
    assert verify.main([str(tmp_path / "made.tgz")]) == 0


@pytest.mark.needs_export
def test_several_labels_and_one_score(tmp_path):
    """A multi-label model has a sigmoid for each class; one with a single label is a choice of two."""
    pytest.importorskip("transformers")
    for part in model("vit", problem_type="multi_label_classification"):
        part.save_pretrained(tmp_path / "several")
    made = pack(tmp_path / "several", tmp_path / "several.tgz")
    assert made.meta["classify"]["multi-label"]
    assert made.meta["classify"]["activation"] == "sigmoid"
    one = {"id2label": {0: "fire"}, "label2id": {"fire": 0}}
    for part in model("vit", **one):
        part.save_pretrained(tmp_path / "one")
    single = pack(tmp_path / "one", tmp_path / "one.tgz")
    assert [each["name"] for each in single.meta["classes"]] == ["no fire", "fire"]
    assert single.meta["classify"] == {"activation": "sigmoid", "multi-label": False, "temperature": 1.0}
    assert single.array("selftest-probabilities.npy").shape == (2,)


SUPPORTED = (
    "BeitImageProcessorPil", "BitImageProcessorPil", "CLIPImageProcessorPil", "ConvNextImageProcessorPil",
    "DeiTImageProcessorPil", "EfficientNetImageProcessorPil", "MobileNetV1ImageProcessorPil",
    "MobileNetV2ImageProcessorPil", "MobileViTImageProcessorPil", "PoolFormerImageProcessorPil",
    "PvtImageProcessorPil", "SegformerImageProcessorPil", "SiglipImageProcessorPil", "ViTImageProcessorPil",
)  # fmt: skip
CHANGED = (
    "ConvNextImageProcessorPil", "EfficientNetImageProcessorPil", "MobileNetV2ImageProcessorPil",
    "MobileViTImageProcessorPil", "ViTImageProcessorPil",
)  # fmt: skip
"""Those whose settings are changed in turn: one of each kind."""
CHANGES = [
    {}, {"do_resize": False}, {"do_rescale": False}, {"do_normalize": False}, {"resample": 0}, {"resample": 1},
    {"resample": 5}, {"rescale_factor": 1 / 127.5}, {"do_center_crop": True, "crop_size": {"height": 50, "width": 71}},
]  # fmt: skip


@pytest.mark.needs_export
@pytest.mark.parametrize("name", SUPPORTED)
def test_processors_are_mapped_exactly(name):
    """With each setting changed in turn: the transforms make the same values, which the mapping itself proves.

    Some processors ignore a setting, or use it in a way of their own; they are then refused by name.
    """
    transformers = pytest.importorskip("transformers")
    own = {"do_resize", "do_normalize", "do_center_crop"}
    assert processors.transforms_of(getattr(transformers, name)(), name)
    for change in CHANGES if name in CHANGED else ():
        processor = getattr(transformers, name)(**change)
        try:
            assert processors.transforms_of(processor, name)
        except ParameterError as error:
            assert name in error.what  # noqa: PT017 - either is right
            assert own & set(change)


@pytest.mark.needs_export
@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("LevitImageProcessorPil", {}, "LevitImageProcessorPil"),
        ("PerceiverImageProcessorPil", {}, "PerceiverImageProcessorPil"),
        ("ImageGPTImageProcessorPil", {}, "do_color_quantize"),
        ("DonutImageProcessorPil", {}, "do_pad"),
        ("ViTImageProcessorPil", {"size": {"shortest_edge": 20, "longest_edge": 40}}, "longest_edge"),
        ("ViTImageProcessorPil", {"do_pad": True, "pad_size": {"height": 9, "width": 9}}, "do_pad"),
        ("ViTImageProcessorPil", {"image_std": [0.5, 0.0, 0.5]}, "not above 0"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(name, change, said):
    """A wrong picture is worse than none."""
    transformers = pytest.importorskip("transformers")
    with pytest.raises(ParameterError, match=said):
        processors.transforms_of(getattr(transformers, name)(**change), name)


@pytest.mark.needs_export
def test_faults_of_a_folder_are_one_line(copied, tmp_path, capsys):
    """A file that is missing, weights that do not fit, another kind of model, options that it states itself."""
    path = tmp_path / "made.tgz"

    def refuse(said: str, *words: str, status: int = 2, folder: Path = copied) -> None:
        pack(folder, path, *words, status=status)
        text = capsys.readouterr().err
        assert said in text
        assert text.count("\n") == 1
        assert not path.exists()

    refuse("no such folder", folder=tmp_path / "absent")
    refuse("preprocessor_config.json states", "--mean", "0.5", "--std", "0.5")
    refuse("preprocessor_config.json states", "--stretch", "32", "32")
    refuse("--task detect", "--task", "detect")
    refuse("5 scores", "--class", "a", "--class", "b", status=3)
    changed(copied / "config.json", architectures=["ViTForMaskedImageModeling"])
    refuse("no image classifier")
    changed(copied / "config.json", architectures=["ViTForImageClassification"], problem_type="regression")
    refuse("regression")
    changed(copied / "config.json", problem_type=None, num_hidden_layers=3)
    refuse("model.safetensors lacks", status=3)
    changed(copied / "config.json", model_type="no-such-model", num_hidden_layers=2)
    refuse("transformers cannot load it", status=3)
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    refuse("no file model.safetensors")


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (None, "no id2label"),
        ({}, "no id2label"),
        ({"0": "a", "2": "c"}, "none for 1"),
        ({"1": "a", "2": "c"}, "none for 0"),
        ({"0": "a", "1": "b", "2": "a "}, "more than once"),
        ({"0": "a", "1": 3}, "no text"),
    ],
)
def test_labels_that_do_not_name_each_class_once_are_refused(listed, said):
    """Gaps, repetitions and what is no text: transformers itself would take them."""
    with pytest.raises(ClassesError, match=said):
        named({"id2label": listed}, "folder")


def test_labels_are_in_the_order_of_the_scores():
    """The keys of JSON are text, in any order."""
    listed = {str(index): f"species {index}" for index in reversed(range(12))}
    assert [each["name"] for each in named({"id2label": listed}, "f")] == [f"species {i}" for i in range(12)]
