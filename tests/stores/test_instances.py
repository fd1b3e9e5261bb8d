"""A list of instances as sources: order, names, limits, and instances that fail alone."""

from __future__ import annotations

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quadrat.errors import InstanceError, ParameterError, SourceError
from quadrat.parameters.limits import InstanceSettings
from quadrat.stores import instances
from quadrat.stores.entries import content_digest, signature_of
from quadrat.stores.folder import FolderStore, pull_file
from quadrat.stores.instances import Instances, is_list
from quadrat.types import Blob, Failure, Source


def in_bytes(body: bytes, **more: Any) -> dict[str, Any]:
    """Give an instance of some bytes."""
    return {"img_bytes": {"b64": base64.b64encode(body).decode()}, **more}


def lines(path: Path, *values: Any) -> Path:
    """Write JSON lines; text is written as it is."""
    path.write_text("".join(f"{v if isinstance(v, str) else json.dumps(v)}\n" for v in values), "utf-8")
    return path


def names(listed: Instances) -> list[str]:
    """Give the names of the sources, and those of failures in brackets."""
    return [f"[{i.source.name}]" if isinstance(i, Failure) else i.name for i in listed]


def content(source: Source) -> bytes | Path:
    """Give what the store gives to the reader."""
    with pull_file(source) as blob:
        assert isinstance(blob.content, bytes | Path)
        return blob.content


def test_order_and_names(tmp_path: Path) -> None:
    """Sources come in the order of the lines; blank lines count, and a bad line fails alone, under its number."""
    (tmp_path / "a.jpg").write_bytes(b"A")
    path = lines(
        tmp_path / "list.jsonl",
        in_bytes(b"B"), "", {"filenames": "a.jpg"}, "no JSON", in_bytes(b"C", name="c.png"), {"filenames": "a.jpg"},
    )  # fmt: skip
    listed = list(Instances(path))
    assert names(Instances(path)) == ["line-000001", "a.jpg", "[line-000004]", "c.png", "a.jpg"]
    assert [content(each) for each in listed if isinstance(each, Source)] == [
        b"B", tmp_path / "a.jpg", b"C", tmp_path / "a.jpg",
    ]  # fmt: skip
    failed = listed[2]
    assert isinstance(failed, Failure)
    assert isinstance(failed.error, InstanceError)
    assert failed.error.where == "line-000004"
    urns = [each.source.urn if isinstance(each, Failure) else each.urn for each in listed]
    assert len(set(urns)) == len(urns), "a file that is listed twice is two sources"


