from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from quadrat.engines import compile_cache
from quadrat.engines.compile_cache import CompileCache


def test_what_is_stored_is_loaded(tmp_path: Path, log: logging.Logger) -> None:
    """Header and network are loaded unchanged, for any size; writing leaves no other files."""
    cache = CompileCache(tmp_path / "new", log)
    for size in (1, 4095, 4096, 4097, 100_000):
        body = os.urandom(size)
        cache.store(f"k{size}", {"outputs": ["a"]}, memoryview(body))
        found = cache.load(f"k{size}")
        assert found is not None
        header, blob = found
        assert header["outputs"] == ["a"]
        assert blob.tobytes() == body
    assert {path.suffix for path in (tmp_path / "new").iterdir()} == {".blob"}


def test_the_map_is_private(tmp_path: Path, log: logging.Logger) -> None:
    """Writing to a loaded network does not change the file."""
    cache = CompileCache(tmp_path, log)
    cache.store("k", {}, memoryview(b"a" * 100))
    found = cache.load("k")
    assert found is not None
    found[1][:] = 0
    again = cache.load("k")
    assert again is not None
    assert again[1].tobytes() == b"a" * 100


def test_any_flipped_bit_and_any_cut_end_in_not_used(tmp_path: Path, log: logging.Logger) -> None:
    """Damage anywhere in the file raises no exception: nothing is loaded, and the file is removed."""
    cache, path = CompileCache(tmp_path, log), tmp_path / "k.blob"
    cache.store("k", {"outputs": ["labels"], "input": "float32"}, memoryview(b"weights" * 9))
    whole = path.read_bytes()
    header_end = whole.index(b"}") + 1
    zeros = range(header_end * 8, compile_cache.PAGE * 8, 97)  # every 97th bit of the zeros
    damaged = [
        whole[:size] for size in (0, 7, 8, 39, 40, 47, 48, header_end, compile_cache.PAGE, len(whole) - 1)
    ]
    for bit in [*range(header_end * 8), *zeros, *range(compile_cache.PAGE * 8, len(whole) * 8)]:
        body = bytearray(whole)
        body[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(body))
    for data in damaged:
        path.write_bytes(data)
        assert cache.load("k") is None
        assert not path.exists()
    path.write_bytes(whole)
    assert cache.load("k") is not None


def test_an_unknown_key_and_no_folder_give_nothing(tmp_path: Path, log: logging.Logger) -> None:
    """Neither is an error."""
    assert CompileCache(tmp_path / "absent", log).load("k") is None
    nowhere = CompileCache(None, log)
    nowhere.store("k", {}, memoryview(b"a"))
    assert nowhere.load("k") is None


def test_only_the_last_used_are_kept(
    tmp_path: Path, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is limited, and loading counts as use."""
    monkeypatch.setattr(compile_cache, "MAX_ENTRIES", 2)
    cache = CompileCache(tmp_path, log)
    for age, key in ((300, "a"), (200, "b")):
        cache.store(key, {}, memoryview(b"x"))
        at = (tmp_path / f"{key}.blob").stat().st_mtime - age
        os.utime(tmp_path / f"{key}.blob", (at, at))
    assert cache.load("a") is not None
    cache.store("c", {}, memoryview(b"x"))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c"]


def test_a_failed_write_leaves_no_part(
    tmp_path: Path, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves no file, not even a partial one, and raises no error."""

    def full(self: Path, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    CompileCache(tmp_path, log).store("k", {}, memoryview(b"x"))
    assert not list(tmp_path.iterdir())


def test_what_a_killed_write_left_is_removed_after_an_hour(tmp_path: Path, log: logging.Logger) -> None:
    """A more recent one may still be written by another process."""
    for age, name in ((2 * 3600, "old"), (1800, "young")):
        part = tmp_path / f"{name}.part"
        part.write_bytes(b"half")
        at = part.stat().st_mtime - age
        os.utime(part, (at, at))
    CompileCache(tmp_path, log).store("k", {}, memoryview(b"x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.blob", "young.part"]


def test_a_file_of_another_user_is_not_loaded(
    tmp_path: Path, log: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that another user could have written is ignored and removed."""
    cache = CompileCache(tmp_path, log)
    cache.store("k", {}, memoryview(b"x"))
    real = Path.stat

    def stat(path: Path, **words: bool) -> os.stat_result:
        fields = list(real(path, **words))
        return os.stat_result([*fields[:4], os.getuid() + 1, *fields[5:]])

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", stat)
        assert cache.load("k") is None
    assert not list(tmp_path.iterdir())
