"""`quadrat run`: files, folders, patterns, videos and several kinds in one command."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import BOXES, MASKS, ROOT, Ended, Quadrat

IMAGES = ROOT / "examples" / "images"
SCENES = ROOT / "examples" / "scenes"
VIDEOS = ROOT / "examples" / "videos"


def names(table: Path) -> list[str]:
    """Give the sources of a survey in order, each once."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return list(dict.fromkeys(row["name"] for row in rows))


def surveys(out: Path) -> dict[str, list[str]]:
    """Give the sources of every survey below a folder, by the folder's name from there."""
    return {str(path.parent.relative_to(out)): names(path) for path in out.rglob("survey.csv")}


def good(ended: Ended) -> None:
    """The command succeeded."""
    assert ended.status == 0, ended.log


def test_a_folder_is_measured_with_its_sub_folders(quadrat: Quadrat) -> None:
    """The task comes from the archive; the log ends with where the results are."""
    ended = quadrat("run", MASKS, IMAGES, "-o", "out")
    good(ended)
    assert surveys(Path("out")) == {
        ".": [
            "site-a/quadrat-01.jpg",
            "site-a/quadrat-02.jpg",
            "site-b/quadrat-01.jpg",
            "site-b/quadrat-03.jpg",
        ]
    }
    assert ended.log.endswith("Results are in out\n")


def test_a_task_that_needs_no_model(quadrat: Quadrat) -> None:
    """All words are pictures then, unless the first is an archive; a config file can state the task."""
    words = ("run", IMAGES / "site-a", IMAGES / "site-b", "-o", "out")
    good(quadrat(*words, "--task", "enhance"))
    assert len(surveys(Path("out"))["."]) == 4
    Path("plan.yaml").write_text("task: enhance\n")
    good(quadrat(*words, "--config", "plan.yaml"))
    refused = quadrat("run", MASKS, IMAGES, "-o", "other", "--task", "enhance")
    assert (refused.status, "task: it is enhance, but the task of the model" in refused.log) == (2, True)
    missing = quadrat("run", "--task", "enhance", "-o", "other")
    assert (missing.status, "E_PARAMETER PHOTOS: it is required" in missing.log) == (2, True)


def test_results_go_to_a_folder_of_their_own_if_none_is_named(quadrat: Quadrat) -> None:
    """The folder has the date and the model's name, so that no run meets another."""
    good(quadrat("run", MASKS, IMAGES / "site-a", "--outputs", "none"))
    folder, latest = sorted(Path("runs").iterdir())
    assert folder.name.endswith("-seagrass-tiny")
    assert (folder / "survey.csv").is_file()
    assert folder.name == str(latest.readlink())


def test_results_of_another_order_are_refused_or_go_into_a_folder(quadrat: Quadrat) -> None:
    """With the choice in the line; the first results stay, until they are to be replaced."""
    words = ("run", MASKS, IMAGES / "site-a", "-o", "out", "--outputs", "none")
    good(quadrat(*words))
    refused = quadrat(*words, "--min-confidence", "0.5")
    assert (6, True) == (
        refused.status,
        "E_RESULTS out: it holds the results of another order" in refused.log,
    )
    good(quadrat(*words, "--min-confidence", "0.5", "--into", "second"))
    good(quadrat(*words))
    assert sorted(surveys(Path("out"))) == [".", "second"]
    good(quadrat(*words, "--min-confidence", "0.5", "--overwrite"))


def test_files_folders_and_patterns_are_one_order(quadrat: Quadrat) -> None:
    """Names of several places tell them apart, and a file that is named twice is measured once."""
    shutil.copytree(IMAGES, "reef")
    good(
        quadrat(
            "run",
            MASKS,
            "reef/site-a",
            "reef/*/quadrat-01.jpg",
            "reef/site-b/quadrat-03.jpg",
            "-o",
            "out",
            "--outputs",
            "none",
        )
    )
    assert surveys(Path("out")) == {
        ".": [
            "site-a/quadrat-01.jpg",
            "site-a/quadrat-02.jpg",
            "site-b/quadrat-01.jpg",
            "site-b/quadrat-03.jpg",
        ]
    }


