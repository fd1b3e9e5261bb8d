"""Bad videos as whole orders: a line, a code, a row and a status each, and the others go on.

Numbers are the rows of the list of bad inputs that were tried (93 to 103 are its videos).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import pictures, videos
from tests.moving import RECTANGLES, Order, film, order, swim, watch
from tests.service.run import Service, rows

SMALL = (120, 160)
FRONT = {"options": {"g": "5", "bf": "0"}, "container_options": {"movflags": "+faststart"}}


def patched(path: Path, after: bytes, offset: int, form: str, *values: int) -> None:
    """Overwrite numbers in a file, behind the first place of some bytes."""
    body = bytearray(path.read_bytes())
    struct.pack_into(form, body, body.index(after) + offset, *values)
    path.write_bytes(body)


def avi(path: Path, codec: str = "mjpeg", pix_fmt: str = "yuvj420p") -> Path:
    """Write an AVI of 12 frames."""
    return videos.write(path, videos.scenes(12, SMALL), codec=codec, pix_fmt=pix_fmt)


def r93_avi_of_nothing(folder: Path) -> None:
    """An AVI cut behind its header: 0 of 12 frames."""
    path = avi(folder / "r93.avi")
    body = path.read_bytes()
    path.write_bytes(body[: body.index(b"movi") + 300])


def r94_no_index(folder: Path) -> None:
    """An MP4 whose recorder lost power."""
    videos.cut(videos.write(folder / "r94.mp4", videos.scenes(20, SMALL)), 0.7)


def r95_m3u8(folder: Path) -> None:
    """A playlist."""
    (folder / "r95-m3u8.mp4").write_text("#EXTM3U\n#EXTINF:1,\ngood.mp4\n")


def r95_ffconcat(folder: Path) -> None:
    """FFmpeg's own playlist."""
    (folder / "r95-ffconcat.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")


def r95_sdp(folder: Path) -> None:
    """The description of a stream."""
    (folder / "r95-sdp.mp4").write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 9 RTP/AVP 96\n")


def r96_pattern(folder: Path) -> None:
    """A picture, named as a pattern that would take in its neighbours."""
    (folder / "r96-%02d.mp4").write_bytes(pictures.png())
    (folder / "r96-01.mp4").write_bytes(pictures.png())


def r97_a_billion_frames(folder: Path) -> None:
    """A header that promises 10^9 frames."""
    path = avi(folder / "r97.avi", "mpeg4", "yuv420p")
    patched(path, b"strh", 40, "<I", 10**9)
    patched(path, b"avih", 24, "<I", 10**9)


def r98_no_rate(folder: Path) -> None:
    """0 frames per second."""
    patched(avi(folder / "r98-0.avi"), b"strh", 32, "<I", 0)


def r98_variable_rate(folder: Path) -> None:
    """Times that follow no rate."""
    film(folder / "r98-variable.mp4", swim(5), times=[0, 0.04, 0.5, 0.51, 2.0])


def r99_turned(folder: Path) -> None:
    """A film that is to be turned."""
    videos.rotated(folder / "r99.mp4", swim(4), 90)


def r100_sound(folder: Path) -> None:
    """Sound without pictures."""
    videos.sound_only(folder / "r100.mp4")


def r101_two_sizes(folder: Path) -> None:
    """Frames that change size in the middle."""
    videos.two_sizes(folder / "r101.ts", videos.frames(6), videos.frames(6, (96, 144), 6))


def r102_too_large(folder: Path) -> None:
    """Frames of 16,384 x 16,384."""
    path = videos.write(folder / "r102.avi", videos.frames(3), codec="rawvideo", pix_fmt="bgr24")
    patched(path, b"strf", 12, "<ii", 1 << 14, 1 << 14)


def r103_green(folder: Path) -> None:
    """Damage in a frame that the ones after it are made from."""
    videos.damaged(videos.write(folder / "r103.mp4", videos.scenes(20, SMALL), **FRONT), 12, share=0.05)


def cut(folder: Path) -> None:
    """A source that dies in the middle."""
    videos.cut(videos.write(folder / "cut.mp4", videos.scenes(20, SMALL), **FRONT), 0.6)


def empty(folder: Path) -> None:
    """Not one byte."""
    (folder / "empty.mp4").write_bytes(b"")


