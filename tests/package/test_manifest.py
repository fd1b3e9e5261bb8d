from __future__ import annotations

import hashlib
import io
import shutil

import numpy as np
import pytest
import yaml

from quadrat.package import open_archive
from quadrat.types import TransformSpec
from tests import archives
from tests.archives import ABSENT, contents, deploy

MINIMAL_ONNX = b"\x08\x08"
"""An ONNX file that states its version and nothing else."""


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros((1, 3, 4, 4), np.float32))
    return out.getvalue()


def _yaml(**changes: object) -> dict[str, bytes]:
    return {"deploy.yaml": yaml.safe_dump(deploy(**changes)).encode()}


def test_the_original_form_opens(tmp_path, into):
    """Name, task, network, weights, transforms, classes and shape come from where the original writes them."""
    package = open_archive(archives.build(tmp_path / "m.tgz"), into)

    assert ("tiny", "segment", 2) == (package.name, package.task, package.num_classes)
    assert {"pdmodel": package.root / "model.pdmodel"} == package.engines
    assert package.root / "model.pdiparams" == package.params
    assert (TransformSpec("Normalize", {}),) == package.transforms
    assert (None, 3, None, None) == package.input_shape
    assert ({}, None) == (package.outputs, package.self_test)
    assert archives.meta() == package.meta


def test_the_dialect_of_paddleseg_opens(tmp_path, into):
    """Upstream's further keys in deploy.yaml do no harm, and its shape serves where meta.json has none."""
    files = contents(
        shape=ABSENT,
        files=_yaml(input_shape=[-1, 3, 512, 640], output_op="argmax", output_dtype="int32"),
    )

    assert (None, 3, 512, 640) == open_archive(archives.build(tmp_path / "m.tgz", files), into).input_shape


def test_the_extended_form_opens(tmp_path, into):
    """Two networks, tensor names, digests and a self-test are read; formats of a later version are passed over."""
    more = {"model.onnx": MINIMAL_ONNX, "in.npy": _npy(), "out.npy": _npy()}
    plain = contents(files=more)
    files = contents(
        files=more,
        task="segment",
        engines={"onnx": "model.onnx", "pdmodel": "model.pdmodel", "tflite": "model.tflite"},
        inputs=[{"name": "x", "dtype": "float32", "shape": [1, 3, -1, None]}],
        outputs={"labels": "y", "confidence": "p"},
        sha256={n: hashlib.sha256(b).hexdigest() for n, b in plain.items() if n != "meta.json"},
        self_test={"input": "in.npy", "labels": "out.npy", "tolerance": 0.0},
    )
    package = open_archive(archives.build(tmp_path / "m.tgz", files), into)

    assert {"onnx": "model.onnx", "pdmodel": "model.pdmodel"} == {
        k: p.name for k, p in package.engines.items()
    }
    assert (1, 3, None, None) == package.input_shape
    assert {"labels": "y", "confidence": "p"} == package.outputs
    assert {"input": "in.npy", "labels": "out.npy", "tolerance": 0.0} == package.self_test


@pytest.mark.parametrize(
    ("network", "kind"),
    [("model.pdmodel", "pdmodel"), ("model.json", "pir"), ("net.PDMODEL", "pdmodel"), ("model.onnx", "onnx")],
)
def test_the_format_is_told_by_the_name(network, kind, tmp_path, into):
    """In the original form the suffix of deploy.yaml's model says which engine's it is."""
    path = archives.build(tmp_path / "m.tgz", contents(network=(network, MINIMAL_ONNX)))
    package = open_archive(path, into)

    assert {kind: network} == {key: file.name for key, file in package.engines.items()}


def test_a_pir_file_under_the_old_name_is_found(tmp_path, into):
    """An exporter that names model.pdmodel while Paddle 3 wrote model.json gives a PIR archive."""
    files = contents(network=("model.json", b"{}"), files=_yaml(model="model.pdmodel"))

    assert ["pir"] == list(open_archive(archives.build(tmp_path / "m.tgz", files), into).engines)


def test_an_empty_meta_json_is_the_least_that_opens(tmp_path, into):
    """Everything in meta.json can be left out."""
    package = open_archive(archives.build(tmp_path / "m.tgz", contents(files={"meta.json": b"{}"})), into)

    assert ("m", (), None, (None, 3, None, None)) == (
        package.name, package.classes, package.num_classes, package.input_shape,
    )  # fmt: skip


@pytest.mark.parametrize(("given", "name"), [(ABSENT, "quadrats"), (None, "quadrats"), ("B0", "B0")])
def test_a_model_without_name_has_its_files(given, name, tmp_path, into):
    """The archive's file name serves where meta.json gives no name."""
    assert name == open_archive(archives.build(tmp_path / "quadrats.v2.tgz", contents(name=given)), into).name


