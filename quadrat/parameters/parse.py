"""Turn given values into settings: find names, check values, fill in defaults."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from quadrat.errors import ParameterError
from quadrat.parameters.applies import check_media
from quadrat.parameters.combinations import check_combinations
from quadrat.parameters.declare import AUTO, Parameter
from quadrat.parameters.groups import PARAMETERS
from quadrat.parameters.inputs import ResultFolder
from quadrat.parameters.orders import OUTPUTS
from quadrat.parameters.settings import Settings
from quadrat.parameters.sizes import check_size
from quadrat.parameters.steps import check_steps, check_variants

INPUTS = {"image": "image", "images": "image", "video": "video", "videos": "video", "streams": "stream"}
"""The parameters that name the sources, each with its media; an order has exactly one of them."""
MODELS = ("model", "models")
"""The parameters that name the models; an order has exactly one of them."""
RESULT_FOLDER = tuple(each.field for each in ResultFolder.declared())
"""The parameters that say where results go."""
NAMES_OF_FILES = (*MODELS, *INPUTS, "config", "from_index", *RESULT_FOLDER)
"""The parameters about files, artifacts and addresses; all others are settings."""
RUN = "urn:ibenthos:schema:quadrat.run.1"
"""The schema of run.json. Its `settings` are those of the order, by name."""
_DIGITS = re.compile(r"[0-9]{1,20}")
LONGEST_SHOWN = 80
"""The most characters of a wrong value that an error shows."""


def parse(values: Mapping[str, Any]) -> Settings:
    """Check given values (by parameter name, with dashes or underscores) and fill in defaults.

    None counts as not given. Raises ParameterError for an unknown name, a wrong type, a value out of range, a
    combination that would have no effect, and a value other than the default that does not apply to the media of
    the sources.
    """
    found = [(find(raw), value) for raw, value in values.items()]
    given = {parameter: value for parameter, value in found if value is not None}
    settings = Settings.of({p.field: check(p, v) for p, v in given.items() if p.field not in NAMES_OF_FILES})
    check_combinations(settings)
    sources = [p.name for p, value in given.items() if p.name in INPUTS and value]
    if len(sources) == 1:
        check_media(settings, INPUTS[sources[0]])
    return settings


def find(name: object) -> Parameter:
    """Return the parameter with a name, in dashes or underscores; ParameterError if there is none."""
    known = {p.field: p for p in PARAMETERS}
    if not isinstance(name, str):
        raise ParameterError(f"the name of a parameter is a text, not {str(name)[:60]!r}", where="settings")
    wanted = name.replace("-", "_")
    if wanted not in known:
        raise ParameterError("there is no such parameter", where=name, hint=_nearest(wanted, known))
    return known[wanted]


def check_inputs(given: Mapping[str, object | None]) -> str:
    """Return the name of the one input that is given; ParameterError if there are none or several."""
    named = [name for name in INPUTS if given.get(name)]
    if len(named) == 1:
        return named[0]
    text = f"{' and '.join(named)} are given" if named else "none is given"
    only_settings = "; a config file has settings only" if given.get("config") and not named else ""
    raise ParameterError(
        f"exactly one of {', '.join(INPUTS)} is required, but {text}",
        where=", ".join(named or INPUTS),
        hint="Give --images FOLDER (or a collection), --image FILE, --videos FOLDER, or --video FILE"
        + only_settings,
    )


def check(parameter: Parameter, value: Any) -> Any:
    """Return a value as Settings stores it; ParameterError for a wrong type or a value out of range."""
    if parameter.name in LISTS:
        return LISTS[parameter.name](parameter, value)
    if parameter.kind == "bool":
        if isinstance(value, bool):
            return value
        raise _wrong(parameter, value, "true or false")
    if parameter.kind == "option":
        if value in parameter.choices:
            return value
        error = _wrong(parameter, value, "one of " + ", ".join(parameter.choices))
        close = difflib.get_close_matches(str(value)[:LONGEST_SHOWN].lower(), parameter.choices, n=1)
        raise error.at(error.where, f"Did you mean {close[0]}?") if close and not error.hint else error
    if parameter.kind == "size":
        return check_size(value, parameter.name)
    if parameter.kind in ("int", "float", "auto"):
        return _check_number(parameter, value)
    if isinstance(value, str):
        return value
    raise _wrong(parameter, value, "a string")


def _check_number(parameter: Parameter, value: Any) -> int | float | str:
    if parameter.kind == "auto" and isinstance(value, str):  # the platform knows these parameters as texts
        if value == AUTO:
            return value
        value = int(value) if _DIGITS.fullmatch(value) else value
    whole = parameter.kind != "float"
    kinds = int if whole else (int, float)
    low, high = parameter.low, parameter.high
    span = f"a{'n integer' if whole else ' number'} from {low:g} to {high:g}"
    if parameter.kind == "auto":
        span += f", or {AUTO}"
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise _wrong(parameter, value, span)
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(parameter, value, span)
    if (low is not None and value < low) or (high is not None and value > high):
        raise _wrong(parameter, value, span)
    return value if whole else float(value)  # 1 and 1.0 are one setting, with one digest


def _check_outputs(parameter: Parameter, value: Any) -> tuple[str, ...]:
    if not isinstance(value, Iterable):
        raise _wrong(parameter, value, "a string or a list of strings")
    parts = value.split(",") if isinstance(value, str) else list(value)
    names = tuple(dict.fromkeys(str(p).strip() for p in parts if str(p).strip()))
    if names == ("auto",):
        return ()
    unknown = [n[:LONGEST_SHOWN] for n in names if n not in OUTPUTS]
    if "none" in names and len(names) > 1:
        raise ParameterError(
            "none cannot be combined with other outputs",
            where="outputs",
            hint="Leave out none, or the others",
        )
    if unknown or not names:
        text = f"{unknown[0]!r} is not an output" if unknown else "no output is named"
        raise ParameterError(text, where="outputs", hint="Choose from " + ", ".join(OUTPUTS))
    return names


LISTS: Mapping[str, Callable[[Parameter, Any], tuple[str, ...]]] = {
    "outputs": _check_outputs,
    "enhance": lambda _, value: check_steps(value),
    "compare": lambda _, value: check_variants(value),
}
"""The parameters whose values are lists, each with its check."""


def _wrong(parameter: Parameter, value: Any, wanted: str) -> ParameterError:
    text = repr(value)
    text = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
    return ParameterError(f"{text} is not {wanted}", where=parameter.name)


def _nearest(name: str, known: Mapping[str, Parameter]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {known[close[0]].name}?" if close else ""
