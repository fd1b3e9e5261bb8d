"""Orders over HTTP against the double of the data proxy, when all goes well."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests import results
from tests.platform_double.proxy import DataProxy
from tests.platform_double.state import Artifact, Queue, QueueItem
from tests.service.run import FOLDERS, ORDER, ROOT, TABLES, TINY, Service, ServiceProcess, rows, statuses

NAMED_AFTER_PLACES = {"image", "image-name", "model", "order", "$entity"}


def stem(artifact: Artifact) -> str:
    """Give the name that an artifact's products have."""
    return artifact.urn.rsplit(":", 1)[-1]


def placeless(aspect: dict[str, Any]) -> dict[str, Any]:
    """Drop from metadata what says where things were rather than what they are."""
    kept = {k: v for k, v in aspect.items() if k not in NAMED_AFTER_PLACES}
    return {k: placeless(v) if isinstance(v, dict) else v for k, v in kept.items()}


def check_acknowledged_last(double: DataProxy, queue: Queue, count: int) -> None:
    """Check that each token went back after that image's posts were answered, and each only once."""
    deletes = double.seen("queue", method="DELETE")
    tokens = [r.body.decode() for r in deletes]
    assert len(set(tokens)) == len(tokens) == count
    assert queue.acked == tokens
    for delete in deletes:
        urn = queue.given_for[delete.body.decode()]
        made = [p for p in double.products.values() if p.metadata and p.metadata[0].get("image") == urn]
        posts = [double.requests[p.number] for p in made]
        posts += [
            r for r in double.seen("metadata") if r.headers["X-Meta-Data-For-Entity"] in {p.urn for p in made}
        ]
        assert len(posts) >= 2
        assert all(post.status < 300 and post.answered <= delete.came for post in posts)


@pytest.mark.parametrize("way", ["environment", "direct"])
def test_an_order_over_a_queue(
    process: ServiceProcess, double: DataProxy, photos: list[bytes], way: str
) -> None:
    """Every image of a queue gives its product with metadata, then the table; nothing is left behind."""
    model = double.add(TINY.read_bytes(), "model")
    artifacts = [double.add(body, mime="image/jpeg") for body in photos]
    queue = double.queue(artifacts, ("url", "urn"))
    variables = getattr(double, way)(ORDER) | {"ARGO_NODE_ID": "node-1"}

    ran = process.order("--model", model.urn, "--images", queue.urn, env=variables)

    assert ran.status == 0, ran.said
    made = double.delivered()
    assert list(made) == [f"{stem(a)}.pseudo.png" for a in artifacts] + [*TABLES]
    assert [p.mime for p in made.values()] == ["image/png"] * 3 + [
        "text/csv",
        "application/json",
        "text/csv",
        "text/csv",
    ]
    assert statuses(made["survey.csv"].body) == ["flagged"] * 3
    for artifact in artifacts:
        (aspect,) = made[f"{stem(artifact)}.pseudo.png"].metadata
        assert (aspect["image"], aspect["model"], aspect["order"]) == (artifact.urn, model.urn, ORDER)
        assert (aspect["width"], aspect["height"]) == (128, 96)
        assert len(aspect) >= 6
    assert len(made["survey.csv"].metadata) == 1
    assert (list(queue.waiting), queue.unacked) == ([], {})
    check_acknowledged_last(double, queue, 3)
    assert double.requests[0].kind == "ready"
    assert ran.left == []
    assert list(process.out.iterdir()) == []


def test_images_of_the_web_come_through_the_cache(
    service: Service, double: DataProxy, photos: list[bytes]
) -> None:
    """A queue may name addresses outside the platform; the cache says which artifact each one is."""
    model = double.add(TINY.read_bytes())
    inside = double.add(photos[0], web="https://photos.example/a%20b/quadrat.jpg?size=full")
    queue = double.queue([inside], ("web",))

    ran = service.order("--model", model.urn, "--images", queue.urn, env=double.environment(ORDER))

    assert ran.status == 0, ran.said
    assert [p.metadata[0].get("image") for p in double.products.values()] == [
        inside.urn,
        None,
        None,
        None,
        None,
    ]
    assert {r.kind for r in double.requests} == {"artifact", "cache", "queue", "product", "metadata"}


@pytest.mark.parametrize("option", ["--image", "--images"])
def test_one_artifact(service: Service, double: DataProxy, photos: list[bytes], option: str) -> None:
    """A single image may be given by its URN as image and as images, and nothing is acknowledged."""
    model, photo = double.add(TINY.read_bytes()), double.add(photos[0])

    ran = service.order("--model", model.urn, option, photo.urn, env=double.environment(ORDER))

    assert ran.status == 0, ran.said
    assert list(double.delivered()) == [f"{stem(photo)}.pseudo.png", *TABLES]
    assert double.seen("queue") == []
    assert ran.left == []


