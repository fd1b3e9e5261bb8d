"""An order that was killed is repeated, and ends with exactly the files of one that was not."""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from quadrat.stores import ledger
from quadrat.stores.entries import FOLDER
from quadrat.stores.folder import FolderStore
from quadrat.stores.journal import Journal
from quadrat.stores.ledger import FolderLedger
from quadrat.types import Source
from tests import pictures
from tests.executors.orders import dives, photos
from tests.moving import FISH, RECTANGLES, URCHIN, Order, draw, film, order, swim
from tests.networks import brightness_archive
from tests.results import contents, paths, product
from tests.test_job import half

MOMENTS = 8
"""The moments of an order at which it is killed here; benchmarks.resume kills processes at more."""


def states(out: Path, to: Path, run: Any) -> list[Path]:
    """Run an order, and copy its folder of results before and after each step of the ledger.

    A copy is what is on the disk if the process is killed at that moment.
    """
    copies: list[Path] = []

    def keep() -> None:
        copies.append(shutil.copytree(out, to / str(len(copies))))

    def kept(call: Any) -> Any:
        def called(*given: Any, **named: Any) -> Any:
            keep()
            result = call(*given, **named)
            keep()
            return result

        return called

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "place", kept(ledger.place))
        patch.setattr(Journal, "add", kept(Journal.add))
        patch.setattr(FolderLedger, "complete", kept(FolderLedger.complete))
        patch.setattr(FolderLedger, "_remove", kept(FolderLedger._remove))
        run()
    return copies


def killed_at(out: Path, state: Path) -> None:
    """Put the folder of results into a state."""
    shutil.rmtree(out)
    shutil.copytree(state, out)


@pytest.mark.parametrize("kind", ["objects", "masks", "videos"])
def test_killed_and_resumed_is_undisturbed(tmp_path: Path, kind: str) -> None:
    """At any moment, byte for byte; and once more after that nothing changes."""
    source = (dives if kind == "videos" else photos)(tmp_path / "in")
    model = brightness_archive(tmp_path / "m.tgz") if kind == "masks" else RECTANGLES
    out = tmp_path / "out"

    def run() -> Order:
        return order(model, source, out, moving=kind == "videos")

    copies = states(out, tmp_path / "states", run)
    undisturbed = contents(out)
    assert len(copies) > 30
    for state in random.Random(kind).sample(copies, MOMENTS):
        killed_at(out, state)
        assert run().status == 0
        assert undisturbed == contents(out), state.name
    again = run()
    assert undisturbed == contents(out)
    assert any("unchanged since an earlier run" in line for line in again.infos)


def test_killed_twice_and_resumed_is_undisturbed(tmp_path: Path) -> None:
    """Also while the second run removes what the first left."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"

    def run() -> Order:
        return order(RECTANGLES, source, out, moving=False)

    copies = states(out, tmp_path / "first", run)
    undisturbed, chance = contents(out), random.Random(2)
    killed_at(out, copies[len(copies) // 2])
    for state in chance.sample(states(out, tmp_path / "second", run), 4):
        killed_at(out, state)
        run()
        assert undisturbed == contents(out)


@pytest.mark.parametrize("cut", [1, 7, 40, 400])
def test_a_journal_that_was_cut_is_read_to_its_last_whole_value(tmp_path: Path, cut: int) -> None:
    """As when the machine lost power; what it does not have is measured again."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    undisturbed = contents(out)
    journal = out / FOLDER / "journal"
    journal.write_bytes(journal.read_bytes()[:-cut])
    order(RECTANGLES, source, out, moving=False)

    assert undisturbed == contents(out)


def measured(ran: Order) -> list[str]:
    """Give the names of the sources that a run has measured, by its log."""
    lines = [line.partition("] ")[2] for line in ran.infos if line.startswith("[")]
    return [line.partition(":")[0] for line in lines]


def test_only_what_is_missing_or_changed_is_measured(tmp_path: Path) -> None:
    """A new picture, one with other content, one whose product is gone, and one whose product was changed."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    (source / "5.png").write_bytes(pictures.png(draw([(5, 5, 30, 30)], kind=URCHIN)))
    (source / "1.png").write_bytes((source / "2.png").read_bytes())
    product(out, "2.annotated.jpg").unlink()
    (out / "meta" / "3.annotated.jpg-meta.json").write_text("{}")
    ran = order(RECTANGLES, source, out, moving=False)
    resumed = contents(out)

    assert ["1.png", "2.png", "3.png", "5.png"] == measured(ran)
    shutil.rmtree(out)
    order(RECTANGLES, source, out, moving=False)
    assert resumed == contents(out)


def test_a_picture_that_is_only_touched_is_not_measured_again(tmp_path: Path) -> None:
    """Its digest is what counts. One that failed is tried again."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    for path in source.iterdir():
        path.write_bytes(path.read_bytes())
    ran = order(RECTANGLES, source, out, moving=False)

    assert [] == measured(ran)
    assert 2 == sum(": failed, " in line for line in ran.warnings)


