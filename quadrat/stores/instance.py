"""One instance of a list in JSON: the name of a file, or the bytes of a picture in base64.

    {"filenames": "reef/IMG_0001.jpg"}
    {"img_bytes": {"b64": "/9j/4AAQSkZJRg..."}, "name": "camera 3"}

This is the form in which TensorFlow Serving and Vertex AI take instances. An instance is read where it is measured,
so the token of its source says where it lies in the list.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quadrat.errors import InstanceError
from quadrat.stores.strict import StrictError, is_mapping, parse_json

FILE, BYTES, B64 = "filenames", "img_bytes", "b64"
NAMES = ("name", "id")
"""Keys that an instance may have for its name."""
FORMS = f'Write {{"{FILE}": "PATH"}} or {{"{BYTES}": {{"{B64}": "..."}}}}'
LONGEST_NAME = 200
LONGEST_PATH = 4096
LONGEST_SHOWN = 60
_TOKEN = re.compile(r"instance:([0-9]+):([0-9]+):(.+)", re.DOTALL)
_DATA = re.compile(r"data:([A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+)?((?:;[^;,]*)*),")
_POSITION = re.compile(r": line 1 column ([0-9]+) \(char [0-9]+\)")
"""Where the parser found an error; its line 1 is not the line of the list."""
_SPACE, _URL_SAFE = re.compile(r"\s"), re.compile(r"[-_]")


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance: either `file`, a path as it is written, or `text`, a picture in base64; `name` may be empty."""

    name: str = ""
    file: str = ""
    text: str = ""

    def decode(self) -> bytes:
        """Return the bytes of the picture. Raises InstanceError for text that is not base64."""
        return _decode(self.text)


