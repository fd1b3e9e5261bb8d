"""A fake of the platform's command line program, of any generation, that logs its calls."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "urn:ivcap:account:4c65b865-df6a-4977-982a-f96b19c1fda0"

# Commands of each generation; "talkative" answers an unknown command with its own help and status 0.
GENERATIONS = {
    "v0.41.7": {"order", "service"},
    "v0.45.0": {"order", "service", "job"},
    "v0.47.4": {"service", "job"},
    "talkative v0.48.0": {"service", "job"},
    "unversioned old": {"order", "service"},
    "unversioned new": {"service", "job"},
}

SCRIPT = """#!{python}
import json, os, sys
generation, commands, context, log = {generation!r}, {commands!r}, {context!r}, {log!r}
args = sys.argv[1:]
stdin = sys.stdin.read() if "-" in args else ""
with open(log, "a") as out:
    out.write(json.dumps({{"args": args, "stdin": stdin}}) + "\\n")
root = "A command line tool\\n\\nUsage:\\n  ivcap [command]\\n\\nAvailable Commands:\\n" + "\\n".join(commands)
if args == ["--version"]:
    print("ivcap version", generation if generation.startswith("v") else "dev")
elif args[0] == "context":
    print(context.get(args[2], ""))
elif args[0] not in commands and args[0] != "package":
    if "talkative" in generation:
        print(root)
    else:
        sys.exit(f'Error: unknown command "{{args[0]}}" for "ivcap"')
elif args[-1] == "--help":
    print(f"About {{args[0]}}\\n\\nUsage:\\n  ivcap {{args[0]}} {{args[1]}} [flags] id\\n\\n      --skip-parameter-check\\n")
elif args[:2] == ["package", "list"]:
    print("4c65b865/" + args[2])
elif context.get("broken"):
    sys.exit("Error: 403 not for you")
else:
    print("done: " + " ".join(args[:2]))
"""


@dataclass(frozen=True)
class StandIn:
    """The program's path and its log of calls."""

    path: Path
    log: Path

    def calls(self, *first: str) -> list[dict]:
        """Return the calls whose arguments start with these words, as `args` and `stdin`."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        every = [json.loads(line) for line in lines]
        return [c for c in every if c["args"][: len(first)] == list(first) and "--help" not in c["args"]]


def stand_in(folder: Path, generation: str, **context: str) -> StandIn:
    """Write the program of one generation; `context` holds the values of its current context."""
    path, log = folder / "ivcap", folder / "ivcap.log"
    said = {"account-id": ACCOUNT, "provider-id": "", "url": "", "access-token": "a-token"} | {
        key.replace("_", "-"): value for key, value in context.items()
    }
    text = SCRIPT.format(
        python=sys.executable, generation=generation, commands=sorted(GENERATIONS[generation]),
        context=said, log=str(log),
    )  # fmt: skip
    path.write_text(text)
    path.chmod(0o755)
    return StandIn(path, log)
