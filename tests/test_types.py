"""A blob's digest is that of its content, wherever the content is."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.geometry import Window
from quadrat.predictions import Detections, Embedding, ObjectResult
from quadrat.types import Blob


@given(body=st.binary(max_size=50))
def test_bytes_and_a_file_of_them_have_one_digest(
    body: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is the sha256 of the bytes, in memory, in a file, loaded from one, and after a pickle."""
    path = tmp_path_factory.getbasetemp() / "blob"
    path.write_bytes(body)
    blobs = [Blob(body), Blob(path), Blob(path).loaded(), pickle.loads(pickle.dumps(Blob(body)))]
    assert {blob.digest for blob in blobs} == {hashlib.sha256(body).hexdigest()}
    assert Blob(path).loaded().content == body


def test_a_file_is_hashed_once(tmp_path: Path) -> None:
    """The digest that is known, or was computed, goes along with the loaded bytes."""
    (tmp_path / "a").write_bytes(b"one")
    blob = Blob(tmp_path / "a")
    before = blob.digest
    (tmp_path / "a").write_bytes(b"two")
    assert blob.digest == blob.loaded().digest == before
    assert Blob(b"one", "known").digest == Blob(b"one", "known").loaded().digest == "known"


def test_pictures_differ_by_shape_and_pixels_not_by_layout() -> None:
    """The digest of an array is of its dtype, shape and pixels row by row, whatever its strides."""
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    layouts = [picture, np.asfortranarray(picture), np.ascontiguousarray(picture[:, ::-1])[:, ::-1]]
    assert len({Blob(each).digest for each in layouts}) == 1
    assert Blob(picture).digest == hashlib.sha256(b"|u1 (2, 4, 3)\n" + bytes(range(24))).hexdigest()
    others = [picture.reshape(4, 2, 3), picture + 1, picture[..., 0]]
    assert len({Blob(each).digest for each in (picture, *others)}) == 4


def test_a_folder_has_no_digest(tmp_path: Path) -> None:
    """Its reader makes one of the files in it."""
    with pytest.raises(OSError, match="directory"):
        _ = Blob(tmp_path).digest


def test_selecting_objects_selects_what_is_known_of_each() -> None:
    """A mask and indices select the details of the same rows, in the same order."""
    details = tuple(
        ObjectResult(Window(0, 0, 1, 1), Embedding(np.full(1, row, np.float32))) for row in range(3)
    )
    found = Detections(
        np.zeros((3, 4), np.float32),
        np.arange(3, dtype=np.float32),
        np.zeros(3, np.int32),
        details={"a": details},
    )

    by_mask, by_index = found[np.array([True, False, True])], found[np.array([2, 0])]

    assert by_mask.details == {"a": (details[0], details[2])}
    assert by_index.details == {"a": (details[2], details[0])}
    assert found[np.zeros(3, bool)].details == {"a": ()}