BAD: dict[Callable[[Path], None], tuple[str, str, str, str]] = {
    r93_avi_of_nothing: ("r93.avi", "failed", "E_VIDEO_TRUNCATED", "none of its 12 frames"),
    r94_no_index: ("r94.mp4", "failed", "E_VIDEO_TRUNCATED", "moov"),
    r95_m3u8: ("r95-m3u8.mp4", "failed", "E_VIDEO_FORMAT", "playlist"),
    r95_ffconcat: ("r95-ffconcat.mp4", "failed", "E_VIDEO_FORMAT", "playlist"),
    r95_sdp: ("r95-sdp.mp4", "failed", "E_VIDEO_FORMAT", "description of a stream"),
    r96_pattern: ("r96-%02d.mp4", "failed", "E_VIDEO_FORMAT", "PNG"),
    r97_a_billion_frames: ("r97.avi", "partial", "E_VIDEO_TRUNCATED", "12 of 1000000000 frames"),
    r98_no_rate: ("r98-0.avi", "ok", "", ""),
    r98_variable_rate: ("r98-variable.mp4", "ok", "", ""),
    r99_turned: ("r99.mp4", "ok", "", ""),
    r100_sound: ("r100.mp4", "failed", "E_VIDEO_FORMAT", "audio but no video"),
    r101_two_sizes: ("r101.ts", "partial", "E_VIDEO_FORMAT", "another size"),
    r102_too_large: ("r102.avi", "failed", "E_IMAGE_SIZE", "36 million"),
    r103_green: ("r103.mp4", "partial", "E_VIDEO_TRUNCATED", "damaged"),
    cut: ("cut.mp4", "partial", "E_VIDEO_TRUNCATED", "ends early"),
    empty: ("empty.mp4", "failed", "E_VIDEO_TRUNCATED", "empty"),
}
EACH = pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them, and two good ones around them in order of name."""
    made = tmp_path_factory.mktemp("videos")
    for make in BAD:
        make(made)
    film(made / "a-good.mp4", swim(6))
    film(made / "z-good.mp4", swim(6, y=60))
    return made


@pytest.fixture(scope="module")
def ran(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Order:
    """One order of all of them."""
    return order(RECTANGLES, folder, tmp_path_factory.mktemp("bad") / "out", batch_size=4)


@EACH
def test_each_is_a_row_and_the_others_go_on(ran: Order, make: Callable[[Path], None]) -> None:
    """In one order of all, each has its status, code and reason, and the good ones lose nothing."""
    name, status, code, words = BAD[make]
    row = ran.row(name)

    assert (0, []) == (ran.status, ran.errors)
    assert (status, code) == (row["status"], row["code"]), row["reason"]
    assert words in row["reason"]
    assert (bool(row["product"]), bool(row["frames"])) == (status != "failed",) * 2
    for good in ("a-good", "z-good"):
        assert ("ok", "6", "1") == tuple(ran.row(f"{good}.mp4")[k] for k in ("status", "frames", "tracks"))
        assert 6 == len(watch(ran.out / f"{good}.mp4").pictures)


@EACH
def test_each_by_itself_has_its_status(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Alone, one that fails fails the order with one error; one that is read in part does not."""
    name, status, code, words = BAD[make]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in")
    ran = order(RECTANGLES, tmp_path / "in" / name, tmp_path / "out")

    if status == "failed":
        assert (5, ["E_ALL_FAILED"]) == (ran.status, [line.split()[0] for line in ran.errors])
        assert [path.name for path in ran.out.rglob("*.mp4")] == []
    else:
        assert (0, []) == (ran.status, ran.errors)
    assert (status, code) == (ran.row(name)["status"], ran.row(name)["code"])
    if code:
        (line,) = ran.warnings
        assert code in line
        assert words in line


@pytest.mark.parametrize("make", [r95_m3u8, r98_no_rate, r101_two_sizes, cut], ids=lambda make: make.__name__)
def test_it_stops_the_order_where_that_is_asked(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """With on-error stop, the first that is not whole ends the order, the ones before it delivered, those behind told."""
    _, status, code, _ = BAD[make]
    folder = tmp_path / "in"
    folder.mkdir()
    make(folder)
    film(folder / "a-good.mp4", swim(3))
    film(folder / "z-good.mp4", swim(3))
    ran = order(RECTANGLES, folder, tmp_path / "out", on_error="stop", sources_at_once=1)
    told = {row["name"]: row["status"] for row in ran.rows}

    if status == "ok":
        assert (0, {"ok"}) == (ran.status, set(told.values()))
        return
    assert ran.status == 5
    (line,) = ran.errors
    assert line.startswith("E_STOPPED ")
    assert code in line
    assert ("ok", "not-reached") == (told["a-good.mp4"], told["z-good.mp4"])


def test_the_service_says_it_in_lines_without_a_traceback(service: Service, folder: Path) -> None:
    """The service itself: status 0, a warning for each, every source in the table, and nothing left behind."""
    ran = service.run("--model", RECTANGLES, "--videos", folder)

    assert (ran.status, ran.left, ran.errors) == (0, [], []), ran.said
    assert "Traceback" not in ran.said
    table = {row["name"]: row for row in rows(service.out / "survey.csv")}
    assert set(table) == {path.name for path in folder.iterdir()}
    for name, status, code, _ in BAD.values():
        assert (status, code) == (table[name]["status"], table[name]["code"])
        assert not code or any(name in line and code in line for line in ran.said.splitlines())


def test_too_many_failures_end_the_order(tmp_path: Path) -> None:
    """max-failures is counted in sources."""
    for make in (r94_no_index, r95_m3u8, r100_sound):
        make(tmp_path)
    film(tmp_path / "z.mp4", swim(3))
    ran = order(RECTANGLES, tmp_path, tmp_path / "out", max_failures=1, sources_at_once=1)
    videos = [row for row in ran.rows if row["name"] != "out"]

    assert (5, "E_STOPPED") == (ran.status, ran.errors[0].split()[0])
    assert ["failed", "failed", "not-reached", "not-reached"] == [row["status"] for row in videos]
