"""The declaration of a parameter, as a field of its group's frozen class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Kind = Literal["int", "float", "size", "auto", "bool", "option", "string", "artifact", "collection"]
Value = int | float | bool | str | tuple[str, ...] | None

MASKS = ("segment",)
OBJECTS = ("detect",)
LABELS = ("classify",)
TILED = (*MASKS, *OBJECTS, "enhance")
"""Tasks that a parameter applies to."""
AUTO = "auto"
"""The value of a parameter of kind "auto" that is not a number: quadrat chooses one."""
MOVING = ("video", "stream")
"""Media whose sources have frames in time."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter.

    `kind` is its type, in the platform's terms, except that a "size" is a number or a text, and an "auto" a
    whole number or the text "auto". A `default` of None means that an unset parameter stays None;
    `required` parameters must be given. `low` and `high` are inclusive. `tasks` and `media` name the tasks and the media
    ("image", "video", "stream") that the parameter applies to; empty means all. `shapes_result` is True if the
    value can change a mask, a box, a track or a number. `hints` hold a special hint for a task or medium that the
    parameter does not apply to, if the general hint would not help.
    """

    name: str
    group: str
    kind: Kind
    help: str
    default: int | float | str | None = None
    required: bool = False
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    shapes_result: bool = False
    hints: tuple[tuple[str, str], ...] = ()
    since: str = "original"

    @property
    def field(self) -> str:
        """The parameter's name as a Python identifier."""
        return self.name.replace("-", "_")

    @property
    def platform_kind(self) -> str:
        """The parameter's type as the platform knows it."""
        return "string" if self.kind in ("size", "auto") else self.kind

    @property
    def optional(self) -> bool:
        """True if the parameter has no default and may be left out."""
        return self.default is None and not self.required and self.kind != "bool"


def parameter(
    kind: Kind,
    text: str,
    *,
    default: int | float | str | None = None,
    unset: Value = None,
    required: bool = False,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    tasks: tuple[str, ...] = (),
    media: tuple[str, ...] = (),
    shapes_result: bool = False,
    hints: tuple[tuple[str, str], ...] = (),
    since: str = "original",
) -> Any:
    """Declare one field of a group; the arguments are the attributes of Parameter.

    The field's default is the value of a parameter that is not given: `unset` if it is stated, else False for a
    switch, else `default`.
    """
    declared = {
        "kind": kind, "help": text, "default": default, "required": required, "unit": unit, "low": low, "high": high,
        "choices": choices, "tasks": tasks, "media": media, "shapes_result": shapes_result,
        "hints": hints, "since": since,
    }  # fmt: skip
    usual = False if kind == "bool" else default
    return field(default=usual if unset is None else unset, metadata={"declared": declared})


class Group:
    """Base of the groups: a frozen dataclass whose fields are parameters."""

    title: ClassVar[str] = ""
    about: ClassVar[str] = ""

    @classmethod
    def declared(cls) -> Iterator[Parameter]:
        """Yield the parameters of this group in the order of their declaration."""
        for each in dataclasses.fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            attributes: Mapping[str, Any] = each.metadata["declared"]
            yield Parameter(name=each.name.replace("_", "-"), group=cls.title, **attributes)
