"""Run folders by strangers: what they name is neither looked up nor executed."""

from itertools import pairwise

import pytest

from sermm.configuration import component
from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.assembly.restore import restore
from sermm.engine.assembly.trust import refuse_untrusted, trusted_packages

DEMO = ["data=demo", "encoder/speech=tiny", "encoder/text=tiny"]
# Each would write the file that {mark} names, or read what is none of its business.
HOSTILE = {
    "a function of torch that runs a command": (
        "model.system",
        {"_target_": "torch.utils.collect_env.run", "command": "touch {mark}"},
    ),
    "a process": (
        "data",
        {"_target_": "subprocess.Popen", "args": ["touch", "{mark}"], "name": "x"},
    ),
    "a shell": ("logger", {"_target_": "os.system", "command": "touch {mark}"}),
    "sympy, which evaluates": (
        "encoder",
        {"speech": {"_target_": "sympy.sympify", "a": "__import__('os').mkdir('{mark}')"}},
    ),
    "an optimiser that is none": (
        "model.learning.optimizer",
        {"_target_": "builtins.exec", "object": "open('{mark}', 'w')"},
    ),
    "weights that execute": ("texts", {"_target_": "torch.load", "f": "x", "weights_only": False}),
    "arrays that execute": ("texts", {"_target_": "numpy.load", "allow_pickle": True}),
    "joblib": ("texts", {"_target_": "joblib.load", "filename": "x"}),
    "a fold rule deep inside": (
        "protocol.fold_rule",
        {"_target_": "shutil.copy", "src": "/etc/passwd", "dst": "{mark}"},
    ),
    "in a list": ("texts", {"deep": [[{"_target_": "os.mkdir", "path": "{mark}"}]]}),
    "a function of ours": ("logger", {"_target_": "sermm.cli.main.main", "arguments": ["demo"]}),
    "another package's class by our path": (
        "data",
        {"_target_": "sermm.protocols.folds.dataclass", "name": "x"},
    ),
    "a process of ours": ("texts", {"_target_": "sermm.demo.speech.Synthesiser"}),
    "a class of torch that is no optimiser": ("texts", {"_target_": "torch.optim.swa_utils.copy"}),
    "an argument of Hydra's": ("model.system._args_", ["{mark}"]),
    "an interpolation": ("model.system.dropout", "${oc.env:HOME}"),
}


@pytest.fixture
def stranger(a_run, tmp_path):
    """Writes a finished run whose configuration has something else at a key."""

    def wrote(key, value):
        folder = a_run(tmp_path / "study", "late_fusion", [[2, 0], [0, 2]])
        config = RunConfig.of(DEMO).changed({key: value})
        (folder / "config.yaml").write_text(config.as_yaml())
        return folder

    return wrote


def filled(value, mark):
    if isinstance(value, dict):
        return {key: filled(one, mark) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, mark) for one in value]
    return value.replace("{mark}", mark) if isinstance(value, str) else value


@pytest.mark.parametrize("attack", HOSTILE)
def test_nothing_that_a_stranger_names_is_made(attack, stranger, tmp_path, monkeypatch):
    key, value = HOSTILE[attack]
    mark = tmp_path / "executed"
    folder = stranger(key, filled(value, str(mark)))
    looked_up = []
    monkeypatch.setattr(component, "resolve_name", lambda name: looked_up.append(name) or object)
    with pytest.raises(InputError, match=r"names|Hydra's own|interpolation"):
        restore(folder)
    assert not mark.exists()
    assert all(name.startswith("sermm.") for name in looked_up)


def test_own_code_is_made_if_it_is_trusted(monkeypatch):
    config = RunConfig.of(DEMO).changed({"model.system._target_": "mylab.models.Mine"})
    with pytest.raises(InputError, match=r"model.system._target_ names mylab.*trust=mylab"):
        refuse_untrusted(config, trusted_packages(None))
    refuse_untrusted(config, trusted_packages("other,mylab"))
    monkeypatch.setenv("SERMM_TRUST", "mylab")
    refuse_untrusted(config, trusted_packages(None))
    monkeypatch.setenv("SERMM_TRUST", "my")
    with pytest.raises(InputError, match="mylab"):
        refuse_untrusted(config, trusted_packages(None))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["model=cmgi"],
        ["model=deberta_bilstm", "remedies=li2025"],
        ["experiment=zhao2022/table1_smoke", "model.streams=[phone]"],
        ["logger=wandb", "model=lookup"],
        ["data=emodb", "protocol=script_disjoint4", "augment=speech"],
        ["encoder/speech=demo", "encoder/text=demo", "experiment=li2025/table2_smoke"],
    ],
)
def test_what_runs_are_made_of_passes(words):
    refuse_untrusted(RunConfig.of([*DEMO, *words]), ())


def test_aliases_upon_aliases_end_in_an_error(stranger):
    folder = stranger("texts", None)
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghijkl"
    for one, other in pairwise(names):
        lines.append(f"{other}: &{other} [{', '.join([f'*{one}'] * 9)}]")
    (folder / "config.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"config\.yaml holds YAML aliases"):
        restore(folder)


@pytest.mark.parametrize("text", ["{", "a: [" * 3000, "- 1\n", "\x00"])
def test_a_damaged_configuration_is_named(stranger, text):
    folder = stranger("texts", None)
    (folder / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"damaged|mapping"):
        restore(folder)