def test_results_of_sources_that_have_gone_are_set_aside(tmp_path: Path) -> None:
    """The folder ends as if they had never been there; they cannot be made again, so they and their rows are kept."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    before = contents(out)
    for name in ("0.png", "1.png"):
        (source / name).unlink()
    ran = order(RECTANGLES, source, out, moving=False)

    replaced = out / FOLDER / "replaced"
    for name in ("annotated/0.annotated.jpg", "annotated/1.annotated.jpg", "survey.csv", "detections.csv"):
        assert before[name] == (replaced / name).read_bytes()
    assert ran.status == 0
    resumed = contents(out)
    shutil.rmtree(out)
    order(RECTANGLES, source, out, moving=False)
    assert resumed == contents(out)


def test_a_product_that_somebody_has_changed_is_made_again_and_kept(tmp_path: Path) -> None:
    """As is a table."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    before = contents(out)
    for name in ("annotated/0.annotated.jpg", "survey.csv"):
        (out / name).write_bytes(b"mine")
    order(RECTANGLES, source, out, moving=False)

    assert before == contents(out)
    for name in ("annotated/0.annotated.jpg", "survey.csv"):
        assert b"mine" == (out / FOLDER / "replaced" / name).read_bytes()


def test_an_empty_folder_changes_no_earlier_result_but_the_table(tmp_path: Path) -> None:
    """It may be a drive that is not there; with it, the results are as before."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    before = contents(out)
    source.rename(tmp_path / "elsewhere")
    source.mkdir()
    assert 5 == order(RECTANGLES, source, out, moving=False).status
    assert set(before) == set(contents(out))
    source.rmdir()
    (tmp_path / "elsewhere").rename(source)
    ran = order(RECTANGLES, source, out, moving=False)

    assert [] == measured(ran)
    assert before == contents(out)


def test_an_interrupted_order_removes_nothing(tmp_path: Path) -> None:
    """What it did not reach may still be there."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    before = {path.name for path in paths(out)}
    (source / "0.png").write_bytes(pictures.truncated(pictures.jpeg()))
    ran = order(RECTANGLES, source, out, moving=False, on_error="stop")

    assert 5 == ran.status
    assert before == {path.name for path in paths(out)}


def refused(ran: Order) -> str:
    """Give the only error line of an order that was refused."""
    (line,) = ran.errors
    assert (6, "E_RESULTS") == (ran.status, line.split()[0])
    assert "--into NAME" in line
    return line


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"min_score": 0.9}, "min-score was the default, and is 0.9"),
        ({"tile_size": 64}, "tile-size was 0, and is 64"),
        ({"outputs": "none"}, "outputs was the default, and is none"),
    ],
    ids=str,
)
def test_results_of_other_settings_are_refused(tmp_path: Path, values: dict[str, Any], said: str) -> None:
    """In one line that names the difference; nothing changes."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    before = contents(out)

    assert said in refused(order(RECTANGLES, source, out, moving=False, **values))
    assert before == contents(out)


def test_settings_that_shape_no_result_continue(tmp_path: Path) -> None:
    """How many threads there are, or where it is measured."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    ran = order(RECTANGLES, source, out, moving=False, batch_size=2, on_error="skip", max_failures=100)

    assert (0, []) == (ran.status, measured(ran))


def test_results_of_another_model_or_of_other_pictures_are_refused(tmp_path: Path) -> None:
    """Also if only the content of the archive differs; a copy of the archive is the same model."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    masks = [
        brightness_archive(tmp_path / name / "m.tgz", **how)
        for name, how in (("a", {}), ("b", {"classes": None}))
        if (tmp_path / name).mkdir() is None
    ]
    order(RECTANGLES, source, out, moving=False)
    shutil.copy(RECTANGLES, tmp_path / "rectangles.tgz")
    (tmp_path / "other").mkdir()

    assert "model was rectangles (" in refused(order(masks[0], source, out, moving=False))
    assert "sources was urn:file:" in refused(order(RECTANGLES, tmp_path / "other", out, moving=False))
    assert 0 == order(tmp_path / "rectangles.tgz", source, out, moving=False).status


def test_overwrite_replaces_the_results_of_another_order(tmp_path: Path, overwriting: Any) -> None:
    """Files of the user's stay, and what is replaced is as if it had never been there."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    order(RECTANGLES, source, out, moving=False)
    (out / "notes.txt").write_text("mine")
    model = brightness_archive(tmp_path / "m.tgz")
    assert 0 == order(model, source, out, moving=False, store=overwriting).status
    replaced = contents(out)
    assert replaced.pop("notes.txt") == b"mine"
    shutil.rmtree(out)
    order(model, source, out, moving=False)

    assert replaced == contents(out)


@pytest.fixture
def overwriting() -> Any:
    """A store that overwrites."""

    def made(*given: Any, **named: Any) -> Any:
        from quadrat.stores.folder import FolderStore

        return FolderStore(*given, **named, overwrite=True)

    return made