@given(st.data())
def test_a_document_is_its_lines(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever an instance contains, and wherever blocks of the file end, a document gives what its lines give."""
    texts = st.text(st.sampled_from('ab"\\[]{},:ä\n'), min_size=1, max_size=12).filter(str.strip)
    values = data.draw(st.lists(texts.map(lambda text: in_bytes(b"x", name=text)), max_size=6))
    indent = data.draw(st.sampled_from([None, 1]))
    folder = tmp_path_factory.mktemp("lists")
    whole = folder / "all.json"
    whole.write_text(json.dumps({"instances": values}, indent=indent), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instances, "CHUNK", data.draw(st.integers(1, 40)))
        found = [each for each in Instances(whole) if isinstance(each, Source)]
    assert [each.name for each in found] == names(Instances(lines(folder / "each.jsonl", *values)))
    assert [content(each) for each in found] == [b"x"] * len(values)


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ('{"instances": []}', []),
        ('\ufeff{"signature_name": "serving_default", "instances": [{"filenames": "a.jpg"}]}', ["a.jpg"]),
        ('{"instances": [{"filenames": "a.jpg"}, 7, {"filenames": "b.jpg"}]}', ["a.jpg", "[instance-000002]", "b.jpg"]),
        ('{"instances": [{"filenames": "a.jpg"}, {"filenames": "b', ["a.jpg", "[instance-000002]"]),
        ('{"instances": [{"filenames": "a.jpg"},', ["a.jpg", "[instance-000002]"]),
        ('{"instances": {"filenames": "a.jpg"}}', ["[line-000001]"]),
        ('{"instances": [{"filenames": "a.jpg"}}, {"filenames": "b.jpg"}]}', ["[instance-000001]"]),
        ('{"instances": [{"filenames": "a.jpg"}], {"filenames": "b.jpg"}]}', ["a.jpg", "[instance-000002]"]),
        ('{"instances": [{"filenames": "a.jpg"}], "parameters": {"top": 5}}', ["a.jpg"]),
    ],
)  # fmt: skip
def test_documents(tmp_path: Path, text: str, listed: list[str]) -> None:
    """A document that is cut short fails at its end, and its whole instances are measured; none is lost in silence."""
    path = tmp_path / "list.json"
    path.write_text(text, "utf-8")
    assert names(Instances(path)) == listed


def test_a_line_that_is_too_long_is_not_read_into_memory(tmp_path: Path) -> None:
    """A line of 100 MB costs the memory of the limit, and the lines after it are measured."""
    path = tmp_path / "list.jsonl"
    with path.open("wb") as file:
        file.write(b'{"img_bytes": {"b64": "')
        for _ in range(100):
            file.write(b"A" * 1_000_000)
        file.write(b'"}}\n' + json.dumps({"filenames": "a.jpg"}).encode())
    tracemalloc.start()
    listed = list(Instances(path, InstanceSettings(max_instance_bytes=1_000_000)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(listed[0], Failure)
    assert "it has 100,000,027 bytes, more than the limit of 1,000,000" in listed[0].error.line
    assert isinstance(listed[1], Source)
    assert listed[1].name == "a.jpg"
    assert most < 5_000_000


@pytest.mark.parametrize("form", ["lines", "document"])
def test_the_limit_is_that_of_the_instance_itself(tmp_path: Path, form: str) -> None:
    """Exactly the limit passes, and one byte more does not, with either end of line."""
    path, text = tmp_path / "list.json", json.dumps(in_bytes(b"x" * 1000))
    whole = f"{text}\r\n{text}x\r\n" if form == "lines" else f'{{"instances": [{text},{text} ]}}'
    path.write_bytes(whole.encode())
    found = list(Instances(path, InstanceSettings(max_instance_bytes=len(text))))
    assert [isinstance(each, Source) for each in found] == [True, False]


def test_too_many_instances_are_refused(tmp_path: Path) -> None:
    """The limit on their number is checked while they are listed; exactly the limit passes."""
    path = lines(tmp_path / "list.jsonl", *[{"filenames": f"{i}.jpg"} for i in range(4)])
    assert len(list(Instances(path, InstanceSettings(max_instances=4)))) == 4
    with pytest.raises(ParameterError, match="more than 3 instances"):
        list(Instances(path, InstanceSettings(max_instances=3)))


def test_a_list_that_is_gone_or_changed(tmp_path: Path) -> None:
    """Without the list nothing can be read, and bytes that are no longer there fail alone."""
    path = lines(tmp_path / "list.jsonl", in_bytes(b"A"))
    (source,) = (each for each in Instances(path) if isinstance(each, Source))
    path.write_bytes(b"{}")
    with pytest.raises(InstanceError) as raised:
        content(source)
    assert raised.value.where == "line-000001"
    path.unlink()
    with pytest.raises(SourceError, match="list cannot be read"):
        content(source)
    with pytest.raises(SourceError, match="list cannot be read"):
        list(Instances(path))


def test_an_instance_is_unchanged_if_its_bytes_are(tmp_path: Path) -> None:
    """A line that is added changes the signature of the list, but not the content of the others."""
    path = lines(tmp_path / "list.jsonl", in_bytes(b"A"))
    (source,) = (each for each in Instances(path) if isinstance(each, Source))
    before = signature_of(source)
    assert before
    lines(path, in_bytes(b"A"), in_bytes(b"B"))
    assert signature_of(source) != before
    assert content_digest(source) == Blob(b"A").digest


def test_which_files_are_lists(tmp_path: Path) -> None:
    """The suffix decides; a folder is none."""
    (tmp_path / "folder.json").mkdir()
    assert [is_list(Path(name)) for name in ("a.jsonl", "a.NDJSON", "a.json", "a.jpg")] == [True] * 3 + [
        False
    ]
    assert not is_list(tmp_path / "folder.json")


def test_the_store_names_its_list(tmp_path: Path) -> None:
    """The list, not its instances, is the place of the sources, so that a longer list continues a run."""
    (tmp_path / "model.tgz").touch()
    path = lines(tmp_path / "list.jsonl", in_bytes(b"A"))
    store = FolderStore(tmp_path / "model.tgz", Instances(path), tmp_path / "out")
    assert store.place == Instances(path).described
