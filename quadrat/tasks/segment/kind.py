"""What the rest of the code needs to know of segmentation."""

from quadrat.predictions import UNKNOWN, Segmentation
from quadrat.task_kinds import TaskKind

KIND = TaskKind(
    name="segment",
    prediction=Segmentation,
    pictures={
        "image": ("pseudo", "labels", "confidence", "overlay"),
        "video": ("overlay",),
        "stream": ("overlay",),
    },
    groups=("masks", "tiles", "pictures"),
    differs="quadrat.tasks.segment.selftest:differs",
    make="quadrat.tasks.segment.task:make",
    collector="quadrat.report.masks:MaskCollector",
    tables="quadrat.report.masks:MaskTables",
    annotate="quadrat.render.overlay:annotate",
    entries="quadrat.report.entries:of_masks",
    class_urn="urn:ibenthos:segmentation:class:",
    max_classes=UNKNOWN,
    model_schema="urn:ibenthos:schema:paddle.seg.model.1",
    read_meta="quadrat.package.masks:read_masks",
    object_cells="quadrat.tasks.segment.objects:object_cells",
    endings=(".pseudo.png", ".labels.png", ".confidence.png", ".overlay.jpg", ".mask.png", ".cover.csv"),
    shrinks=True,
    first_roles=("labels", "confidence"),
)
