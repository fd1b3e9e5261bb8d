"""What does not apply is refused by one check with one kind of message; defaults never are."""

from __future__ import annotations

import pytest

from quadrat.errors import ParameterError
from quadrat.parameters import INPUTS, SETTINGS, Parameter, Settings, parse
from quadrat.parameters.applies import MEDIA, check_media, check_tasks
from quadrat.task_kinds import kind_of
from tests.parameters.values import TASKS, changed, every_default
from tests.values import settings_of

PICTURES = {task: kind_of(task).all_pictures for task in TASKS}


@pytest.mark.parametrize("media", MEDIA)
@pytest.mark.parametrize("parameter", SETTINGS, ids=lambda p: p.name)
def test_a_changed_value_applies_to_the_media_or_is_refused(parameter: Parameter, media: str) -> None:
    """Each parameter with each kind of sources, by what it declares."""
    settings = Settings.of({parameter.field: changed(parameter)})
    if not parameter.media or media in parameter.media:
        check_media(settings, media)
        return
    with pytest.raises(ParameterError) as caught:
        check_media(settings, media)
    kinds = " and ".join(MEDIA[kind] for kind in parameter.media)
    assert (parameter.name, f"it applies only to {kinds}, but {MEDIA[media]} are given") == (
        caught.value.where, caught.value.what,
    )  # fmt: skip
    assert caught.value.hint.startswith(f"Leave --{parameter.name} out")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("parameter", SETTINGS, ids=lambda p: p.name)
def test_a_changed_value_applies_to_the_task_or_is_refused(parameter: Parameter, task: str) -> None:
    """Each parameter with a model of each task, by what it declares."""
    settings = Settings.of({parameter.field: changed(parameter)})
    if not parameter.tasks or task in parameter.tasks:
        check_tasks(settings, {"m": task}, PICTURES)
        return
    with pytest.raises(ParameterError) as caught:
        check_tasks(settings, {"m": task}, PICTURES)
    assert parameter.name == caught.value.where
    assert (
        f"it applies only to the task {' or '.join(parameter.tasks)}, but the task of the model 'm' is {task}"
        == caught.value.what
    )
    assert caught.value.hint


@pytest.mark.parametrize(
    ("sources", "values", "line"),
    [
        ("images", {"frame-step": 2},
         "frame-step: it applies only to videos and streams, but images are given. Leave --frame-step out, or give --videos"),
        ("video", {"read-mode": "latest"},
         "read-mode: it applies only to streams, but videos are given. Leave --read-mode out, or give --streams"),
        ("streams", {"sources-at-once": 2},
         "Leave --sources-at-once out: streams are always read all at once"),
        ("streams", {"sequence-rate": 5.0}, "Leave --sequence-rate out: a stream has the rate of its camera"),
        ("image", {"smooth-labels": "mode", "smooth-frames": 5, "track-across-classes": True}, "images are given"),
    ],
)  # fmt: skip
def test_parsing_checks_the_media(sources: str, values: dict[str, object], line: str) -> None:
    """The message tells what the parameter is for, and what to do."""
    with pytest.raises(ParameterError) as caught:
        parse({sources: "a", **values})
    assert caught.value.line.endswith(line) or line in caught.value.line


@pytest.mark.parametrize(
    ("task", "values", "hint"),
    [
        ("detect", {"min_confidence": 0.5}, "Use --min-score for objects"),
        ("detect", {"with_argmax": True}, "Leave --with-argmax out"),
        (
            "segment",
            {"full_frame": True, "tile_size": 640},
            "a mask is made from tiles or from the whole image",
        ),
    ],
)
def test_the_hint_for_a_task(task: str, values: dict[str, object], hint: str) -> None:
    """Another parameter that does the same for the task is named."""
    with pytest.raises(ParameterError) as caught:
        check_tasks(settings_of(**values), {"m": task}, PICTURES)
    assert caught.value.hint.endswith(hint)


@pytest.mark.parametrize("sources", INPUTS)
def test_defaults_that_are_given_are_never_refused(sources: str) -> None:
    """A platform may send every default by name, whatever is measured."""
    values = every_default()
    assert parse({}) == parse(values) == parse({**values, sources: "a"})
    assert parse({}).result_digest == parse({**values, sources: "a"}).result_digest
    for tasks in (("segment",), ("detect",), TASKS):
        check_tasks(parse(values), {f"m{n}": task for n, task in enumerate(tasks)}, PICTURES)


def test_pictures_of_another_task_are_refused_in_the_same_words() -> None:
    """A mask model has no boxes to draw, a detector no masks; also beside pictures that the model has."""
    lines = {}
    for task in TASKS:
        with pytest.raises(ParameterError) as caught:
            check_tasks(settings_of(outputs=("annotated", "pseudo")), {"m": task}, PICTURES)
        lines[task] = caught.value.line
    same = "E_PARAMETER outputs: {} cannot be drawn, because the task of the model 'm' is {}. Choose from {}, or leave --outputs out"
    assert lines == {
        "segment": same.format("annotated", "segment", "pseudo, labels, confidence, overlay"),
        "detect": same.format("pseudo", "detect", "annotated"),
        "classify": same.format("annotated", "classify", "labelled"),
        "enhance": same.format("annotated", "enhance", "enhanced"),
    }


@pytest.mark.parametrize("task", TASKS)
def test_the_pictures_of_a_task_are_taken(task: str) -> None:
    """Every one of its own, several, none, and no choice."""
    own = PICTURES[task]
    for outputs in ((), ("none",), own, *((name,) for name in own)):
        check_tasks(settings_of(outputs=outputs), {"m": task}, PICTURES)


def test_several_models_take_what_one_of_them_takes() -> None:
    """A parameter or picture applies if it applies to any model of the order."""
    models = {"fish": "detect", "grass": "segment"}
    check_tasks(
        settings_of(min_score=0.5, min_confidence=0.5, outputs=("annotated", "pseudo")), models, PICTURES
    )
    with pytest.raises(ParameterError, match="'fish' is detect and the task of the model 'crabs' is detect"):
        check_tasks(settings_of(min_confidence=0.5), {"fish": "detect", "crabs": "detect"}, PICTURES)


@pytest.mark.parametrize("kind", ["pseudo", "labels", "confidence"])
@pytest.mark.parametrize("sources", ["video", "videos", "streams"])
def test_videos_have_no_pictures_of_their_own(kind: str, sources: str) -> None:
    """An output that no video has is refused, and the drawn video's are not."""
    with pytest.raises(ParameterError, match=f"{kind} exists only for images"):
        parse({sources: "a", "outputs": f"overlay,{kind}"})
    assert parse({sources: "a", "outputs": "overlay"}).pictures.outputs == ("overlay",)
    assert parse({"images": "a", "outputs": kind}).pictures.outputs == (kind,)
