"""Run the service as the platform does, against the double of its data proxy, and put what it delivers into a folder.

python -m tests.platform_double.run_order --model M --images FOLDER|--videos FOLDER --out FOLDER [the service's own parameters]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.platform_double.proxy import add_inputs, data_proxy, load_inputs

SERVICE = Path(__file__).resolve().parent.parent.parent / "infer_service.py"
FOLDERS = {"IVCAP_IN_DIR": "in", "IVCAP_OUT_DIR": "out", "IVCAP_CACHE_DIR": "cache", "TMPDIR": "tmp"}


def main() -> int:
    """Run one order and give the service's exit status."""
    parser = argparse.ArgumentParser(description="Run the service against a double of the data proxy")
    add_inputs(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder that takes what is delivered")
    args, rest = parser.parse_known_args()
    outside = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and "IVCAP" not in k}
    with data_proxy() as double, tempfile.TemporaryDirectory() as work:
        for name in FOLDERS.values():
            (Path(work) / name).mkdir()
        named, queue = load_inputs(double, args)
        command = [sys.executable, str(SERVICE), *named, *rest]
        folders = {variable: str(Path(work) / name) for variable, name in FOLDERS.items()}
        environment = (
            outside | double.environment(double.new_urn("order")) | {"ARGO_NODE_ID": "node-1"} | folders
        )
        status = subprocess.run(command, env=environment, check=False).returncode
        left = [*(Path(work) / "tmp").iterdir()]
    args.out.mkdir(parents=True, exist_ok=True)
    for product in double.products.values():
        (args.out / product.name).write_bytes(product.body)
        text = json.dumps([*product.metadata, {}][0], indent=2)
        (args.out / f"{product.name}-meta.json").write_text(text, encoding="utf-8")
        sys.stdout.write(f"delivered {product.name}, {len(product.body)} bytes, as {product.urn}\n")
    sys.stdout.write(
        f"acknowledged {len(queue.acked)} {'videos' if args.videos else 'images'}, {len(queue.unacked) + len(queue.waiting)} left; "
        f"{len(left)} temporary files left\n"
    )
    return status


if __name__ == "__main__":
    sys.exit(main())
