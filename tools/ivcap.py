"""Describe, register and order the service on an IVCAP platform, with any version of its CLI.

Up to v0.41.7, `ivcap service update` and `ivcap order create` use the v1 API, for which this service is described.
From v0.41.8, which added `ivcap job`, `service update` uses a newer API and drops the workflow; v0.47.2 removed
`order`. With such a CLI, this tool calls the v1 REST routes itself, with the CLI's address and token.
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
# Fields of a service definition in the v1 API; the SDK also prints ids.
DEFINITION_KEYS = (
    "name", "description", "parameters", "tags", "banner", "references", "policy", "workflow",
)  # fmt: skip


class PlatformError(Exception):
    """An error message for the user: what went wrong and what to do, in one line."""


class Cli:
    """The platform's command line program, with optional arguments of its own (`ivcap --context dev`)."""

    def __init__(self, command: str) -> None:
        self.command = shlex.split(command)

    def run(self, *args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the CLI and wait for it; raise PlatformError if it is not installed."""
        try:
            return subprocess.run(
                [*self.command, *args], input=stdin, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise PlatformError(
                f"cannot run {self.command[0]}: {error.strerror}. Set IVCAP=... to its path"
            ) from None

    def output(self, *args: str, stdin: str | None = None) -> str:
        """Run the CLI and return its output; raise PlatformError if it fails."""
        done = self.run(*args, stdin=stdin)
        if done.returncode != 0:
            text = " ".join((done.stderr or done.stdout).split())
            raise PlatformError(f"`{shlex.join([*self.command, *args])}` failed: {text[:500]}")
        return done.stdout

    def context(self, what: str, *flags: str) -> str:
        """Return one value of the CLI's current context."""
        return self.output("context", "get", what, *flags).strip()


@dataclass(frozen=True, slots=True)
class Routes:
    """Which of our commands the CLI can carry out with the v1 API."""

    register: bool
    order: bool
    skip_check: bool  # `order create` checks parameters against the newer API by default
    why: str


def probe(cli: Cli) -> Routes:
    """Find out from the CLI's help texts, and its version if it prints one."""
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
    """Return whether the usage line of the CLI's help names this command, and the help text."""
    done = cli.run(*words, "--help")
    found = re.search(r"Usage:\s+\S+ " + " ".join(words) + r"\b", done.stdout)
    return done.returncode == 0 and found is not None, done.stdout


def _version(text: str) -> tuple[int, int, int] | None:
    found = re.search(r"\bv?(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def service_id(name: str, account: str) -> str:
    """Return the service's URN, which is the same for all its versions in one account."""
    return f"urn:ivcap:service:{uuid.uuid5(uuid.NAMESPACE_DNS, name + account)}"


def service_urn(cli: Cli, given: str, name: str) -> str:
    """Return `given`, or the URN of the service in the CLI's account."""
    if given:
        return given
    account = cli.context("account-id")
    if not account:
        raise PlatformError("the CLI has no account; log in with `ivcap context login`, or set SERVICE_ID")
    return service_id(name, account)


def published_image(cli: Cli, image: str) -> str:
    """Return the full name of a pushed image on the platform."""
    listed = cli.output("package", "list", image).split()
    if len(listed) != 1:
        raise PlatformError(
            f"the platform lists {len(listed)} images named {image}; publish it first: make docker-publish"
        )
    return listed[0]


def describe(identifiers: dict[str, str], image: str, task: str = "") -> str:
    """Return the SDK's YAML description, with only the parameters of `task` if it is given.

    A missing identifier stays the SDK's placeholder.
    """
    env = {f"IVCAP_{k}": v for k, v in {**identifiers, "CONTAINER": image}.items() if v}
    done = subprocess.run(
        [sys.executable, str(SERVICE_FILE), "--ivcap:print-service-description"],
        env={**os.environ, **env, "IVCAP_CACHE_DIR": "", "QUADRAT_DESCRIBE_TASK": task}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise PlatformError(
            f"{SERVICE_FILE.name} printed no description: {(done.stdout + done.stderr)[-500:].strip()}"
        )
    return done.stdout


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuse redirects: they would turn PUT into GET and send the token to another host."""

    def redirect_request(self, *_: Any) -> None:
        """Return None, which refuses the redirect."""


def rest(cli: Cli, method: str, path: str, body: object) -> dict[str, Any]:
    """Send JSON to the CLI's platform with the CLI's token; raise PlatformError if the request fails."""
    base = cli.context("url").rstrip("/")
    token = cli.context("access-token", "--refresh-token")
    if not base.startswith(("https://", "http://")):
        raise PlatformError(f"the CLI's context has no usable address: {base!r}; see `ivcap context create`")
    if not token or " " in token:  # the CLI prints NOT AUTHORISED and exits with status 0
        raise PlatformError("the CLI is not logged in; run `ivcap context login`")
    request = urllib.request.Request(base + path, json.dumps(body).encode(), method=method)
    request.add_header("Content-Type", "application/json")
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=600) as reply:
            text = reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            text = " ".join(error.read().decode(errors="replace").split())[:500]
        raise PlatformError(f"{method} {base}{path} failed with status {error.code}: {text}") from None
    except OSError as error:
        raise PlatformError(f"{method} {base}{path} failed: {error}") from None
    answer = json.loads(text) if text.strip() else {}
    return answer if isinstance(answer, dict) else {}


def register(cli: Cli, urn: str, description: str) -> str:
    """Create or update the service; return the platform's reply."""
    routes = probe(cli)
    if routes.register:
        _log(f"registering {urn} by `service update --create` ({routes.why})")
        command = ("service", "update", "--create", urn, "--format", "yaml", "-f", "-", "--timeout", "600")
        return cli.output(*command, stdin=description)
    _log(f"registering {urn} by REST, PUT /1/services ({routes.why})")
    import yaml

    definition = {k: v for k, v in yaml.safe_load(description).items() if k in DEFINITION_KEYS}
    path = f"/1/services/{urllib.parse.quote(urn, safe=':')}?force-create=true"
    return json.dumps(rest(cli, "PUT", path, definition), indent=2) + "\n"


def order(cli: Cli, urn: str, parameters: Sequence[str]) -> str:
    """Place an order; return the platform's reply."""
    pairs = [p.partition("=") for p in parameters]
    names = [name for name, _, _ in pairs]
    if not all(equals and value for _, equals, value in pairs):
        raise PlatformError("each parameter of an order must be name=value")
    if "model" not in names or ("images" in names) == ("image" in names):
        raise PlatformError(
            "an order needs MODEL_ARTIFACT and one of IMAGES_ARTIFACT and IMAGE_ARTIFACT, as URNs"
        )
    routes = probe(cli)
    if routes.order:
        flags = ["--skip-parameter-check"] if routes.skip_check else []
        _log(f"ordering from {urn} by `order create` ({routes.why})")
        return cli.output("order", "create", *flags, urn, *parameters)
    _log(f"ordering from {urn} by REST, POST /1/orders ({routes.why})")
    body = {"service": urn, "parameters": [{"name": name, "value": value} for name, _, value in pairs]}
    return json.dumps(rest(cli, "POST", "/1/orders", body), indent=2) + "\n"


def _log(line: str) -> None:
    sys.stderr.write(f"== {line}\n")


def _identifiers(cli: Cli, args: argparse.Namespace) -> dict[str, str]:
    """Return the ids of service, provider and account; only `describe` may omit those that the CLI does not know."""
    asked: dict[str, Callable[[], str]] = {
        "SERVICE_ID": lambda: service_urn(cli, args.service_id, args.name),
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
            _log(f"{key} is left as a placeholder: {error}")
    return values


def _run(args: argparse.Namespace) -> str:
    cli = Cli(args.cli)
    if args.command == "order":
        return order(cli, service_urn(cli, args.service_id, args.name), args.parameter)
    identifiers = _identifiers(cli, args)
    image = published_image(cli, args.image) if args.published else args.image
    description = describe(identifiers, image, args.task)
    if args.command == "describe":
        return description
    return register(cli, identifiers["SERVICE_ID"], description)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; on a PlatformError, print it to stderr and return exit status 1."""
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=kind)
    parser.add_argument("--cli", default="ivcap", help="the platform's command line program")
    parser.add_argument(
        "--service-id",
        default="",
        help="URN of the service; default: derived from its name and the CLI's account",
    )
    parser.add_argument("--name", required=True, help="the service's name")
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("describe", "register"):
        sub = commands.add_parser(command)
        sub.add_argument("--image", required=True, help="the container image's name and tag")
        sub.add_argument(
            "--published", action="store_true", help="look up the image's full name with the CLI"
        )
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