def test_parameters_of_transforms_are_kept_as_written(tmp_path, into):
    """No type is judged here, and no parameter changed."""
    listed = [{"type": "Resize", "target_size": [512, 256], "keep_ratio": True}, {"type": "Unheard-of"}]
    package = open_archive(archives.build(tmp_path / "m.tgz", contents(transforms=listed)), into)

    assert (
        TransformSpec("Resize", {"target_size": [512, 256], "keep_ratio": True}),
        TransformSpec("Unheard-of"),
    ) == package.transforms


@pytest.mark.parametrize("name", ["deploy.yaml", "meta.json"])
def test_an_archive_without_a_manifest_says_what_to_add(name, tmp_path, refused):
    """A missing file is named, with what to do."""
    error = refused(archives.build(tmp_path / "m.tgz", contents(files={name: ABSENT})), "E_MODEL_MANIFEST")

    assert name in error.what
    assert error.hint


OUTSIDE = [
    "../model.pdmodel",
    "/etc/passwd",
    "sub/model.pdmodel",
    "..",
    ".",
    "a\\b.pdmodel",
    "meta.json",
    "META.JSON",
]
MANIFESTS = {
    **{f"model {name}": {"files": _yaml(model=name)} for name in OUTSIDE},
    **{f"params {name}": {"files": _yaml(params=name)} for name in OUTSIDE},
    **{f"engine {name}": {"engines": {"onnx": name}} for name in OUTSIDE},
    "model too long": {"files": _yaml(model="🌊" * 200 + ".pdmodel")},
    "model missing": {"files": {"model.pdmodel": ABSENT}},
    "params missing": {"files": {"model.pdiparams": ABSENT}},
    "model unstated": {"files": _yaml(model=ABSENT)},
    "model number": {"files": _yaml(model=3)},
    "model of another kind": {"files": _yaml(model="model.pdiparams")},
    "params unstated": {"files": _yaml(params=ABSENT)},
    "params of another kind": {"files": _yaml(params="model.pdmodel")},
    "no Deploy": {"files": {"deploy.yaml": b"Global: {}"}},
    "Deploy null": {"files": {"deploy.yaml": b"Deploy:"}},
    "Deploy list": {"files": {"deploy.yaml": b"Deploy: [1]"}},
    "transforms unstated": {"files": _yaml(transforms=ABSENT)},
    "transforms null": {"files": _yaml(transforms=None)},
    "transforms text": {"files": _yaml(transforms="Normalize")},
    "transform text": {"files": _yaml(transforms=["Normalize"])},
    "transform untyped": {"files": _yaml(transforms=[{"mean": [0.5]}])},
    "transform number": {"files": _yaml(transforms=[{"type": 3}])},
    "transform key": {"files": _yaml(transforms=[{"type": "Normalize", 3: 4}])},
    "yaml code": {"files": {"deploy.yaml": b"Deploy: !!python/object/apply:os.getcwd []"}},
    "yaml laughs": {"files": {"deploy.yaml": b"a: &a [x, x]\nDeploy: [*a, *a]"}},
    "yaml deep": {"files": {"deploy.yaml": b"Deploy: " + b"[" * 5000}},
    "json garbage": {"files": {"meta.json": b"\x00\x01"}},
    "json nan": {"files": {"meta.json": b'{"classes": [], "a": NaN}'}},
    "json list": {"files": {"meta.json": b"[]"}},
    "name number": {"name": 3},
    "task number": {"task": 3},
    "task null": {"task": None},
    "engines list": {"engines": ["onnx"]},
    "engine missing": {"engines": {"onnx": "model.onnx"}},
    "engine of another kind": {"engines": {"onnx": "model.pdmodel"}},
    "outputs list": {"outputs": ["labels"]},
    "outputs number": {"outputs": {"labels": 0}},
    "inputs object": {"inputs": {"shape": [1, 3, 2, 2]}},
    "inputs two": {"inputs": [{"name": "a"}, {"name": "b"}]},
    "inputs none": {"inputs": []},
    "inputs text": {"inputs": ["x"]},
    "shape three": {"shape": [3, -1, -1]},
    "shape zero": {"shape": [-1, 3, 0, -1]},
    "shape minus two": {"shape": [-2, 3, 1, 1]},
    "shape text": {"shape": "1,3,512,512"},
    "shape real": {"shape": [1, 3, 512.0, 512]},
    "shape true": {"shape": [True, 3, 512, 512]},
    "sha256 list": {"sha256": ["a"]},
    "sha256 short": {"sha256": {"model.pdmodel": "abc"}},
    "sha256 number": {"sha256": {"model.pdmodel": 3}},
    "self-test text": {"self_test": "in.npy"},
    "self-test outside": {"self_test": {"input": "../in.npy"}},
    "self-test missing": {"self_test": {"input": "in.npy"}},
    "self-test other kind": {"self_test": {"input": "model.pdmodel"}},
}  # fmt: skip


