"""The declarations of all parameters, in groups, and the settings made from given values. Code receives its group."""

from quadrat.parameters.declare import Parameter
from quadrat.parameters.engines import EngineSettings
from quadrat.parameters.frames import FrameSettings, StreamSettings
from quadrat.parameters.groups import GROUPS, PARAMETERS, parameters_of
from quadrat.parameters.inputs import Inputs
from quadrat.parameters.labels import LabelSettings
from quadrat.parameters.orders import OUTPUTS, OrderSettings, PictureSettings
from quadrat.parameters.parse import (
    INPUTS,
    MODELS,
    NAMES_OF_FILES,
    RESULT_FOLDER,
    RUN,
    check,
    check_inputs,
    find,
    parse,
)
from quadrat.parameters.results import MaskSettings, ObjectSettings, TileSettings
from quadrat.parameters.searches import SEARCH, SearchSettings
from quadrat.parameters.service import CPU, DESCRIPTION, DISK, MEMORY, NAME
from quadrat.parameters.settings import SETTINGS, Settings
from quadrat.parameters.steps import EnhancementSettings
from quadrat.parameters.tracks import TrackingSettings

__all__ = [
    "CPU",
    "DESCRIPTION",
    "DISK",
    "GROUPS",
    "INPUTS",
    "MEMORY",
    "MODELS",
    "NAME",
    "NAMES_OF_FILES",
    "OUTPUTS",
    "PARAMETERS",
    "RESULT_FOLDER",
    "RUN",
    "SEARCH",
    "SETTINGS",
    "EngineSettings",
    "EnhancementSettings",
    "FrameSettings",
    "Inputs",
    "LabelSettings",
    "MaskSettings",
    "ObjectSettings",
    "OrderSettings",
    "Parameter",
    "PictureSettings",
    "SearchSettings",
    "Settings",
    "StreamSettings",
    "TileSettings",
    "TrackingSettings",
    "check",
    "check_inputs",
    "find",
    "parameters_of",
    "parse",
]  # fmt: skip
