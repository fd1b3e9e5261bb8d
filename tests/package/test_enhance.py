"""What an archive states about a network that makes pictures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import ManifestError
from quadrat.package import open_archive
from quadrat.package.enhance import (
    LAYOUTS,
    ORDERS,
    RANGES,
    EnhanceWords,
    read_enhance,
    to_meta,
    transforms_of,
)
from tests.enhancers import enlarger_archive

WORDS = st.builds(
    lambda multiple, times, **rest: EnhanceWords(multiple=multiple, grid=multiple * times, **rest),
    multiple=st.integers(1, 32), times=st.integers(1, 8), order=st.sampled_from(ORDERS), range=st.sampled_from(RANGES),
    output_range=st.sampled_from(RANGES), layout=st.sampled_from(LAYOUTS), scale=st.integers(1, 16),
    least=st.integers(1, 64), reach=st.none() | st.integers(0, 300),
)  # fmt: skip


@given(WORDS)
def test_what_is_written_is_read(words):
    """Nothing is lost, and there are transforms for every entry."""
    assert read_enhance({"enhance": to_meta(words)}) == words
    assert transforms_of(words, (None, words.channels, None, None))[0]["type"] == "ReflectPadding"


def test_the_least_entry():
    """What is not stated is the usual, and tiles are blended."""
    words = read_enhance({"enhance": {"order": "BGR", "range": [-1, 1], "scale": 4}})
    assert words == EnhanceWords("BGR", (-1, 1), (-1, 1), scale=4)
    assert words.reach is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (None, "meta.json: enhance: it is missing"),
        ([], "it does not hold names with values"),
        ({"order": "RGB", "range": [0, 1]}, "enhance.scale: it is missing"),
        ({"order": "RGB", "scale": 2}, "enhance.range: it is missing"),
        ({"range": [0, 1], "scale": 2}, "enhance.order: it is missing"),
        ({"order": "RGBA", "range": [0, 1], "scale": 2}, "'RGBA' is not one of its values"),
        ({"order": "RGB", "range": [0, 2], "scale": 2}, r"\[0, 2\] is not one of its values"),
        ({"order": "RGB", "range": "0..1", "scale": 2}, "0..1 is not one of its values"),
        ({"order": "RGB", "range": [0, 1], "scale": 1.5}, r"1\.5 is not a whole number in 1\.\.16"),
        ({"order": "RGB", "range": [0, 1], "scale": True}, "True is not a whole number"),
        ({"order": "RGB", "range": [0, 1], "scale": 0}, "0 is not a whole number"),
        ({"order": "RGB", "range": [0, 1], "scale": 2, "reach": -1}, "-1 is not a whole number in 0"),
        ({"order": "RGB", "range": [0, 1], "scale": 2, "multiple": 8, "grid": 4}, "it is not a multiple of 8"),
        ({"order": "RGB", "range": [0, 1], "scale": 2, "layout": "CHWN"}, "'CHWN' is not one of its values"),
        ({"order": "RGB", "range": [0, 1], "scale": 2, "tile": 64}, "'tile' is not one of its keys"),
    ],
)  # fmt: skip
def test_wrong_entries_name_the_key(entry, said):
    """One clear line for each."""
    with pytest.raises(ManifestError, match=said):
        read_enhance({} if entry is None else {"enhance": entry})


def test_an_archive_without_the_entry_is_refused(tmp_path):
    """It is read with the rest of the manifest."""
    with pytest.raises(ManifestError, match="enhance"):
        open_archive(enlarger_archive(tmp_path / "m.tgz", enhance=None), tmp_path)