def test_results_without_a_ledger_are_refused(tmp_path: Path, overwriting: Any) -> None:
    """Those of earlier versions, or of somebody else. With overwrite they are set aside, not lost."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    out.mkdir()
    (out / "survey.csv").write_text("mine")
    line = refused(order(RECTANGLES, source, out, moving=False))

    assert "(survey.csv)" in line
    assert {"survey.csv": b"mine"} == contents(out)
    assert not (out / FOLDER).exists()
    assert 0 == order(RECTANGLES, source, out, moving=False, store=overwriting).status
    assert (out / FOLDER / "replaced" / "survey.csv").read_text() == "mine"


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    """In one line, before it changes anything; afterwards the folder is free again."""
    source, out = photos(tmp_path / "in"), tmp_path / "out"
    with FolderLedger(out).open():
        line = refused(order(RECTANGLES, source, out, moving=False))
        assert "another run is writing into the folder" in line
        assert {} == contents(out)

    assert not out.exists()
    assert 0 == order(RECTANGLES, source, out, moving=False).status


def test_results_may_lie_among_the_pictures(tmp_path: Path) -> None:
    """They are not measured, have no row, and are the same when the order is repeated."""
    source = photos(tmp_path / "in")
    (source / "overlay").mkdir()
    (source / "overlay" / "mine.png").write_bytes(pictures.png(half()))
    model = brightness_archive(tmp_path / "m.tgz")
    first = order(model, source, source, moving=False, outputs="pseudo,overlay")
    once = contents(source)
    order(model, source, source, moving=False, outputs="pseudo,overlay")

    assert once == contents(source)
    assert {
        "0.png", "1.png", "2.png", "3.png", "torn.jpg", "2-page.jpg", "notes.txt", "overlay/mine.png",
    } == {row["name"] for row in first.rows}  # fmt: skip


def test_live_streams_are_never_mixed(tmp_path: Path) -> None:
    """They give other frames each time, so a second run into the folder is refused."""
    film(tmp_path / "a.mp4", swim(3))
    stream = Source("urn:stream:a", "a", "stream", str(tmp_path / "a.mp4"))
    first = order(RECTANGLES, [stream], tmp_path / "out")
    before = contents(tmp_path / "out")

    assert first.rows
    assert "live streams from" in refused(order(RECTANGLES, [stream], tmp_path / "out"))
    assert before == contents(tmp_path / "out")


def test_the_table_grows_row_by_row(tmp_path: Path) -> None:
    """While the order is under way it is in survey.part.csv, with a row for every finished source."""
    source, out, seen = photos(tmp_path / "in"), tmp_path / "out", []

    def look(self: FolderLedger, *_: Any, **__: Any) -> None:
        seen.append(len({line.split(",")[0] for line in (out / "survey.part.csv").read_text().splitlines()}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FolderLedger, "commit", look)
        order(RECTANGLES, source, out, moving=False)

    assert list(range(2, 9)) == seen
    assert "survey.part.csv" not in contents(out)


def test_a_folder_of_results_can_be_moved(tmp_path: Path) -> None:
    """Long videos leave columns in files, which the ledger finds where it is now."""
    (tmp_path / "in").mkdir()
    film(tmp_path / "in" / "a.mp4", [frame for _ in range(15) for frame in swim(20, kind=FISH)])
    order(RECTANGLES, tmp_path / "in", tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    ran = order(RECTANGLES, tmp_path / "in", tmp_path / "moved")

    assert [] == measured(ran)
    assert 300 == len(ran.frames())


@pytest.mark.parametrize("in_folders", [True, False])
def test_a_second_run_of_videos_changes_nothing(tmp_path: Path, in_folders: bool) -> None:
    """Also where all results lie in one folder: the metadata of some of their products does not name their video."""
    source, out = dives(tmp_path / "in"), tmp_path / "out"
    store = partial(FolderStore, in_folders=in_folders)
    first = order(RECTANGLES, source, out, store=store)
    before = contents(out)
    again = order(RECTANGLES, source, out, store=store)

    assert (0, 0) == (first.status, again.status), again.errors
    assert before == contents(out)
    assert any(name.endswith(".mp4") for name in before)


def test_a_picture_that_was_renamed_has_its_products(tmp_path: Path) -> None:
    """Names of products have no suffix of the source's, so that the new products take the place of the old ones."""
    source = photos(tmp_path / "in")
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    order(RECTANGLES, source, out, moving=False)
    old = next(path for path in sorted(source.rglob("*")) if path.suffix == ".png")
    old.rename(old.with_suffix(".PNG"))
    assert 0 == order(RECTANGLES, source, out, moving=False).status
    assert 0 == order(RECTANGLES, source, fresh, moving=False).status

    assert {str(p.relative_to(fresh)) for p in paths(fresh)} == {str(p.relative_to(out)) for p in paths(out)}
