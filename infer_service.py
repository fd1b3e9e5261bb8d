"""The service: declares its parameters to the platform and hands one order to quadrat.job.

    python infer_service.py --model model.tgz --images photos/ --ivcap:in-dir . --ivcap:out-dir DATA/run
    python infer_service.py --ivcap:print-service-description

Parameters are in quadrat/parameters, the order itself in quadrat/job.py.
"""

from __future__ import annotations

from quadrat import interrupts

if __name__ == "__main__":
    interrupts.install()  # a signal may arrive while the rest is imported


import logging
from collections.abc import Mapping
from typing import Any

from quadrat.errors import QuadratError
from quadrat.parameters import parse
from quadrat.platforms import ivcap_order


def run(values: Mapping[str, Any], context: ivcap_order.OrderContext, log: logging.Logger) -> int:
    """Run one order and return its exit status; a fault is one line in the log, never a traceback."""
    try:
        settings = parse(ivcap_order.complete(values, context))
        store = ivcap_order.open_store(values, context)
        from quadrat.job import run_order  # after the parameters are checked, because it loads arrays

        return run_order(settings, store, log).exit_status
    except QuadratError as error:
        log.error("%s", error.line)
        return error.exit_status
    except Exception as error:
        log.error("E_INTERNAL %s: %s. Please report this", type(error).__name__, error)
        log.debug("where it happened", exc_info=True)
        return 1


if __name__ == "__main__":
    ivcap_order.serve(run)
