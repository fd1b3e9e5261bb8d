"""Hierarchies of names from files."""

from __future__ import annotations

import pytest

from export_model import hierarchy
from export_model.export import main
from quadrat.errors import HierarchyError, ParameterError
from tests.export_model.graphs import classifier, saved

TREE = {"Amphiprion ocellaris": "Amphiprion", "Amphiprion": "Pomacentridae", "Pomacentridae": None}
FORMS = {
    "tree.csv": "name,parent\nAmphiprion ocellaris,Amphiprion\nAmphiprion,Pomacentridae\nPomacentridae,\n",
    "spaced.csv": "\ufeffparent,name\n Amphiprion,Amphiprion  ocellaris\nPomacentridae,Amphiprion\n,Pomacentridae\n",
    "tree.tsv": "name\tparent\nAmphiprion ocellaris\tAmphiprion\nAmphiprion\tPomacentridae\nPomacentridae\t\n",
    "tree.json": '{"Amphiprion ocellaris": "Amphiprion", "Amphiprion": "Pomacentridae", "Pomacentridae": null}',
    "list.json": '[{"name": "Amphiprion ocellaris", "parent": "Amphiprion"}, '
    '{"name": "Amphiprion", "parent": "Pomacentridae"}, {"name": "Pomacentridae"}]',
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_tree(tmp_path, name):
    """CSV with any order of columns, TSV, and both forms of JSON."""
    (tmp_path / name).write_text(FORMS[name], "utf-8")
    assert hierarchy.read(tmp_path / name) == TREE


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("two.csv", "name,parent\na,g\na,h\ng,\nh,\n", HierarchyError),
        ("columns.csv", "species,genus\na,g\n", ParameterError),
        ("empty.csv", "name,parent\n", ParameterError),
        ("text.json", '"a"', ParameterError),
        ("number.json", '{"a": 3}', ParameterError),
        ("more.json", '[{"name": "a", "rank": "genus"}]', ParameterError),
        ("quote.csv", 'name,parent\n"a,b', ParameterError),
        ("blank.csv", "name,parent\n ,g\ng,\n", ParameterError),
    ],
)
def test_what_is_no_hierarchy_is_refused_by_name(tmp_path, name, text, error):
    """The error names the file."""
    (tmp_path / name).write_text(text)
    with pytest.raises(error) as caught:
        hierarchy.read(tmp_path / name)
    assert name in caught.value.where


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,g\nb,g\nc,g\ng,a\n", "loop"),
        ("a,g\nb,g\nc,h\ng,\n", "'h'"),
        ("a,g\nd,g\ng,\n", "'d'"),
        ("a,g\na,h\ng,\nh,\n", "two parents"),
    ],
)
def test_a_tree_that_is_none_is_refused_at_export(tmp_path, capsys, text, said):
    """A loop, a parent that is unknown, a name that is no class, two parents: nothing is written."""
    source = saved(tmp_path / "net.onnx", classifier())
    (tmp_path / "tree.csv").write_text("name,parent\n" + text)
    words = [
        "--task",
        "classify",
        "--stretch",
        "32",
        "32",
        "--range",
        "0",
        "1",
        "--class",
        "a",
        "--class",
        "b",
        "--class",
        "c",
    ]
    given = ["--onnx", str(source), *words, "--hierarchy", str(tmp_path / "tree.csv")]
    assert main([*given, "--save-path", str(tmp_path / "made.tgz")]) == 3
    text = capsys.readouterr().err
    assert said in text
    assert "E_MODEL_HIERARCHY" in text
    assert not (tmp_path / "made.tgz").exists()
