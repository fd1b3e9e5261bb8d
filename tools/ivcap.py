"""Describe, register and order the service on an IVCAP platform, whichever generation its CLI is of.

Up to v0.41.7 `ivcap service update` and `ivcap order create` speak the API (v1) that this service is described
for. From v0.41.8, which brought `ivcap job`, `service update` speaks another one and drops the workflow; v0.47.2
dropped `order`. Where the CLI cannot, the v1 REST routes are used, with the CLI's own address and token.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICE_FILE = Path(__file__).resolve().parent.parent / "infer_service.py"
LAST_V1_CLI = (0, 41, 7)
# What the v1 API knows of a definition; the SDK prints ids beside it.
DEFINITION_KEYS = (
    "name", "description", "parameters", "tags", "banner", "references", "policy", "workflow",
)  # fmt: skip


class PlatformError(Exception):
    """What went wrong and what to do, in one line for a person."""


class Cli:
    """The platform's command line program, perhaps with options of its own (`ivcap --context dev`)."""

    def __init__(self, command: str) -> None:
        self.command = shlex.split(command)

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end; PlatformError when it is not installed."""
        try:
            return subprocess.run(
                [*self.command, *args], input=stdin, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise PlatformError(
                f"cannot run {self.command[0]}: {error.strerror}. Name it: IVCAP=..."
            ) from None

    def must(self, *args: str, stdin: str | None = None) -> str:
        """Run it and give its output; PlatformError when it fails."""
        done = self.run(*args, stdin=stdin)
        if done.returncode != 0:
            said = " ".join((done.stderr or done.stdout).split())
            raise PlatformError(f"`{shlex.join([*self.command, *args])}` failed: {said[:500]}")
        return done.stdout

    def context(self, what: str, *flags: str) -> str:
        """Give one value of the CLI's current context."""
        return self.must("context", "get", what, *flags).strip()


@dataclass(frozen=True, slots=True)
class Routes:
    """Which of our commands the CLI can still carry out against v1."""

    register: bool
    order: bool
    skip_check: bool  # `order create` looks parameters up in the newer API unless told not to
    why: str


def probe(cli: Cli) -> Routes:
    """Find out by its help texts, and by its version where it states one."""
    orders, order_help = _has_command(cli, "order", "create")
    jobs, _ = _has_command(cli, "job", "create")
    version = _version(cli.run("--version").stdout)
    newer = jobs or (version is not None and version > LAST_V1_CLI)
    named = "v" + ".".join(map(str, version)) if version else "of unknown version"
    return Routes(
        register=orders and not newer,
        order=orders,
        skip_check=newer and "--skip-parameter-check" in order_help,
        why=f"CLI {named}, {'with' if orders else 'without'} `order`, {'with' if jobs else 'without'} `job`",
    )


def _has_command(cli: Cli, *words: str) -> tuple[bool, str]:
    """Whether the CLI's help names this very command in its usage line; and that help."""
    done = cli.run(*words, "--help")
    found = re.search(r"Usage:\s+\S+ " + " ".join(words) + r"\b", done.stdout)
    return done.returncode == 0 and found is not None, done.stdout


def _version(text: str) -> tuple[int, int, int] | None:
    found = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def service_id(name: str, account: str) -> str:
    """Give the service's URN, the same for every version of it in one account."""
    return f"urn:ivcap:service:{uuid.uuid5(uuid.NAMESPACE_DNS, name + account)}"


def identity(cli: Cli, given: str, name: str) -> str:
    """Give the URN asked for, or the one that belongs to the CLI's account."""
    if given:
        return given
    account = cli.context("account-id")
    if not account:
        raise PlatformError("the CLI has no account; log in with `ivcap context login`, or give SERVICE_ID")
    return service_id(name, account)


def published(cli: Cli, image: str) -> str:
    """Give the full name under which the platform keeps a pushed image."""
    listed = cli.must("package", "list", image).split()
    if len(listed) != 1:
        raise PlatformError(
            f"the platform knows {len(listed)} images {image}; publish it first: docker-publish"
        )
    return listed[0]