def test_images_and_videos_are_both_measured(quadrat: Quadrat) -> None:
    """A folder with both gives two sets of tables, and neither survey has a row for what the other measured."""
    Path("dive").mkdir()
    shutil.copy(VIDEOS / "reef-1.mp4", "dive")
    shutil.copy(SCENES / "reef-flat.png", "dive")
    Path("dive/notes.txt").write_text("calm")
    ended = quadrat("run", BOXES, "dive", "-o", "out", "--outputs", "none")
    good(ended)
    assert surveys(Path("out")) == {
        "images": ["notes.txt", "reef-flat.png"],
        "videos": ["notes.txt", "reef-1.mp4"],
    }
    assert ended.log.startswith("Measuring images into out/images, then videos into out/videos\n")


def test_parameters_of_one_kind_go_with_several(quadrat: Quadrat) -> None:
    """With images and videos, a video's parameter applies to the videos, and an image's picture to the images."""
    good(
        quadrat(
            "run",
            MASKS,
            IMAGES / "site-a",
            VIDEOS / "reef-2.mp4",
            "-o",
            "out",
            "--frame-seconds",
            "1",
            "--outputs",
            "pseudo,labels",
        )
    )
    runs = {kind: json.loads(Path("out", kind, "run.json").read_text()) for kind in ("images", "videos")}
    assert runs["images"]["settings"]["frame-seconds"] == 0
    assert runs["videos"]["settings"]["frame-seconds"] == 1
    assert runs["images"]["settings"]["outputs"] == ["pseudo", "labels"]
    assert runs["videos"]["settings"]["outputs"] == ["none"]


def test_a_folder_of_images_is_a_video_on_request(quadrat: Quadrat) -> None:
    """Without --sequence its images are measured one by one, with it as the frames of one video."""
    good(quadrat("run", BOXES, VIDEOS / "still", "-o", "images", "--outputs", "none"))
    good(quadrat("run", BOXES, VIDEOS / "still", "-o", "video", "--sequence", "--outputs", "none"))
    assert len(names(Path("images/survey.csv"))) == 10
    assert names(Path("video/survey.csv")) == ["still"]


