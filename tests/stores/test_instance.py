"""One instance of a list in JSON: what it may say, and what it must not."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import InstanceError
from quadrat.stores.instance import Instance, inside, parse_instance

B64 = base64.b64encode(b"\xff\xfe\xfd\xfc pixels").decode()


def parsed(value: Any) -> Instance:
    """Read an instance from a value."""
    return parse_instance(json.dumps(value).encode())


@given(
    st.binary(min_size=1, max_size=300),
    st.sampled_from(["", "data:image/jpeg;base64,", "data:image/svg+xml;base64,"]),
)
def test_bytes_come_back_as_they_went_in(body: bytes, prefix: str) -> None:
    """Base64 is undone exactly, also after the prefix of a data: address of a picture."""
    text = prefix + base64.b64encode(body).decode()
    assert parsed({"img_bytes": {"b64": text}}).decode() == body


def test_names() -> None:
    """A file keeps its path; bytes may have a name or a number."""
    assert parsed({"filenames": "a/b c.jpg"}) == Instance("", file="a/b c.jpg")
    assert parsed({"img_bytes": {"b64": B64}, "name": "camera 3"}).name == "camera 3"
    assert parsed({"img_bytes": {"b64": B64}, "id": 17}).name == "17"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"nonsense", "not valid JSON"),
        (b'{"filenames": "a.jpg"', "not valid JSON"),
        (b'{"filenames": "a.jpg"} {}', "not valid JSON"),
        (b'{"filenames": "a.jpg", "filenames": "b.jpg"}', "twice"),
        (b'{"id": NaN, "filenames": "a.jpg"}', "NaN"),
        (b"[" * 100_000, "nested"),
        ('{"filenames": "ä.jpg"}'.encode("latin-1"), "not UTF-8"),
        (b'["a.jpg"]', "a list"),
        (b"null", "null"),
        (b"{}", "neither filenames nor img_bytes"),
        (b'{"filename": "a.jpg"}', "unknown key 'filename'. Did you mean 'filenames'?"),
        (b'{"b64": "AAAA"}', "unknown key"),
        (b'{"filenames": "a.jpg", "img_bytes": {"b64": "AAAA"}}', "both"),
        (b'{"filenames": ["a.jpg"]}', "filenames is a list"),
        (b'{"filenames": ""}', "not the name of a file"),
        (b'{"filenames": "a\\u0000b.jpg"}', "not the name of a file"),
        (b'{"filenames": "' + b"a" * 5000 + b'"}', "5000 characters"),
        (b'{"filenames": "gs://bucket/a.jpg"}', "is an address"),
        (b'{"img_bytes": "AAAA"}', "the one key b64"),
        (b'{"img_bytes": {"b64": "AAAA", "b32": ""}}', "the one key b64"),
        (b'{"img_bytes": {"b64": 7}}', "b64 is a number"),
        (b'{"img_bytes": {"b64": ""}}', "b64 is empty"),
        (b'{"filenames": "a.jpg", "name": true}', "name is true or false"),
        (b'{"filenames": "a.jpg", "name": " "}', "characters"),
        (b'{"filenames": "a.jpg", "id": "' + b"x" * 300 + b'"}', "300 characters"),
    ],
)  # fmt: skip
def test_what_is_no_instance_is_refused_in_one_line(text: bytes, says: str) -> None:
    """The error says what is wrong and has a code of its own; a long value is not repeated whole."""
    with pytest.raises(InstanceError) as raised:
        parse_instance(text)
    assert says in raised.value.line
    assert raised.value.code == "E_INSTANCE"
    assert len(raised.value.line) < 250


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{B64[:4]}\n{B64[4:]}", "white space"),
        (f" {B64}", "white space"),
        (B64[:-1], "no multiple of 4"),
        ("_-8=", "letters - and _"),
        ("AAA=AAAA", "not base64"),
        ("AAAA====", "more than two ="),
        ("====", "not base64"),
        ("äAAA", "not base64"),
        ("data:image/jpeg;base64,", "no bytes"),
        (f"data:text/html;base64,{B64}", "not that of a picture"),
        (f"data:image/jpeg,{B64}", "not that of a picture"),
        (f"data:{B64}", "not that of a picture"),
    ],
)
def test_text_that_is_not_plain_base64_is_refused(text: str, says: str) -> None:
    """White space and missing padding are refused: other readers of the same list would differ about them."""
    with pytest.raises(InstanceError) as raised:
        Instance(text=text).decode()
    assert says in raised.value.line
    assert len(raised.value.line) < 250


def test_files_stay_below_the_folder_of_the_list(tmp_path: Path) -> None:
    """Paths are relative to it; one that leads out is refused however it is written."""
    (tmp_path / "sub").mkdir()
    for name in ("a.jpg", "sub/../a.jpg", "./a.jpg", str(tmp_path / "a.jpg")):
        assert inside(name, tmp_path) == tmp_path / "a.jpg"
    for name in ("../a.jpg", "sub/../../a.jpg", "/etc/passwd", f"{tmp_path}-other/a.jpg"):
        with pytest.raises(InstanceError, match="outside the folder"):
            inside(name, tmp_path)
    for name in (".", "sub", "sub/.."):
        with pytest.raises(InstanceError, match="is a folder"):
            inside(name, tmp_path)
