"""Given values become settings, or are refused with the name of the parameter."""

from __future__ import annotations

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import INPUTS, PARAMETERS, Parameter, Settings, check, check_inputs, find, parse


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max-img-size": 0}, "max-img-size: 0 is neither -1 nor at least 1"),
        ({"max-img-size": "big"}, "max-img-size"),
        ({"max-img-size": 10**13}, "max-img-size"),
        ({"batch-size": -1}, "batch-size: -1 is not an integer from 1 to 1024"),
        ({"batch-size": 1.5}, "batch-size"),
        ({"batch-size": True}, "batch-size"),
        ({"min-confidence": float("nan")}, "min-confidence: nan is not a number from 0 to 1"),
        ({"min-confidence": 1.1}, "min-confidence"),
        ({"device": "GPU"}, "device: 'GPU' is not one of cpu, gpu"),
        ({"use-trt": "True"}, "use-trt"),
        ({"use-trt": True}, "use-trt: TensorRT runs only on a GPU. Add --device gpu"),
        ({"device": "gpu", "enable-auto-tune": True}, "enable-auto-tune"),
        ({"precision": "int8"}, "precision"),
        (
            {"min-subgraph-size": 5},
            "min-subgraph-size: it has no effect without TensorRT. Add --use-trt",
        ),
        ({"precision": "bf16", "device": "gpu"}, "precision"),
        ({"enable-mkldnn": True, "engine": "onnx"}, "enable-mkldnn"),
        ({"enable-mkldnn": True, "device": "gpu"}, "enable-mkldnn"),
        ({"outputs": "pseudo,art"}, "outputs: 'art' is not an output"),
        ({"outputs": " , "}, "outputs: no output is named"),
        ({"outputs": "none,overlay"}, "outputs: none cannot be combined with other outputs"),
        ({"outputs": 5}, "outputs: 5 is not a string or a list of strings"),
        ({"batch-size": 10**400}, "batch-size: 1000"),
        ({"min-confidence": 10**400}, "min-confidence: 1000"),
        ({"model-name": 3}, "model-name"),
        ({"on-eror": "stop"}, "Did you mean on-error?"),
        ({"cpu-threads": 0}, "cpu-threads"),
        ({"tracker": "botsort"}, "tracker: 'botsort' is not one of none, sort, bytetrack, ocsort, deepsort"),
        ({"tracker-gate": 1}, "there is no such parameter"),
        ({"tracker": "deep-sort"}, "bytetrack, ocsort, deepsort. Did you mean deepsort?"),
        ({"find": "duplicate"}, "Did you mean duplicates?"),
        ({"merge": "nmm"}, "merge: 'nmm' is not one of ios, iou, wbf"),
        ({"max-failures": -2}, "max-failures"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(values: dict[str, object], says: str) -> None:
    """The error names the parameter, the value and what is allowed, in one line."""
    with pytest.raises(ParameterError) as caught:
        parse(values)

    assert says in str(caught.value)
    assert "\n" not in caught.value.line


def test_outputs_are_a_list_without_doubles() -> None:
    """Commas and blanks are forgiven."""
    assert parse({"outputs": " overlay,pseudo, overlay "}).pictures.outputs == ("overlay", "pseudo")


def test_a_parameter_is_found_by_either_spelling() -> None:
    """Dashes and underscores are one; where there is no such parameter, the nearest is named."""
    assert find("batch-size") is find("batch_size")
    with pytest.raises(
        ParameterError, match=r"batchsize: there is no such parameter\. Did you mean batch-size\?"
    ):
        find("batchsize")
    with pytest.raises(ParameterError, match="the name of a parameter is a text, not '5'"):
        parse({5: 1})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "given", [{}, {"image": "a", "images": "b"}, {"image": None, "videos": "", "streams": ""}]
)
def test_exactly_one_kind_of_sources(given: dict[str, str | None]) -> None:
    """None and several are errors (the original's Makefile gave the wrong one)."""
    with pytest.raises(ParameterError, match="exactly one"):
        check_inputs(given)


