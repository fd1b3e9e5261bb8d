"""What the rest of the code needs to know of classification."""

from quadrat.predictions import Classification
from quadrat.task_kinds import TaskKind

KIND = TaskKind(
    name="classify",
    prediction=Classification,
    pictures={"image": ("labelled",), "video": ("labelled",), "stream": ("labelled",)},
    groups=("labels", "pictures"),
    differs="quadrat.tasks.classify.selftest:differs",
    make="quadrat.tasks.classify.task:make",
    collector="quadrat.report.classified:LabelCollector",
    tables="quadrat.report.classified_tables:LabelTables",
    annotate="quadrat.render.labelled:annotate",
    class_urn="urn:ibenthos:classification:class:",
    max_classes=100_000,
    model_schema="urn:ibenthos:schema:quadrat.classify.model.1",
    endings=(".labelled.jpg", ".frames.csv"),
    read_meta="quadrat.package.labels:read_labels",
    first_roles=("logits", "scores"),
)
