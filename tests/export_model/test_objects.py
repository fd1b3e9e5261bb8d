from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export_model import objects
from export_model.objects import CanonicalObjects, compare, drawing, tensor
from export_model.verify import main
from quadrat.package.write import write_archive
from tests.detectors import bright_onnx, constant_onnx, encode

PLAIN = ({"type": "Normalize", "mean": [0.0], "std": [1.0]},)


@st.composite
def found(draw):
    """Draw up to 60 objects."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(0, 60))
    corners = rng.uniform(0, 500, (count, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + rng.uniform(5, 100, (count, 2)).astype(np.float32)], axis=1)
    return CanonicalObjects(boxes, rng.uniform(0.1, 1, count).astype(np.float32), rng.integers(0, 3, count))


@given(found(), st.randoms(use_true_random=False))
def test_order_does_not_count(one, chance):
    """The same objects in another order are the same, and what differs a little is measured."""
    order = np.arange(len(one.scores))
    chance.shuffle(order)
    other = CanonicalObjects(one.boxes[order] + np.float32(0.25), one.scores[order], one.classes[order])
    seen = compare(one, other)
    assert seen.missing == 0
    assert seen.of == 2 * min(len(one.scores), objects.MOST)
    assert seen.pixels <= 0.2501
    assert compare(other, one).missing == 0


@given(found(), st.sampled_from(["box", "score", "class", "gone"]))
def test_what_differs_is_missing_on_both_sides(one, how):
    """The best object moved, with another score or class, or gone, is missing; both directions agree."""
    if not len(one.scores):
        return
    best = int(np.argmax(one.scores))
    boxes, scores, classes = one.boxes.copy(), one.scores.copy(), one.classes.copy()
    boxes[best] += 1000 if how == "box" else 0
    scores[best] += 0.5 if how == "score" else 0
    classes[best] += 7 if how == "class" else 0
    keep = np.arange(len(scores)) != best if how == "gone" else slice(None)
    other = CanonicalObjects(boxes[keep], scores[keep], classes[keep])
    assert compare(one, other).missing >= 1
    assert compare(one, other).missing == compare(other, one).missing


def test_a_picture_is_the_same_for_a_seed_and_packs_well():
    """Drawings do not change, differ by seed, and have something on them."""
    assert (drawing(1, (64, 96)) == drawing(1, (64, 96))).all()
    assert (drawing(1, (64, 96)) != drawing(2, (64, 96))).any()
    assert drawing(1, (9, 9)).std() > 0
    assert tensor(drawing(1, (64, 96)), PLAIN).shape == (1, 3, 64, 96)


@pytest.fixture
def made(exported, tmp_path):
    """A good detector's archive."""
    path = tmp_path / "net.onnx"
    path.write_bytes(bright_onnx())
    return exported("--task", "detect", "--layout", "yolov8", "--onnx", path, "--class", "a", "--class", "b")[
        0
    ]


def rewritten(made, **changed: np.ndarray) -> str:
    """Write the archive again with arrays of its self-test changed."""
    meta = {key: value for key, value in made.meta.items() if key != "sha256"}
    members = {**made.members, "meta.json": json.dumps(meta).encode()}
    for name, array in changed.items():
        buffer = io.BytesIO()
        np.save(buffer, array)
        members[f"selftest-{name}.npy"] = buffer.getvalue()
    write_archive(members, made.path)
    return str(made.path)


@pytest.mark.process
def test_a_good_archive_agrees(made, capsys):
    """The table counts missing objects and says by how much boxes and scores differ."""
    assert main([str(made.path)]) == 0
    said = capsys.readouterr().out
    assert (
        "1 object: none may be missing, and the others must match within 1 px and 0.01 of the score" in said
    )
    assert "missing objects" in said
    assert said.count("0 of 2") == 3
    assert said.count("agrees") == 3
    assert "nothing to compare" not in said


@pytest.mark.process
@pytest.mark.parametrize("name", ["boxes", "scores", "classes"])
def test_another_answer_fails(made, name, capsys):
    """A self-test that expects another box, score or class fails every engine; --tolerance can allow it."""
    array = made.array(f"selftest-{name}.npy")
    other = {"boxes": array + 2, "scores": array + 0.2, "classes": 1 - array}[name]
    path = rewritten(made, **{name: other.astype(array.dtype)})
    assert main([path]) == 1
    assert capsys.readouterr().out.count("FAILS") == 2
    assert main([path, "--tolerance", "1"]) == 0


@pytest.mark.process
def test_a_self_test_with_a_class_beyond_the_list_is_refused(made, capsys):
    """An archive made elsewhere, whose labels count on from its list, does not verify."""
    path = rewritten(made, classes=np.array([2]))
    assert main([path]) == 3
    said = capsys.readouterr().err
    assert said.startswith(
        "E_MODEL_CLASSES net: in the self-test the network outputs class 2, but 2 are listed"
    )
    assert "Export it with every class" in said  # yolov8 has no background


NONE = {"boxes": np.zeros((0, 4), np.float32), "scores": np.zeros(0, np.float32), "classes": np.zeros(0, int)}


@pytest.mark.process
def test_a_self_test_without_objects_proves_nothing_and_says_so(exported, tmp_path, capsys):
    """A network that finds nothing is told at the export, and nowhere does verify.py say that it agrees."""
    path = tmp_path / "blind.onnx"
    path.write_bytes(constant_onnx(encode("yolov8", [], [], [], num_classes=1)))
    made, said = exported("--task", "detect", "--layout", "yolov8", "--onnx", path, "--class", "a")
    assert "the self-test holds no objects" in said
    assert made.array("selftest-boxes.npy").shape == (0, 4)
    assert main([str(made.path)]) == 0
    said = capsys.readouterr().out
    assert "agrees" not in said
    assert said.count("0 of 0") == 3
    assert said.count("  nothing to compare\n") == 3
    assert "\nnothing to compare: this only shows that the network runs" in said


@pytest.mark.process
def test_objects_that_a_self_test_has_none_of_fail(made, capsys):
    """Where an engine finds what the self-test has not, there is something to compare, and it is off."""
    assert main([rewritten(made, **NONE)]) == 1
    said = capsys.readouterr().out
    assert said.count("FAILS") == 2
    assert "nothing to compare" not in said


@pytest.mark.process
def test_a_self_test_of_the_wrong_form(made, capsys):
    """Arrays that do not go together are an error of the archive."""
    assert main([rewritten(made, scores=np.zeros(3, np.float32))]) == 3
    assert "its self-test is (1, 3, 64, 64) with boxes (1, 4)" in capsys.readouterr().err
