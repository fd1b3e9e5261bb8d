"""The only check of whether a parameter applies to the media of the sources and the tasks of the models.

It uses the `tasks` and `media` of each declaration, and the pictures that each task can draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quadrat.errors import ParameterError
from quadrat.parameters.declare import Parameter
from quadrat.parameters.engines import EngineSettings
from quadrat.parameters.limits import LimitSettings
from quadrat.parameters.searches import SEARCH
from quadrat.parameters.settings import Settings

MEDIA = {"image": "images", "video": "videos", "stream": "streams"}
"""The plural for the sources of each kind of media, for messages."""
ABOUT_NETWORKS = (EngineSettings.title, LimitSettings.title)
"""Groups of parameters without an effect in an order that has no network."""
ONLY_IMAGES = ("pseudo", "labels", "confidence")
"""Pictures that exist only for images, whatever the task."""


def check_media(settings: Settings, media: str) -> None:
    """Raise ParameterError for a changed value that does not apply to sources of this kind of media."""
    for parameter in settings.changed():
        if parameter.media and media not in parameter.media:
            kinds = " and ".join(MEDIA[kind] for kind in parameter.media)
            hint = f"{_leave_out(parameter)}, or give --{MEDIA[parameter.media[0]]}"
            raise ParameterError(
                f"it applies only to {kinds}, but {MEDIA[media]} are given",
                where=parameter.name,
                hint=dict(parameter.hints).get(media, hint),
            )
    still = [name for name in settings.pictures.outputs if name in ONLY_IMAGES]
    if still and media != "image":
        raise ParameterError(
            f"{still[0]} exists only for images, but {MEDIA[media]} are given",
            where="outputs",
            hint="Choose overlay (masks), annotated (objects) or none",
        )


def check_tasks(settings: Settings, models: Mapping[str, str], pictures: Mapping[str, Sequence[str]]) -> None:
    """Raise ParameterError for a changed value that applies to none of the models.

    `models` gives the task of each model by the model's name; `pictures` the pictures that each task can draw.
    """
    tasks = set(models.values())
    for parameter in settings.changed():
        if parameter.tasks and not tasks & set(parameter.tasks):
            hints = [hint for task, hint in parameter.hints if task in tasks]
            raise ParameterError(
                f"it applies only to the task {' or '.join(parameter.tasks)}, but {_described(models)}",
                where=parameter.name,
                hint=hints[0] if hints else _leave_out(parameter),
            )
    known = {name for task in tasks for name in pictures[task]} | ({"joined"} if len(models) > 1 else set())
    unknown = [name for name in settings.pictures.outputs if name not in {*known, "none"}]
    if unknown:
        offered = ", ".join(name for task in dict.fromkeys(models.values()) for name in pictures[task])
        raise ParameterError(
            f"{unknown[0]} cannot be drawn, because {_described(models)}",
            where="outputs",
            hint=f"Choose from {offered}, or leave --outputs out",
        )


def check_stated(settings: Settings, models: Mapping[str, str]) -> None:
    """Raise ParameterError if the order names a task that is not that of every model; `models` as in `check_tasks`."""
    task = settings.order.task
    others = {name: own for name, own in models.items() if own != task}
    if task in (None, SEARCH) or not others:
        return
    raise ParameterError(
        f"it is {task}, but {_described(others)}",
        where="task",
        hint="To do what the models are for, write quadrat run without --task; or leave out these models",
    )


def check_alone(measures: Mapping[str, bool]) -> None:
    """Raise ParameterError if models that make pictures are given beside models that measure.

    `measures` says by the model's name which it does.
    """
    pictures = [name for name, does in measures.items() if not does]
    if not pictures or len(pictures) == len(measures):
        return
    others = [name for name, does in measures.items() if does]
    raise ParameterError(
        f"the model {pictures[0]!r} makes pictures for people, and {others[0]!r} measures: details that a network invents "
        "must not be measured or shown beside measurements as if they were real",
        where="models",
        hint=f"Leave {pictures[0]!r} out, or give it alone in an order of its own",
    )


def check_without_network(settings: Settings, task: str) -> None:
    """Raise ParameterError for a changed value that is about networks, in an order that has none."""
    for parameter in settings.changed():
        if parameter.group in ABOUT_NETWORKS:
            raise ParameterError(
                f"it is about networks, and task={task} without a model has none",
                where=parameter.name,
                hint=_leave_out(parameter),
            )


def _described(models: Mapping[str, str]) -> str:
    texts = [
        f"the task of the model {name!r} is {task}" if name != task else f"the task is {task}"
        for name, task in models.items()
    ]
    return " and ".join(texts)


def _leave_out(parameter: Parameter) -> str:
    return f"Leave --{parameter.name} out"