def test_the_second_kind_is_measured_when_the_first_fails(quadrat: Quadrat) -> None:
    """A damaged photograph ends with its status, and the video is measured."""
    Path("broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    ended = quadrat("run", BOXES, "broken.jpg", VIDEOS / "reef-1.mp4", "-o", "out", "--outputs", "none")
    assert ended.status == 5
    assert surveys(Path("out"))["videos"] == ["reef-1.mp4"]


def test_several_models_are_one_word(quadrat: Quadrat) -> None:
    """Archives separated by commas, or a folder of them, measure each image in one pass."""
    Path("models").mkdir()
    for archive in (MASKS, BOXES):
        shutil.copy(archive, "models")
    good(quadrat("run", f"{MASKS},{BOXES}", IMAGES / "site-a", "-o", "a", "--outputs", "none"))
    good(quadrat("run", "models", IMAGES / "site-a", "-o", "b", "--outputs", "none"))
    for out in ("a", "b"):
        models = {row["name"] for row in json.loads(Path(out, "run.json").read_text())["models"]}
        assert models == {"seagrass-tiny", "rectangles"}


def test_settings_come_from_a_file(quadrat: Quadrat) -> None:
    """An earlier run.json repeats its settings; the command line overrides them."""
    Path("mine.yaml").write_text("min-score: 0.5\nmax-detections: 7\n")
    good(quadrat("run", BOXES, SCENES, "-o", "out", "--config", "mine.yaml", "--min-score", "0.6"))
    settings = json.loads(Path("out/run.json").read_text())["settings"]
    assert (settings["min-score"], settings["max-detections"]) == (0.6, 7)


def test_results_in_the_folder_of_images_are_not_measured(quadrat: Quadrat) -> None:
    """A second run over the same folder leaves out the pictures that the first one drew there."""
    shutil.copytree(IMAGES / "site-a", "reef")
    good(quadrat("run", MASKS, "reef", "-o", "reef/results", "--outputs", "overlay"))
    good(quadrat("run", MASKS, "reef", "-o", "reef/results", "--outputs", "overlay"))
    found = {name for table in Path("reef/results").glob("survey*.csv") for name in names(table)}
    assert found - {"results"} == {"quadrat-01.jpg", "quadrat-02.jpg"}


@pytest.mark.parametrize("switch", ["--benchmark", "--skip-black"])
def test_a_switch_takes_no_value(quadrat: Quadrat, switch: str) -> None:
    """The word after a switch is a file."""
    good(quadrat("run", BOXES, switch, VIDEOS / "reef-1.mp4", "-o", "out", "--outputs", "none"))


def test_a_name_cannot_forge_a_line(quadrat: Quadrat) -> None:
    """A file's name with line feed, ESC, BEL and U+202E is shown escaped in log, warnings and errors."""
    nasty = "a\nERROR all failed\x1b[31m\x07\u202e"
    Path("reef").mkdir()
    shutil.copy(IMAGES / "site-a" / "quadrat-01.jpg", f"reef/{nasty}.jpg")
    Path(f"reef/{nasty}b.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    ended = quadrat("run", MASKS, "reef", "-o", "out", "--outputs", "none")
    good(ended)
    assert all(line.isprintable() for line in ended.log.splitlines())
    assert ended.log.count("a\\nERROR all failed\\x1b[31m\\x07\\u202e.jpg: ") == 1
    assert ended.log.count("failed\\x1b[31m\\x07\\u202eb.jpg") == 1
    assert quadrat("run", MASKS, f"none{nasty}").log.isprintable() is False  # it ends with a line feed
    assert quadrat("run", MASKS, f"none{nasty}").log.count("\n") == 1


def test_a_failure_names_its_image_once(quadrat: Quadrat) -> None:
    """The name stands before the error, and the error does not repeat it."""
    Path("broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    ended = quadrat("run", MASKS, IMAGES / "site-a", "broken.jpg", "-o", "out", "--outputs", "none")
    (line,) = [line for line in ended.log.splitlines() if "failed, E_" in line]
    assert line.count("broken.jpg") == 1


def test_results_of_one_kind_and_of_several_do_not_lie_beside_each_other(quadrat: Quadrat) -> None:
    """A folder that was made with images alone is refused for images and videos, and the other way round."""
    shutil.copy(VIDEOS / "reef-1.mp4", "a.mp4")
    shutil.copy(SCENES / "reef-flat.png", "a.png")
    words = ("run", BOXES, "a.png", "--outputs", "none", "-o")
    good(quadrat(*words, "one"))
    both = quadrat(*words, "one", "a.mp4")
    assert (both.status, "it holds results of a run with one kind of sources" in both.log) == (6, True)
    good(quadrat(*words, "two", "a.mp4"))
    one = quadrat(*words, "two")
    assert (one.status, "it holds results of a run with several kinds of sources" in one.log) == (6, True)
    good(quadrat(*words, "two", "a.mp4"))


def test_an_interrupted_run_names_the_command_that_continues_it(
    quadrat: Quadrat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder has the time in its name, so that the same words would begin a new run."""

    def interrupted(*_: object) -> None:
        raise SystemExit(130)

    with monkeypatch.context() as patch:
        patch.setattr("quadrat.job.run_order", interrupted)
        ended = quadrat("run", MASKS, IMAGES / "site-a", "--outputs", "none")
        discarding = quadrat("run", MASKS, IMAGES / "site-a", "--overwrite", "-o", "out", "--outputs", "none")
        inside = quadrat("run", MASKS, IMAGES / "site-a", "--into", "second", "--outputs", "none")
    assert "--overwrite" not in discarding.log
    assert "/second" not in inside.log.partition("To continue: ")[2], "-o is the folder that --into is in"
    assert 130 == ended.status
    command = shlex.split(ended.log.splitlines()[-1].partition("To continue: ")[2])
    assert ["quadrat", "run", str(MASKS)] == command[:3]
    out = Path(command[command.index("-o") + 1])
    good(quadrat(*command[1:]))
    assert (out / "survey.csv").exists()


def test_a_list_of_instances_is_measured_beside_files(quadrat: Quadrat) -> None:
    """A list stands among other places; its names are below its own folder."""
    shutil.copytree(IMAGES, "images")
    Path("images/list.jsonl").write_text(
        '{"filenames": "site-b/quadrat-03.jpg"}\n{"filenames": "none.jpg"}\n'
    )
    good(quadrat("run", MASKS, "images/list.jsonl", "images/site-a", "-o", "out"))
    assert surveys(Path("out"))["."] == [
        "site-b/quadrat-03.jpg", "none.jpg", "site-a/quadrat-01.jpg", "site-a/quadrat-02.jpg",
    ]  # fmt: skip