def describe(identifiers: dict[str, str], image: str, task: str = "") -> str:
    """Give the SDK's YAML description, with only the parameters of `task` if it is given.

    An identifier that is not given stays the SDK's placeholder.
    """
    env = {f"IVCAP_{k}": v for k, v in {**identifiers, "CONTAINER": image}.items() if v}
    done = subprocess.run(
        [sys.executable, str(SERVICE_FILE), "--ivcap:print-service-description"],
        env={**os.environ, **env, "IVCAP_CACHE_DIR": "", "QUADRAT_DESCRIBE_TASK": task}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise PlatformError(
            f"{SERVICE_FILE.name} gives no description: {(done.stdout + done.stderr)[-500:].strip()}"
        )
    return done.stdout


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would turn PUT into GET and carry the token to another host: refuse it."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def rest(cli: Cli, method: str, path: str, body: object) -> dict[str, Any]:
    """Send JSON to the CLI's platform with the CLI's token; PlatformError unless it is taken."""
    base = cli.context("url").rstrip("/")
    token = cli.context("access-token", "--refresh-token")
    if not base.startswith(("https://", "http://")):
        raise PlatformError(f"the CLI's context has no usable address: {base!r}; see `ivcap context create`")
    if not token or " " in token:  # it prints NOT AUTHORISED and exits with 0
        raise PlatformError("the CLI is not logged in; run `ivcap context login`")
    request = urllib.request.Request(base + path, json.dumps(body).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=600) as reply:
            text = reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            said = " ".join(error.read().decode(errors="replace").split())[:500]
        raise PlatformError(f"{method} {base}{path} was answered with {error.code}: {said}") from None
    except OSError as error:
        raise PlatformError(f"{method} {base}{path} was not answered: {error}") from None
    answer = json.loads(text) if text.strip() else {}
    return answer if isinstance(answer, dict) else {}


def register(cli: Cli, urn: str, description: str) -> str:
    """Create or update the service; give the reply's text."""
    routes = probe(cli)
    if routes.register:
        _say(f"registering {urn} by `service update --create` ({routes.why})")
        command = ("service", "update", "--create", urn, "--format", "yaml", "-f", "-", "--timeout", "600")
        return cli.must(*command, stdin=description)
    _say(f"registering {urn} by REST, PUT /1/services ({routes.why})")
    import yaml

    definition = {k: v for k, v in yaml.safe_load(description).items() if k in DEFINITION_KEYS}
    path = f"/1/services/{urllib.parse.quote(urn, safe=':')}?force-create=true"
    return json.dumps(rest(cli, "PUT", path, definition), indent=2) + "\n"


def order(cli: Cli, urn: str, parameters: Sequence[str]) -> str:
    """Place an order; give the reply's text."""
    pairs = [p.partition("=") for p in parameters]
    names = [name for name, _, _ in pairs]
    if not all(equals and value for _, equals, value in pairs):
        raise PlatformError("every parameter of an order is name=value")
    if "model" not in names or ("images" in names) == ("image" in names):
        raise PlatformError(
            "an order needs MODEL_ARTIFACT and one of IMAGES_ARTIFACT and IMAGE_ARTIFACT, as URNs"
        )
    routes = probe(cli)
    if routes.order:
        flags = ["--skip-parameter-check"] if routes.skip_check else []
        _say(f"ordering from {urn} by `order create` ({routes.why})")
        return cli.must("order", "create", *flags, urn, *parameters)
    _say(f"ordering from {urn} by REST, POST /1/orders ({routes.why})")
    body = {"service": urn, "parameters": [{"name": name, "value": value} for name, _, value in pairs]}
    return json.dumps(rest(cli, "POST", "/1/orders", body), indent=2) + "\n"


def _say(line: str) -> None:
    sys.stderr.write(f"== {line}\n")


def _identifiers(cli: Cli, args: argparse.Namespace) -> dict[str, str]:
    """Give the service's and the account's ids; only `describe` may leave out what the CLI cannot tell."""
    asked: dict[str, Callable[[], str]] = {
        "SERVICE_ID": lambda: identity(cli, args.service_id, args.name),
        "PROVIDER_ID": lambda: cli.context("provider-id"),
        "ACCOUNT_ID": lambda: cli.context("account-id"),
    }
    values = {}
    for key, ask in asked.items():
        try:
            values[key] = ask()
        except PlatformError as error:
            if args.command != "describe":
                raise
            _say(f"{key} stays open: {error}")
    return values


def _run(args: argparse.Namespace) -> str:
    cli = Cli(args.cli)
    if args.command == "order":
        return order(cli, identity(cli, args.service_id, args.name), args.parameter)
    identifiers = _identifiers(cli, args)
    image = published(cli, args.image) if args.published else args.image
    description = describe(identifiers, image, args.task)
    if args.command == "describe":
        return description
    return register(cli, identifiers["SERVICE_ID"], description)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; exit status 1 with one line on stderr when the platform cannot be served."""
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=kind)
    parser.add_argument("--cli", default="ivcap", help="the platform's command line program")
    parser.add_argument(
        "--service-id", default="", help="URN; default: made of the name and the CLI's account"
    )
    parser.add_argument("--name", required=True, help="the service's name")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("describe", "register"):
        sub = commands.add_parser(command)
        sub.add_argument("--image", required=True, help="the container image's name and tag")
        sub.add_argument("--published", action="store_true", help="look up the image's full name by the CLI")
        sub.add_argument("--task", default="", help="describe only the parameters of this task")
    commands.add_parser("order").add_argument("parameter", nargs="*", help="name=value")
    args = parser.parse_args(argv)
    try:
        sys.stdout.write(_run(args))
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
