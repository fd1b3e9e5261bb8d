"""What the rest of the code needs to know of embeddings."""

from quadrat.predictions import Embedding
from quadrat.task_kinds import TaskKind

KIND = TaskKind(
    name="embed",
    prediction=Embedding,
    pictures={"image": (), "video": (), "stream": ()},
    groups=(),
    make="quadrat.tasks.embed.task:make",
    collector="quadrat.report.embeddings:EmbeddingCollector",
    tables="quadrat.report.embeddings:EmbeddingTables",
    annotate="",
    object_cells="quadrat.report.embeddings:cells_of",
    compares_scales=False,
    differs="quadrat.tasks.embed.selftest:differs",
    entries="quadrat.report.entries:of_embedding",
    class_urn="urn:ibenthos:embedding:class:",
    max_classes=0,
    model_schema="urn:ibenthos:schema:quadrat.embed.model.1",
)