def test_local_and_platform_products_are_the_same(
    service: Service, double: DataProxy, photos: list[bytes]
) -> None:
    """The two ways give the same bytes; metadata and table differ only in URNs and names made of them."""
    for number, body in enumerate(photos):
        (service.folder / "in" / f"{number}.jpg").write_bytes(body)
    model = double.add(TINY.read_bytes())
    artifacts = [double.add(body) for body in photos]
    queue = double.queue(artifacts)
    words = (
        "--outputs",
        "pseudo,overlay,labels,confidence",
        "--result-size",
        "source",
        "--max-img-size",
        "0.005MP",
    )

    local = service.run("--model", TINY, "--images", service.folder / "in", *words)
    remote = service.order("--model", model.urn, "--images", queue.urn, *words, env=double.environment(ORDER))

    assert (local.status, remote.status) == (0, 0), local.said + remote.said
    made = double.delivered()
    assert len(made) == 3 * 4 + 4
    for number, artifact in enumerate(artifacts):
        for ending in ("pseudo.png", "overlay.jpg", "labels.png", "confidence.png"):
            name, there = f"{number}.{ending}", made[f"{stem(artifact)}.{ending}"]
            assert results.product(service.out, name).read_bytes() == there.body
            aspect = results.aspect(service.out, name)
            assert placeless(aspect) == placeless(there.metadata[0])
    kept = [
        [{k: v for k, v in row.items() if k not in ("image", "name", "product")} for row in rows(table)]
        for table in (service.out / "survey.csv", made["survey.csv"].body)
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 3 * 3


def test_batches_end_where_the_queue_does(service: Service, double: DataProxy, photos: list[bytes]) -> None:
    """With the queue empty and an image waiting for its batch, that image is finished, then the queue asked again."""
    model = double.add(TINY.read_bytes())
    queue = double.queue([double.add(body) for body in photos])

    words = ("--model", model.urn, "--images", queue.urn, "--batch-size", "2")
    ran = service.order(*words, env=double.environment(ORDER))

    assert ran.status == 0, ran.said
    check_acknowledged_last(double, queue, 3)
    asked = double.seen("queue")
    empty = [i for i, r in enumerate(asked) if (r.method, r.status) == ("GET", 204)]
    last = [i for i, r in enumerate(asked) if r.body.decode() == queue.acked[-1]]
    assert [empty[0] < last[0] < empty[1], len(empty), empty[-1]] == [True, 2, len(asked) - 1]


def test_an_image_given_back_meanwhile_is_taken(
    service: Service, double: DataProxy, photos: list[bytes]
) -> None:
    """What another worker gave back after the queue was empty is measured by the same order."""
    model = double.add(TINY.read_bytes())
    artifacts = [double.add(body) for body in photos]
    queue = double.queue(artifacts[:1])
    queue.late.extend(QueueItem(a) for a in artifacts[1:])

    words = ("--model", model.urn, "--images", queue.urn, "--batch-size", "2")
    ran = service.order(*words, env=double.environment(ORDER))

    assert ran.status == 0, ran.said
    assert list(double.delivered()) == [f"{stem(a)}.pseudo.png" for a in artifacts] + [
        *TABLES,
    ]
    check_acknowledged_last(double, queue, 3)


SDK_SERVICE = """
import json
import ivcap_sdk_service as sdk

def handler(args, log):
    for line in open(args.products):
        name, mime, path, metadata = json.loads(line)
        body = open(path, "rb").read()
        sdk.publish_artifact(name, lambda file: file.write(body), mime, metadata=metadata, is_binary=True)

products = sdk.Parameter("products", sdk.Type.STRING, description="x")
sdk.register_service(sdk.Service(name="x", parameters=[products]), handler)
"""
"""A service that does nothing but publish, through the SDK."""


def posts(double: DataProxy) -> list[tuple[dict[str, str], bytes]]:
    """Give headers and body of every post but what the client, the connection and the artifact's URN make of it."""
    urns = {p.urn: f"urn of {p.name}" for p in double.products.values()}
    gone = {"User-Agent", "Accept", "Accept-Encoding", "Connection", "Host"}
    told = []
    for request in double.seen("product", "metadata"):
        headers = {k: v for k, v in request.headers.items() if k not in gone}
        for urn, name in urns.items():
            headers = {k: v.replace(urn, name) for k, v in headers.items()}
        told.append((headers, request.body))
    return told


@pytest.mark.process
def test_products_are_posted_as_the_sdk_posts_them(
    service: Service, double: DataProxy, second: DataProxy, photos: list[bytes]
) -> None:
    """Header for header and byte for byte, posts of products and of metadata are the SDK's own."""
    model, photo = double.add(TINY.read_bytes()), double.add(photos[0])
    words = ("--model", model.urn, "--image", photo.urn, "--outputs", "pseudo,overlay")
    assert service.order(*words, env=double.environment(ORDER)).status == 0

    lines = []
    for number, made in enumerate(double.products.values()):
        path = service.folder / str(number)
        path.write_bytes(made.body)
        lines.append(json.dumps([made.name, made.mime, str(path), made.metadata[0]]))
    (service.folder / "products").write_text("\n".join(lines))
    folders = {variable: str(service.folder / name) for variable, name in FOLDERS.items()}
    done = subprocess.run(
        [sys.executable, "-c", SDK_SERVICE, f"--products={service.folder / 'products'}"],
        env=service.environment(second.environment(ORDER) | folders), cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = posts(double), posts(second)
    assert len(ours) == 12
    assert [h for h, _ in ours] == [h for h, _ in theirs]
    assert [b for _, b in ours] == [b for _, b in theirs]
