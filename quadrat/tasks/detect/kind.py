"""What the rest of the code needs to know of detection."""

from quadrat.predictions import Detections
from quadrat.task_kinds import TaskKind

KIND = TaskKind(
    name="detect",
    prediction=Detections,
    pictures={"image": ("annotated",), "video": ("annotated",), "stream": ("annotated",)},
    groups=("objects", "tiles", "tracking", "pictures", "engine"),
    differs="quadrat.tasks.detect.selftest:differs",
    make="quadrat.tasks.detect.task:make",
    collector="quadrat.report.objects:ObjectCollector",
    tables="quadrat.report.objects:ObjectTables",
    annotate="quadrat.render.boxes:annotate",
    entries="quadrat.report.entries:of_objects",
    class_urn="urn:ibenthos:detection:class:",
    max_classes=10_000,
    model_schema="urn:ibenthos:schema:quadrat.detect.model.1",
    endings=(".annotated.jpg", ".mot.txt"),
    read_meta="quadrat.package.detectors:read_detect",
    settings="quadrat.tasks.detect.judge:settings_in_force",
    is_empty="quadrat.tasks.detect.judge:is_empty",
    fault="quadrat.tasks.detect.judge:fault",
    tracks=True,
)
