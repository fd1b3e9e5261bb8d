from __future__ import annotations

import logging
from argparse import ArgumentParser
from pathlib import Path

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import PARAMETERS, parse
from quadrat.platforms.arguments import add_arguments, local_path, remote
from tests.values import settings_of


def read(*words: str) -> dict[str, object]:
    """Parse a command line as the service does."""
    return vars(add_arguments(ArgumentParser()).parse_args(words))


def test_nothing_given_means_the_defaults() -> None:
    """Every parameter is known, none has a value of its own, and so the settings' defaults hold."""
    values = read()

    assert dict.fromkeys((p.field for p in PARAMETERS), None) == values
    assert settings_of(executor="isolated") == parse(values)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--use-trt"], True),
        (["--use-trt", "true"], True),
        (["--use-trt=True"], True),
        (["--use-trt", "1"], True),
        (["--use-trt", "false"], False),
        (["--use-trt=no"], False),
        (["--use-trt", "--model", "m"], True),
    ],
)
def test_a_switch_stands_alone_or_says_true_or_false(words: list[str], value: bool) -> None:
    """However the platform writes a bool on the command line, it is understood."""
    assert value is read(*words)["use_trt"]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--max-img-size", "-1"], "max_img_size", -1),
        (["--max-img-size", "+12345678901234567890"], "max_img_size", 12345678901234567890),
        (["--min-confidence", "0.5"], "min_confidence", 0.5),
        (["--min-confidence", "1e-3"], "min_confidence", 0.001),
        (["--device", "tpu"], "device", "tpu"),
        (["--image", ""], "image", None),
        (["--model-name", ""], "model_name", None),
        (["--max-img-size", ""], "max_img_size", None),
        (["--model-name=-x"], "model_name", "-x"),
    ],
)
def test_values_have_their_types(words: list[str], name: str, value: object) -> None:
    """Numbers are numbers; an optional parameter given empty is not given; choices are the settings' to check."""
    assert value == read(*words)[name]


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--batch-size", "2", "--batch-size=2"], "batch_size", 2),
        (["--use-trt", "--use-trt", "true"], "use_trt", True),
        (["--image", "", "--image", "a.jpg"], "image", "a.jpg"),
        (["--image", "a.jpg", "--image="], "image", "a.jpg"),
    ],
)
def test_the_same_again_is_no_second_value(words: list[str], name: str, value: object) -> None:
    """Nobody knows how the platform writes an order; only two values that differ leave one unheard."""
    assert value == read(*words)[name]


