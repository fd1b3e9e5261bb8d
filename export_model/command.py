"""The command line of the exporter: its options, by what they are about."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from export_model import classifier, enhancer_options, on_objects, preprocessing
from quadrat.package.detectors import BELONGS, CHOICES, LAYOUTS, WITH_BACKGROUND
from quadrat.task_kinds import default_task

PURPOSE = "Make a model archive, model.tgz, from an ONNX file, a torch module, a Hugging Face folder or a PaddleSeg config."
TASKS = ("segment", "detect", "classify", "embed", "enhance")
"""The tasks that networks can be packed for."""
DEFAULT_PATH = Path("model.artifact.tgz")
EXAMPLES = """\
examples:
  {prog} --onnx reef.onnx --class sand --class seagrass --save-path reef.tgz
  {prog} --onnx best.onnx --task detect --save-path fish.tgz
  {prog} --transformers fish-vit --save-path species.tgz
  {prog} --config model.yml --model model.pdparams --save-path seagrass.tgz
"""


def parser(prog: str = "export.py") -> argparse.ArgumentParser:
    """Return the parser of the command line. The original exporter's options keep their names."""
    made = _empty(prog)
    _add_source(made)
    _add_meaning(made)
    _add_detector(made)
    classifier.add_options(made)
    enhancer_options.add_options(made)
    on_objects.add_options(made)
    made.add_argument(
        "--save-path", type=Path, default=DEFAULT_PATH, help=f"archive to write [{DEFAULT_PATH}]"
    )
    return made


def _add_source(made: argparse.ArgumentParser) -> None:
    source = made.add_argument_group("what to export (one of)")
    source.add_argument(
        "--config", type=Path, metavar="YML", help="PaddleSeg config; needs paddle and paddleseg"
    )
    source.add_argument(
        "--cv-config",
        type=Path,
        metavar="JSON",
        help="cv-pipeline JSON, which names config, weights, classes and colours",
    )
    source.add_argument(
        "--torch", metavar="MODULE:FACTORY", help="function without arguments that returns a torch module"
    )
    source.add_argument(
        "--onnx", type=Path, metavar="FILE", help="ONNX network that outputs scores or labels"
    )
    source.add_argument(
        "--transformers", type=Path, metavar="FOLDER",
        help="classifier in Hugging Face's form: config.json, model.safetensors, preprocessor_config.json",
    )  # fmt: skip
    source.add_argument(
        "--paddle",
        type=Path,
        metavar="FILE",
        help="exported Paddle network: .pdmodel or .json, with .pdiparams and perhaps deploy.yaml beside it",
    )
    _add_weights(made)


def _add_weights(made: argparse.ArgumentParser) -> None:
    weights = made.add_argument_group("weights and outputs")
    weights.add_argument("--model", "--model-path", type=Path, metavar="PDPARAMS", help="Paddle weights")
    weights.add_argument(
        "--weights", type=Path, metavar="FILE", help="torch weights: safetensors or a state_dict"
    )
    weights.add_argument(
        "--onnx-output", metavar="NAME", help="output of the --onnx network that holds the scores"
    )
    weights.add_argument(
        "--without-argmax", action="store_true", help="make the Paddle network output scores, not classes"
    )
    weights.add_argument(
        "--with-softmax", action="store_true", help="make the Paddle network output probabilities"
    )
    weights.add_argument(
        "--input-shape",
        type=int,
        nargs=4,
        metavar=("N", "C", "H", "W"),
        help="shape of the input; -1 leaves an axis dynamic",
    )
    weights.add_argument(
        "--onnx-python", metavar="PYTHON", default=sys.executable,
        help="interpreter that has paddle2onnx; '' exports a Paddle network without ONNX",
    )  # fmt: skip


def _empty(prog: str) -> argparse.ArgumentParser:
    """Return a parser without options, with examples under its help."""
    return argparse.ArgumentParser(
        prog=prog,
        description=PURPOSE,
        epilog=EXAMPLES.format(prog=prog),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_meaning(made: argparse.ArgumentParser) -> None:
    meaning = made.add_argument_group("classes and scores")
    meaning.add_argument(
        "--class", dest="names", action="append", metavar="NAME[=#RRGGBB]", help="one class, in order"
    )
    meaning.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="classes in order: a JSON or YAML list, or .names or .txt with one name per line",
    )
    meaning.add_argument(
        "--background",
        metavar="NAME|INDEX|none",
        help="masks: the class of pixels where no other class is over its threshold; "
        f"detectors: the class that means no object ({', '.join(WITH_BACKGROUND)})",
    )
    meaning.add_argument(
        "--activation",
        choices=("softmax", "sigmoid", "none"),
        help="what makes probabilities of the scores; by default found from their values",
    )
    meaning.add_argument(
        "--threshold",
        type=float,
        nargs="+",
        metavar="T",
        help="least score of a class, or one for each class in order [masks, labels: 0.5]",
    )
    meaning.add_argument(
        "--multi-label",
        action="store_true",
        help="several classes can hold at one pixel, or several labels for one picture",
    )
    meaning.add_argument(
        "--multiples",
        choices=("pad", "resize"),
        help="masks: bring images to the multiples that the network needs",
    )
    meaning.add_argument("--name", help="name of the model; by default that of the config, factory or file")
    meaning.add_argument(
        "--trained-size",
        type=int,
        metavar="PIXELS",
        help="long side of the images that the network was trained on, as it saw them",
    )


def _add_detector(made: argparse.ArgumentParser) -> None:
    preprocessing.add_options(made)
    finds = made.add_argument_group("task")
    finds.add_argument(
        "--task",
        choices=TASKS,
        help=f"what the network does [{default_task()}]; detect and classify go with --onnx or --torch",
    )
    finds.add_argument(
        "--layout", choices=LAYOUTS, help="layout of a detector's outputs; by default it is guessed"
    )
    finds.add_argument(
        "--picture", dest="pictures", action="append", type=Path, metavar="FILE",
        help="photograph with objects that the network knows, to check the layout on and for the self-test",
    )  # fmt: skip
    finds.add_argument(
        "--nms",
        choices=CHOICES["nms"],
        help="whether overlapping boxes are dropped within a class, or of all classes",
    )
    finds.add_argument(
        "--boxes", choices=CHOICES["boxes"], help=f"how boxes are written ({', '.join(BELONGS['boxes'])})"
    )
    finds.add_argument(
        "--unit", choices=CHOICES["unit"], help=f"unit of boxes ({', '.join(BELONGS['unit'])})"
    )