def test_sources_are_not_looked_for_in_a_config_file() -> None:
    """Who gives a config file and no sources may think that it names them."""
    for given, said in (
        ({"config": "c.yaml"}, True),
        ({}, False),
        ({"image": "a", "video": "b", "config": "c"}, False),
    ):
        with pytest.raises(ParameterError) as caught:
            check_inputs(given)
        assert said == caught.value.hint.endswith("; a config file has settings only")


@pytest.mark.parametrize("name", INPUTS)
def test_the_kind_of_sources_given_is_told(name: str) -> None:
    """One of image, images, video, videos and streams."""
    assert name == check_inputs({"model": "m", name: "a"})
    assert name in {p.name for p in PARAMETERS}


NUMBERS = [each for each in PARAMETERS if each.kind in ("int", "float")]


@pytest.mark.parametrize("parameter", NUMBERS, ids=lambda each: each.name)
def test_the_limits_of_a_number_are_inclusive(parameter: Parameter) -> None:
    """Both ends are accepted, what lies beyond them is not, and no float is endless."""
    assert parameter.low is not None
    assert parameter.high is not None
    kind = int if parameter.kind == "int" else float
    step = 1 if kind is int else 0.001
    for value in (kind(parameter.low), kind(parameter.high)):
        assert value == check(parameter, value)
    assert kind is type(check(parameter, int(parameter.high)))
    for value in (kind(parameter.low - step), kind(parameter.high + step), float("inf")):
        with pytest.raises(ParameterError):
            check(parameter, value)


def test_none_is_not_given() -> None:
    """Every parameter may be None, which leaves its default."""
    assert Settings() == parse(dict.fromkeys((each.name for each in PARAMETERS), None))


def test_an_empty_text_gives_no_sources() -> None:
    """The platform may write a parameter that was left out so."""
    assert "images" == check_inputs({"image": "", "images": "a"})


def test_auto_stands_alone() -> None:
    """It is what is drawn if nothing is given; beside others it is no picture."""
    assert () == parse({"outputs": "auto"}).pictures.outputs
    with pytest.raises(ParameterError, match="'auto' is not an output"):
        parse({"outputs": "auto,overlay"})


def test_a_long_value_is_cut_in_its_error() -> None:
    """One line fits a screen."""
    for values in ({"device": "x" * 5000}, {"outputs": "x" * 5000}):
        with pytest.raises(ParameterError) as caught:
            parse(values)
        assert len(caught.value.line) < 250


def test_whole_numbers_and_floats_are_one_setting() -> None:
    """1 and 1.0 have one digest."""
    one, other = parse({"min-score": 1}), parse({"min-score": 1.0})
    assert one.result_digest == other.result_digest


@pytest.mark.parametrize("name", ["batch-size", "cpu-threads"])
def test_a_number_or_auto(name: str) -> None:
    """Nothing else, however it is written."""
    field = name.replace("-", "_")
    assert getattr(parse({name: "auto"}).engine, field) == "auto"
    assert getattr(parse({name: 4}).engine, field) == 4
    assert getattr(parse({name: "4"}).engine, field) == 4
    for wrong in ("Auto", "0", "-4", "4.0", "²", 0, 2.0, True, "", 10**6, "9" * 30):
        with pytest.raises(ParameterError, match=r"integer from 1 to \d+, or auto"):
            parse({name: wrong})


def test_engines_get_numbers() -> None:
    """Those that auto starts from are the defaults."""
    settings = parse({"batch-size": "auto", "cpu-threads": "auto"}).engine
    assert settings.tunes
    assert settings.plain() == parse({}).engine
    assert not settings.plain().tunes
    assert parse({"batch-size": 8, "cpu-threads": "auto"}).engine.plain().batch_size == 8
