"""Run the service as the platform does, against the double of its data proxy, and put what it delivers into a folder.

python -m tests.platform.run_order --model M --images FOLDER --out FOLDER [the service's own parameters]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.platform.proxy import DataProxy, load

SERVICE = Path(__file__).resolve().parent.parent.parent / "infer_service.py"


def main() -> int:
    """Run one order and give the service's exit status."""
    parser = argparse.ArgumentParser(description="Run the service against a double of the data proxy")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args, rest = parser.parse_known_args()
    with DataProxy() as double, tempfile.TemporaryDirectory() as work:
        model, queue = load(double, args.model, args.images)
        command = [sys.executable, str(SERVICE), "--model", model, "--images", queue, *rest]
        status = subprocess.run(
            command, env=os.environ | double.environment(Path(work)), check=False
        ).returncode
        args.out.mkdir(parents=True, exist_ok=True)
        for product in double.delivered:
            (args.out / product.name).write_bytes(product.body)
            text = json.dumps(product.metadata[0] if product.metadata else {}, indent=2)
            (args.out / f"{product.name}-meta.json").write_text(text, encoding="utf-8")
            sys.stdout.write(f"delivered {product.name}, {len(product.body)} bytes, as {product.urn}\n")
        sys.stdout.write(f"acknowledged {len(double.acknowledged)} images, {len(double.leases)} left\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
