"""The settings of one run, in their groups."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from quadrat.parameters.declare import Group, Parameter, Value
from quadrat.parameters.engines import EngineSettings
from quadrat.parameters.frames import FrameSettings, StreamSettings
from quadrat.parameters.groups import PARAMETERS
from quadrat.parameters.labels import LabelSettings
from quadrat.parameters.limits import InstanceSettings, LimitSettings
from quadrat.parameters.orders import OrderSettings, PictureSettings
from quadrat.parameters.results import MaskSettings, ObjectSettings, TileSettings
from quadrat.parameters.searches import SearchSettings
from quadrat.parameters.steps import EnhancementSettings
from quadrat.parameters.tracks import TrackingSettings

WHOLE_MASK_PIXELS = 1_000_000
"""The pixels that whole images are shrunk to for masks, if max-img-size is not given."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of one run, in groups. The store, not the settings, holds the sources and models."""

    frames: FrameSettings = field(default_factory=FrameSettings)
    enhancement: EnhancementSettings = field(default_factory=EnhancementSettings)
    masks: MaskSettings = field(default_factory=MaskSettings)
    tiles: TileSettings = field(default_factory=TileSettings)
    objects: ObjectSettings = field(default_factory=ObjectSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    pictures: PictureSettings = field(default_factory=PictureSettings)
    streams: StreamSettings = field(default_factory=StreamSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    order: OrderSettings = field(default_factory=OrderSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    instances: InstanceSettings = field(default_factory=InstanceSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Make settings from checked values by field; other fields keep their defaults.

        Raises TypeError for a name that is not a field of a group.
        """
        unknown = set(values) - set(cls().values())
        if unknown:
            raise TypeError(f"there are no such settings: {', '.join(sorted(unknown))}")
        groups: dict[str, Group] = {}
        for each in dataclasses.fields(cls):
            kind: Any = each.default_factory
            own = {f.name for f in dataclasses.fields(kind)}
            groups[each.name] = kind(**{name: value for name, value in values.items() if name in own})
        return cls(**groups)  # type: ignore[arg-type]  # each group is of its field's class

    def values(self) -> dict[str, Value]:
        """Return all values by field, in the order of the groups."""
        groups = [getattr(self, each.name) for each in dataclasses.fields(self)]
        return {f.name: getattr(group, f.name) for group in groups for f in dataclasses.fields(group)}

    def changed(self) -> list[Parameter]:
        """List the parameters whose values are not the defaults."""
        usual = Settings().values()
        return [each for each in SETTINGS if self.values()[each.field] != usual[each.field]]

    def frames_for(self, *, shrinks: bool) -> FrameSettings:
        """Return the frame settings with the size in force.

        `shrinks` is True for a task that shrinks whole images by default.
        """
        most = self.frames.max_img_size
        if most is None:
            most = WHOLE_MASK_PIXELS if shrinks and not self.tiles.tile_size else -1
        return replace(self.frames, max_img_size=most)

    @property
    def result_digest(self) -> str:
        """sha256 (hex) of the values that shape results.

        If two runs have the same image, model, engine and result digest, their masks and boxes are equal.
        """
        values = self.values()
        shaping = {each.field: values[each.field] for each in SETTINGS if each.shapes_result}
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


SETTINGS: tuple[Parameter, ...] = tuple(each for each in PARAMETERS if each.field in Settings().values())
"""The parameters that are settings: all but those that name files, artifacts or addresses."""
