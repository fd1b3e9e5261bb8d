"""All groups of parameters, and all parameters."""

from __future__ import annotations

from quadrat.errors import ParameterError
from quadrat.parameters.declare import Group, Parameter
from quadrat.parameters.engines import EngineSettings
from quadrat.parameters.frames import FrameSettings, StreamSettings
from quadrat.parameters.inputs import IndexInput, Inputs, ResultFolder
from quadrat.parameters.labels import LabelSettings
from quadrat.parameters.limits import InstanceSettings, LimitSettings
from quadrat.parameters.orders import OrderSettings, PictureSettings
from quadrat.parameters.results import MaskSettings, ObjectSettings, TileSettings
from quadrat.parameters.searches import SearchSettings
from quadrat.parameters.steps import EnhancementSettings
from quadrat.parameters.tracks import TrackingSettings

GROUPS: tuple[type[Group], ...] = (
    Inputs,
    ResultFolder,
    IndexInput,
    FrameSettings,
    EnhancementSettings,
    MaskSettings,
    TileSettings,
    ObjectSettings,
    LabelSettings,
    TrackingSettings,
    PictureSettings,
    StreamSettings,
    SearchSettings,
    OrderSettings,
    LimitSettings,
    InstanceSettings,
    EngineSettings,
)
"""All groups, in the order of the help and the reference."""

PARAMETERS: tuple[Parameter, ...] = tuple(each for group in GROUPS for each in group.declared())
"""All parameters."""


def parameters_of(task: str = "") -> list[Parameter]:
    """List the parameters that apply to a task; all of them if `task` is empty.

    Raises ParameterError for a task that no parameter names.
    """
    known = sorted({name for each in PARAMETERS for name in each.tasks})
    if task and task not in known:
        hint = f"Choose from {', '.join(known)}"
        raise ParameterError(f"there is no such task as {task!r}", where="TASK", hint=hint)
    return [each for each in PARAMETERS if not (task and each.tasks) or task in each.tasks]
