"""Orders over HTTP against the double of the data proxy, without faults."""

from __future__ import annotations

from tests.platform.proxy import DataProxy
from tests.service.run import ORDER, TINY, Service, statuses


def test_an_order_over_a_queue(service: Service, double: DataProxy, photos: list[bytes]) -> None:
    """Every image of a queue gives its product with metadata, then the table; nothing is left behind."""
    model = double.add(TINY.read_bytes(), "model")
    artifacts = [double.add(body, mime="image/jpeg") for body in photos]
    queue = double.queue(artifacts, ("url", "urn"))

    ran = service.order("--model", model.urn, "--images", queue.urn, env=double.environment(ORDER))

    assert ran.status == 0, ran.said
    made = double.delivered()
    stems = [a.urn.rsplit(":", 1)[-1] for a in artifacts]
    assert list(made) == [f"{stem}.pseudo.png" for stem in stems] + ["survey.csv"]
    assert statuses(made["survey.csv"].body) == ["ok"] * 3
    for artifact, stem in zip(artifacts, stems, strict=True):
        (aspect,) = made[f"{stem}.pseudo.png"].metadata
        assert (aspect["image"], aspect["model"], aspect["order"]) == (artifact.urn, model.urn, ORDER)
        assert (aspect["width"], aspect["height"]) == (128, 96)
        assert len(aspect) >= 6
    assert len(made["survey.csv"].metadata) == 1
    assert (list(queue.waiting), queue.unacked, len(queue.acked)) == ([], {}, 3)
    assert ran.left == []
    assert list(service.out.iterdir()) == []