@pytest.mark.parametrize("changes", MANIFESTS.values(), ids=MANIFESTS)
def test_wrong_manifests_are_refused(changes, tmp_path, refused):
    """Each wrong manifest is an error that names the file and the place in it."""
    where = refused(archives.build(tmp_path / "m.tgz", contents(**changes)), "E_MODEL_MANIFEST").where
    in_json = "files" not in changes or "meta.json" in changes["files"]

    assert where.startswith("m.tgz: meta.json" if in_json else "m.tgz: deploy.yaml")


@pytest.mark.parametrize("name", ["model.pdmodel", "model.pdiparams", "deploy.yaml"])
def test_a_file_that_is_not_as_stated_is_refused(name, tmp_path, refused):
    """One byte other than what the archive's maker packed is found, in any file."""
    plain = contents()
    sha256 = {
        key: hashlib.sha256(body).hexdigest().upper() for key, body in plain.items() if key != "meta.json"
    }
    good = contents(sha256=sha256)
    error = refused(archives.build(tmp_path / "m.tgz", good | {name: good[name] + b"\n"}), "E_MODEL_DIGEST")

    assert name in error.what


@pytest.mark.parametrize("name", ["absent.onnx", "../m.tgz", "/etc/hostname", "", "a\0", "🌊" * 300])
def test_a_digest_of_no_file_is_refused(name, tmp_path, refused):
    """Digests are of files in the archive only, and all of them must be there."""
    refused(archives.build(tmp_path / "m.tgz", contents(sha256={name: "0" * 64})), "E_MODEL_DIGEST")


def test_of_two_networks_of_a_format_the_one_in_meta_json_counts(tmp_path, into):
    """deploy.yaml can name only one network, in the original form; its format comes first."""
    files = {"other.pdmodel": b"a network", "model.onnx": MINIMAL_ONNX}
    engines = {"onnx": "model.onnx", "pdmodel": "other.pdmodel"}
    package = open_archive(archives.build(tmp_path / "m.tgz", contents(files=files, engines=engines)), into)

    assert [("pdmodel", "other.pdmodel"), ("onnx", "model.onnx")] == [
        (kind, path.name) for kind, path in package.engines.items()
    ]


def test_weights_that_are_named_must_be_there_whatever_the_network(tmp_path, into, refused):
    """ONNX needs none, and names none in vain."""
    network = ("model.onnx", MINIMAL_ONNX)
    package = open_archive(archives.build(tmp_path / "m.tgz", contents(network=network)), into)
    assert package.root / "model.pdiparams" == package.params
    shutil.rmtree(package.root)

    files = _yaml(model="model.onnx", params="absent.pdiparams")
    path = archives.build(tmp_path / "n.tgz", contents(network=network, params=None, files=files))
    assert "'absent.pdiparams'" in refused(path, "E_MODEL_MANIFEST").what


def test_a_paddle_network_that_is_there_is_not_replaced(tmp_path, into):
    """Its PIR form is taken only where a .pdmodel is named and missing."""
    path = archives.build(tmp_path / "m.tgz", contents(files={"model.json": b"{}"}))

    assert ["pdmodel"] == list(open_archive(path, into).engines)


@pytest.mark.parametrize(
    ("name", "says"),
    [("META.json", "'META.json' is the manifest itself"), ("a\\b.json", "is not the plain name of a file")],
)
def test_a_name_that_another_system_would_read_otherwise_is_refused(name, says, tmp_path, refused):
    """Case and backslashes mean other files elsewhere."""
    path = archives.build(tmp_path / "m.tgz", contents(engines={"pir": name}))

    assert says in refused(path, "E_MODEL_MANIFEST").what


def test_a_network_is_checked_where_it_is_named(tmp_path, refused):
    """A file that is no ONNX is a fault of the graph, though no engine has seen it."""
    path = archives.build(tmp_path / "m.tgz", contents(network=("model.onnx", b"rubbish"), params=None))

    assert "model.onnx" in refused(path, "E_MODEL_GRAPH").where


def test_the_tasks_own_words_are_checked(tmp_path, refused):
    """What a detector states of its outputs is read with the manifest."""
    path = archives.build(tmp_path / "m.tgz", contents(task="detect", detect={"layout": "dance"}))

    assert "'dance' is not a known layout" in refused(path, "E_MODEL_MANIFEST").what
