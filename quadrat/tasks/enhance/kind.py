"""What the rest of the code needs to know of enhancement."""

from quadrat.predictions import Enhanced
from quadrat.task_kinds import TaskKind

KIND = TaskKind(
    name="enhance",
    prediction=Enhanced,
    pictures={"image": ("enhanced",), "video": ("enhanced",), "stream": ("enhanced",)},
    groups=("tiles", "pictures"),
    make="quadrat.tasks.enhance.task:make",
    collector="quadrat.report.enhanced:EnhancedCollector",
    tables="quadrat.report.enhanced:EnhancedTables",
    annotate="quadrat.render.enhanced:annotate",
    built_in="quadrat.tasks.enhance.task:built_in",
    read_meta="quadrat.package.enhance:read_enhance",
    settings="quadrat.tasks.enhance.network:settings_in_force",
    measures=False,
    compares_scales=False,
    differs="quadrat.tasks.enhance.selftest:differs",
    class_urn="urn:quadrat:enhancement:class:",
    max_classes=0,
    model_schema="urn:ibenthos:schema:quadrat.enhance.model.1",
    endings=(".enhanced.jpg", ".enhanced.png", ".enhanced.webp", ".enhanced.tif"),
)
