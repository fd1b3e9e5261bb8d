"""Export a classifier from a folder in Hugging Face's form: config.json, model.safetensors, preprocessor_config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from export_model import from_torch_classifier, labels, processors
from export_model.classifier import TASK, Classes, Notify, Options
from export_model.network import Network, digest, need
from export_model.preprocessing import Preprocessing
from quadrat.errors import ClassesError, ModelError, ParameterError
from quadrat.stores.strict import MAX_JSON, StrictError, parse_json, read_text
from quadrat.task_kinds import kind_of

OPTION = "--transformers"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
PROBLEMS = {"multi_label_classification": "sigmoid", "single_label_classification": "softmax", None: None}
"""The activation that the pipeline applies, by `problem_type`; a regression has none."""


def load(folder: Path, options: Options, notify: Notify) -> tuple[Network, list[dict[str, Any]]]:
    """Read the folder without network access and without running code from it, and export its classifier.

    The transforms are those of its image processor as it runs without torchvision, and its labels are those of
    `id2label` unless the options name others. Raises ParameterError for a folder that is not of this form or whose
    processor cannot be mapped, ClassesError for labels that do not fit, and GraphError.
    """
    config = _config(folder)
    _refuse(config, options, folder)
    need(OPTION, "torch", "onnx", "transformers")
    import torch
    import transformers

    classes = options.classes or named(config, str(folder))
    network, processor = _loaded(folder)
    options = _stated(config, options, classes)
    options = replace(
        options, preprocessing=Preprocessing(transforms=processors.transforms_of(processor, str(folder)))
    )
    files = [folder / name for name in (CONFIG, WEIGHTS, processors.FILE)]
    notify(
        f"images: as {type(processor).__name__} prepares them, compared on {len(processors.PICTURES)} drawings"
    )
    return from_torch_classifier.export(
        _logits_only(network), options, notify, where=str(folder),
        name=folder.resolve().name,
        model={"type": type(network).__name__, "parameters": sum(p.numel() for p in network.parameters())},
        provenance={
            "sources": {path.name: digest(path) for path in files},
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        },
    )  # fmt: skip


def _config(folder: Path) -> Mapping[str, Any]:
    """Return config.json, after a check that the folder has its three files."""
    if not folder.is_dir():
        raise ParameterError("there is no such folder", where=f"{OPTION} {folder}")
    for name in (CONFIG, WEIGHTS, processors.FILE):
        if not (folder / name).is_file():
            raise ParameterError(
                f"it has no file {name}", where=f"{OPTION} {folder}",
                hint="Save model and processor with save_pretrained(FOLDER); weights of torch.save are not read",
            )  # fmt: skip
    try:
        config = parse_json(read_text(folder / CONFIG, MAX_JSON))
    except StrictError as error:
        raise ParameterError(f"{CONFIG}: {error.what}", where=f"{OPTION} {folder}") from error
    if not isinstance(config, dict):
        raise ParameterError(f"{CONFIG} is not an object", where=f"{OPTION} {folder}")
    return config


def _refuse(config: Mapping[str, Any], options: Options, folder: Path) -> None:
    """Raise ParameterError for what the folder states and the command line must not, and for what is no classifier."""
    where = f"{OPTION} {folder}"
    given = options.preprocessing
    if (
        given.size
        or given.normalized
        or given.transforms is not None
        or given.resample
        or given.bgr is not None
    ):
        raise ParameterError(f"{processors.FILE} states how images reach the network", where=where,
                             hint="Leave these options out")  # fmt: skip
    made = [str(name) for name in config.get("architectures") or ()]
    if made and not any(name.endswith("ForImageClassification") for name in made):
        raise ParameterError(f"it holds {', '.join(made)}, which is no image classifier", where=where)
    if config.get("problem_type") not in PROBLEMS:
        raise ParameterError(
            f"its problem_type is {config['problem_type']!r}, not a classification", where=where
        )


def named(config: Mapping[str, Any], where: str) -> Classes:
    """Return the classes that `id2label` names in the order of the scores.

    Raises ClassesError if it is missing, has gaps, or names two classes alike.
    """
    listed = config.get("id2label")
    hint = "Correct id2label in config.json, or give --classes FILE"
    if not isinstance(listed, dict) or not listed:
        raise ClassesError("config.json has no id2label", where=where, hint=hint)
    if sorted(listed) != sorted(str(index) for index in range(len(listed))):
        lost = next(str(index) for index in range(len(listed)) if str(index) not in listed)
        raise ClassesError(f"id2label has {len(listed)} entries, but none for {lost}", where=where, hint=hint)
    names = [listed[str(index)] for index in range(len(listed))]
    if not all(isinstance(name, str) for name in names):
        raise ClassesError("id2label holds labels that are no text", where=where, hint=hint)
    cleaned = [labels.clean(name, f"{where}: id2label") for name in names]
    if twice := labels.repeated(cleaned):
        raise ClassesError(f"id2label has the label {twice[0]!r} more than once", where=where, hint=hint)
    return [labels.entry(name, urn=kind_of(TASK).class_urn) for name in cleaned]


def _stated(config: Mapping[str, Any], options: Options, classes: Classes) -> Options:
    """Return the options with the activation that transformers' pipeline applies."""
    several = config.get("problem_type") == "multi_label_classification"
    activation = PROBLEMS[config.get("problem_type")] or ("sigmoid" if len(classes) == 1 else "softmax")
    choice = replace(
        options.choice, count=len(classes), activation=options.choice.activation or activation,
        multi_label=options.choice.multi_label or (several and len(classes) > 1),
    )  # fmt: skip
    return replace(options, choice=choice, classes=classes)


def _loaded(folder: Path) -> tuple[Any, Any]:
    """Load the model and the image processor of the PIL backend; ModelError with transformers' own words."""
    from transformers import AutoImageProcessor, AutoModelForImageClassification, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        network, report = AutoModelForImageClassification.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, trust_remote_code=False,
            attn_implementation="eager", dtype="float32", output_loading_info=True,
        )  # fmt: skip
        processor = AutoImageProcessor.from_pretrained(
            str(folder), backend="pil", local_files_only=True, trust_remote_code=False
        )
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        ImportError,
        TypeError,
        AttributeError,
        json.JSONDecodeError,
    ) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise ModelError(f"transformers cannot load it: {first[:300]}", where=f"{OPTION} {folder}") from error
    lost = [*report.get("missing_keys", ()), *(str(k[0]) for k in report.get("mismatched_keys", ()))]
    if lost:
        raise ModelError(
            f"{WEIGHTS} lacks {len(lost)} of its tensors, such as {sorted(lost)[0]}", where=f"{OPTION} {folder}",
            hint="transformers would fill them with random numbers: save the trained model again",
        )  # fmt: skip
    return network.eval(), processor


def _logits_only(network: Any) -> Any:
    """Wrap a model of transformers so that it takes the image alone, and gives its logits."""
    import torch

    class Logits(torch.nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> Any:
            return self.network(pixel_values=image).logits

    return Logits()
