"""The benchmark's lines give machine, model, settings and the time of every stage."""

from __future__ import annotations

import os

from quadrat.report.timing import timing_lines
from tests.report.things import WHO
from tests.values import settings_of


def lines(**settings: object) -> list[str]:
    """Write the lines of ten images in four seconds."""
    return timing_lines(
        settings_of(**settings).values(),
        WHO,
        "reef",
        seconds={"read": 1.0, "infer": 4.0},
        wall=4.0,
        images=10,
    )


def test_times_are_per_image_and_shares_of_the_wall() -> None:
    """Milliseconds and per cent of each stage, and images per second."""
    got = lines()

    assert "benchmark images: 10 in 4.00 s, 2.50 per second" in got
    assert "benchmark ms per image: read 100.0, infer 400.0" in got
    assert "benchmark occupancy: read 25 %, infer 100 %" in got


def test_machine_model_engine_and_settings_are_named() -> None:
    """Every value is there, so that a figure can be repeated."""
    machine, model, engine, settings = lines(tile_size=640)[:4]

    assert f"{os.cpu_count()} cores" in machine
    assert model == "benchmark model: reef, d1"
    assert engine == "benchmark engine: fake 1, cpu, fp32"
    assert "tile_size=640" in settings
    assert settings.count("=") == len(settings_of().values())


def test_a_name_that_the_order_gives_is_used() -> None:
    """It is the one that the log has elsewhere."""
    assert "benchmark model: night dive, d1" in lines(model_name="night dive")


def test_frames_are_counted_as_frames() -> None:
    """And nothing at all in no time is no error."""
    got = timing_lines(
        settings_of().values(), WHO, "m", seconds={"read": 0.5}, wall=0.0, images=0, unit="frame"
    )

    assert "benchmark frames: 0 in 0.00 s, 0.00 per second" in got
    assert "benchmark ms per frame: read 500.0" in got