def parse_instance(body: bytes) -> Instance:
    """Read an instance from its JSON text. Raises InstanceError, without a place, for anything but the two forms."""
    try:
        value = parse_json(body.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InstanceError("it is not UTF-8", hint="Save the list as UTF-8") from None
    except StrictError as error:
        what = _POSITION.sub(r" at character \1", error.what)
        raise InstanceError(what, hint=FORMS if error.syntax else error.hint) from None
    if not is_mapping(value):
        many = (
            'Write one instance on each line, or {"instances": [...]}' if isinstance(value, list) else FORMS
        )
        raise InstanceError(f"it is {_kind(value)}, not an object with keys", hint=many)
    for key in value:
        if key not in (FILE, BYTES, *NAMES):
            close = difflib.get_close_matches(key, (FILE, BYTES, *NAMES), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else FORMS
            raise InstanceError(f"it has an unknown key {_shown(key)}", hint=hint)
    if FILE in value and BYTES in value:
        raise InstanceError(f"it has both {FILE} and {BYTES}", hint="Leave one of them out")
    if FILE not in value and BYTES not in value:
        raise InstanceError(f"it has neither {FILE} nor {BYTES}", hint=FORMS)
    if FILE in value:
        return Instance(_name(value), file=_file(value[FILE]))
    return Instance(_name(value), text=_text(value[BYTES]))


def token_of(path: Path, offset: int, length: int) -> str:
    """Return the token of a picture that lies in a list, from byte `offset` on."""
    return f"instance:{offset}:{length}:{path.absolute()}"


def is_token(token: str) -> bool:
    """Return True for a token of `token_of`; those of files are absolute paths."""
    return _TOKEN.fullmatch(token) is not None


def read_instance(token: str) -> bytes:
    """Return the bytes of the picture of a token. Raises InstanceError if it is wrong, OSError if it cannot be read."""
    path, offset, length = _place(token)
    with path.open("rb") as file:
        file.seek(offset)
        return parse_instance(file.read(length)).decode()


def signature(token: str, state: str) -> str:
    """Return what changes whenever the list, whose state is given, or the place of the instance changes."""
    _, offset, length = _place(token)
    return f"{state} {offset} {length}"


def list_of(token: str) -> Path:
    """Return the path of the list of a token."""
    return _place(token)[0]


def digest(token: str) -> str:
    """Return the sha256 (hex) of the picture's bytes, or an empty text if there are none."""
    try:
        return hashlib.sha256(read_instance(token)).hexdigest()
    except InstanceError:
        return ""


def _place(token: str) -> tuple[Path, int, int]:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise InstanceError("there is no such instance")
    return Path(found[3]), int(found[1]), int(found[2])


def _name(value: Mapping[str, Any]) -> str:
    """Return the name that an instance gives itself; empty if it gives none."""
    given = {key: value[key] for key in NAMES if key in value}
    for key, name in given.items():
        if isinstance(name, bool) or not isinstance(name, str | int):
            raise InstanceError(f"its {key} is {_kind(name)}, not a text or a whole number")
        if not str(name).strip() or len(str(name)) > LONGEST_NAME:
            raise InstanceError(f"its {key} has {len(str(name))} characters, not 1 to {LONGEST_NAME}")
    return next((str(name) for name in given.values()), "")


def _file(value: Any) -> str:
    if not isinstance(value, str):
        raise InstanceError(
            f"{FILE} is {_kind(value)}, not a text", hint="Write one instance for each picture"
        )
    if not value.strip() or "\0" in value:
        raise InstanceError(f"{_shown(value)} is not the name of a file")
    if len(value) > LONGEST_PATH:
        raise InstanceError(f"{FILE} has {len(value)} characters, more than a path can have")
    if "://" in value:
        raise InstanceError(
            f"{_shown(value)} is an address",
            hint=f"Give the path of a file, or the picture itself as {BYTES}",
        )
    return value


def _text(value: Any) -> str:
    if not is_mapping(value) or set(value) != {B64}:
        raise InstanceError(f"{BYTES} is not an object with the one key {B64}", hint=FORMS)
    text = value[B64]
    if not isinstance(text, str):
        raise InstanceError(f"{B64} is {_kind(text)}, not a text", hint=FORMS)
    if not text:
        raise InstanceError(f"{B64} is empty")
    return text


def _decode(text: str) -> bytes:
    if text.startswith("data:"):
        head = _DATA.match(text[:1000])
        if head is None or head[2] != ";base64" or not (head[1] or "").startswith("image/"):
            raise InstanceError(
                "its data: address is not that of a picture in base64",
                hint="Write data:image/jpeg;base64,...",
            )
        text = text[head.end() :]
    if text.endswith("===") and text.strip("="):  # Python 3.13 refuses it, and earlier versions do not
        raise InstanceError("its base64 ends with more than two =", hint="Remove what is too much")
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        what, hint = _fault(text)
        raise InstanceError(what, hint=hint) from None
    if not body:
        raise InstanceError(f"{B64} holds no bytes")
    return body


def _fault(text: str) -> tuple[str, str]:
    """Return what is wrong with a text that is not base64, and a hint."""
    if _SPACE.search(text):
        return "its base64 contains white space", "Write it in one piece, without line breaks"
    if _URL_SAFE.search(text):
        return "its base64 has the letters - and _ of addresses", "Use the standard alphabet with + and /"
    if len(text) % 4 and re.fullmatch(r"[A-Za-z0-9+/]*=*", text):
        return f"its base64 has {len(text)} characters, which is no multiple of 4", "Fill it up with ="
    return "its text is not base64", "Encode the bytes of the picture's file with base64"


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")


def _shown(text: str) -> str:
    return ascii(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")


def inside(file: str, folder: Path) -> Path:
    """Return the path of a file that an instance names, relative to the folder of its list.

    Raises InstanceError for a path that leads out of this folder. Links in the folder are followed, as they are
    everywhere in a folder of pictures.
    """
    root = os.path.abspath(folder)  # noqa: PTH100 - it resolves ".." but keeps links
    path = os.path.abspath(os.path.join(root, file))  # noqa: PTH100, PTH118 - file may be absolute
    if os.path.isdir(path):  # noqa: PTH112
        raise InstanceError(f"{_shown(file)} is a folder", hint="Write one instance for each picture")
    try:
        within = os.path.commonpath([root, path]) == root
    except ValueError:  # two drives
        within = False
    if not within:
        raise InstanceError(
            f"{_shown(file)} lies outside the folder of the list",
            hint="Put the list into the folder that holds its pictures",
        )
    return Path(path)
