"""What the rest of the code needs to know of classification."""

from quadrat.predictions import Classification
from quadrat.task_kinds import TaskKind

KIND = TaskKind(
    name="classify",
    prediction=Classification,
    pictures={"image": ("labelled",), "video": ("labelled",), "stream": ("labelled",)},
    groups=("labels", "pictures", "search", "order"),
    differs="quadrat.tasks.classify.selftest:differs",
    make="quadrat.tasks.classify.task:make",
    collector="quadrat.report.classified:LabelCollector",
    tables="quadrat.report.classified_tables:LabelTables",
    annotate="quadrat.render.labelled:annotate",
    object_cells="quadrat.tasks.classify.objects:cells",
    object_class="quadrat.tasks.classify.objects:best",
    object_names="quadrat.tasks.classify.objects:names",
    entries="quadrat.report.classified_values:entries",
    class_urn="urn:ibenthos:classification:class:",
    max_classes=100_000,
    model_schema="urn:ibenthos:schema:quadrat.classify.model.1",
    endings=(".labelled.jpg", ".predictions.csv"),
    settings="quadrat.tasks.classify.task:settings_in_force",
    read_meta="quadrat.package.labels:read_labels",
    first_roles=("logits", "scores"),
    compares_scales=False,
)