def test_addresses_are_shown_without_their_passwords() -> None:
    """The SDK logs the parameters as it starts, and what it logs is this text's repr."""
    streams = read("--streams", "rtsp://admin:secret@cam/1, http://b/2?token=secret")["streams"]

    assert "rtsp://admin:secret@cam/1, http://b/2?token=secret" == streams
    assert "'rtsp://cam/1, http://b/2'" == repr(streams)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--batch-size", "x"], "E_PARAMETER batch-size: 'x' is not an integer"),
        (["--batch-size", "1e3"], "E_PARAMETER batch-size: '1e3' is not an integer"),
        (["--batch-size", "1_0"], "E_PARAMETER batch-size: '1_0' is not an integer"),
        (["--batch-size", "1.0"], "E_PARAMETER batch-size: '1.0' is not an integer"),
        (["--batch-size"], "E_PARAMETER batch-size: expected one argument"),
        (["--min-confidence", "half"], "E_PARAMETER min-confidence: 'half' is not a number"),
        (["--use-trt", "maybe"], "E_PARAMETER use-trt: 'maybe' is not true or false"),
        (
            ["--batchsize", "2"],
            "E_PARAMETER batchsize: there is no such parameter. Did you mean --batch-size?",
        ),
        (
            ["--min_confidence", "1"],
            "E_PARAMETER min_confidence: there is no such parameter. Did you mean --min-conf",
        ),
        (["--nope", "1"], "E_PARAMETER nope: there is no such parameter. See -H"),
        (["--img", "a.jpg"], "E_PARAMETER img: there is no such parameter"),
        (["--conf", "a.yaml"], "E_PARAMETER conf: there is no such parameter. Did you mean --config?"),
        (["--batch-size", ""], "E_PARAMETER batch-size: '' is not an integer"),
        (["--use-trt", ""], "E_PARAMETER use-trt: '' is not true or false"),
        (
            ["--ivcap:outdir", "out/w"],
            "E_PARAMETER ivcap:outdir: there is no such parameter. Did you mean --ivcap:out-dir?",
        ),
        (
            ["--ivcap:in_dir=in"],
            "E_PARAMETER ivcap:in_dir: there is no such parameter. Did you mean --ivcap:in-dir?",
        ),
        (["--out-dir", "out"], "Did you mean --ivcap:out-dir?"),
        (["--ivcap:nope", "1"], "E_PARAMETER ivcap:nope: there is no such parameter. See -h"),
        (
            ["--images", "a", "--images", "b"],
            "E_PARAMETER images: it is given twice. Leave one of them out; a folder is measured with its sub-f",
        ),
        (
            ["--videos", "a", "--videos", "b"],
            "E_PARAMETER videos: it is given twice. Leave one of them out; a folder is measured with its sub-f",
        ),
        (["--batch-size=2", "--batch-size", "4"], "E_PARAMETER batch-size: it is given twice. Leave one"),
        (["--use-trt", "--use-trt=false"], "E_PARAMETER use-trt: it is given twice. Leave one of them out"),
        (
            ["--streams", "rtsp://a", "--streams", "rtsp://b"],
            "streams: it is given twice. Give all addresses",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(
    words: list[str], line: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped word ends with status 2 and one line with its code, not with the whole usage."""
    log = logging.getLogger("service")
    log.addHandler(caplog.handler)
    try:
        with pytest.raises(SystemExit) as ended:
            read(*words)
    finally:
        log.removeHandler(caplog.handler)

    assert ended.value.code == 2
    assert line in caplog.messages[-1]
    assert ("", "") == capsys.readouterr()


def test_a_path_is_found_below_the_folder_first_and_then_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths mean what a person would expect, and file URLs work in both spellings."""
    below = tmp_path / "in"
    below.mkdir()
    for path in (below / "both", tmp_path / "both", tmp_path / "a b#1"):
        path.touch()
    monkeypatch.chdir(tmp_path)

    assert below / "both" == local_path("both", below, "model")
    assert below.resolve() == local_path("in", below, "images").resolve()
    assert tmp_path / "a b#1" == local_path((tmp_path / "a b#1").as_uri(), below, "model")
    assert tmp_path / "a b#1" == local_path(f"urn:file://{tmp_path}/a b#1", below, "model")


@pytest.mark.parametrize(
    "reference",
    [
        "nope",
        "/nope",
        "file:///nope",
        "urn:ivcap:artifact:1",
        "urn:ivcap:queue:1",
        "https://example.org/m.tgz",
    ],
)
def test_what_is_not_on_this_machine(tmp_path: Path, reference: str) -> None:
    """A path that is not there, and a URN without a platform, are the parameter's fault."""
    with pytest.raises(ParameterError, match=r"there is no file|is not on this machine"):
        local_path(reference, tmp_path, "model")


def test_a_video_on_the_web_is_told_its_parameter(tmp_path: Path) -> None:
    """An address is no file, but there is a parameter that takes it."""
    with pytest.raises(ParameterError, match="use --streams"):
        local_path("https://example.org/dive.mp4", tmp_path, "video")


@pytest.mark.parametrize(
    ("reference", "taken"),
    [
        ("urn:ivcap:artifact:1", True),
        ("urn:ivcap:queue:1", True),
        ("urn:https://example.org/a.jpg", True),
        ("https://example.org/a.jpg", True),
        ("photos/", False),
        ("/data/in/model.tgz", False),
        ("file:///data/in/model.tgz", False),
    ],
)
def test_what_is_on_the_platform(reference: str, taken: bool) -> None:
    """An order names URNs and addresses, nothing else."""
    if taken:
        assert reference == remote(reference, "model")
    else:
        with pytest.raises(ParameterError, match="not a URN of the platform"):
            remote(reference, "model")
