"""The questions put to every system over streams: which streams does it learn from?

A cue is planted in one stream only; the others are noise. A system that has this stream must learn
the cue and carry it over to other utterances; one from which it is withheld must stay at chance.
"""

import pytest
import torch
from torch.nn.functional import cross_entropy

from sermm.configuration.compose import compose, conf_dir
from sermm.configuration.verbs import RunConfig
from sermm.core.batch import Batch
from sermm.core.ragged import Ragged
from sermm.engine.assembly.build import build
from sermm.models.base import CountingSystem

ALL = ("text", "frame", "phone", "syllable", "word")
LAYERS, D, K, LENGTH = 3, 8, 2, 4
# What turns the variants of a system on.
VARIANTS = {
    "late_fusion": [[], ["model.system.joint=false"]],
    "concatenation": [["model.system.axis=sequence"], ["model.system.axis=feature"]],
    "coattention": [["model.system.depth=1"]],
    "transformer_encoder": [["model.system.branch.depth=1"]],
}


def composed(model, *more):
    # Words that name units keep the encoders from being needed: all streams come stored.
    words = [f"model={model}", "encoder/speech=tiny", "encoder/text=tiny", "features=cached"]
    return compose("train", [*words, *more])


def stream_models():
    names = sorted(p.stem for p in (conf_dir() / "model").glob("*.yaml") if p.stem[0] != "_")
    found = [name for name in names if "available" in composed(name).model]
    # These two are `linear` under other names, with their streams fixed.
    assert {"speech_only", "text_only", "linear", "late_fusion", "coattention"} <= set(found)
    return [name for name in found if name not in ("speech_only", "text_only")]


def system(model, streams, more):
    config = RunConfig.from_hydra(composed(model, f"model.streams=[{','.join(streams)}]", *more))
    stored = {f"streams.{name}": (LAYERS, D) for name in streams}
    return build(config, K, None, [], stored)


def planted(cue, seed, n=16):
    """Noise in all streams, and in one of them the class: every position a little off."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % K
    cached = {}
    for name in ALL:
        noise = torch.randn(LENGTH * n, LAYERS, D, generator=generator)
        shift = 1.5 * (2.0 * label - 1).repeat_interleave(LENGTH)[:, None]
        noise[:, :, 0] += shift * (name == cue)
        cached[f"streams.{name}"] = Ragged(noise, torch.full((n,), LENGTH))
    return Batch(tuple(str(i) for i in range(n)), cached=cached, label=label)


def share_right_after_training(model, cue):
    (count if isinstance(model, CountingSystem) else train_by_gradient)(model, cue)
    test = planted(cue, seed=1000, n=200)
    with torch.no_grad():
        return (model.eval()(test).logits.argmax(-1) == test.label).float().mean().item()


def count(model, cue):
    for step in range(30):
        model.observe(planted(cue, seed=step))
    model.conclude()


def train_by_gradient(model, cue):
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(30):
        train = planted(cue, seed=step)
        output = model(train)
        parts = output.logits[None] if output.apart is None else output.apart
        optimiser.zero_grad()
        sum(cross_entropy(logits, train.label) for logits in parts).backward()
        optimiser.step()


CASES = [
    (model, more, cue)
    for model in stream_models()
    for more in VARIANTS.get(model, [[]])
    for cue in ALL
]


@pytest.mark.parametrize(("model", "more", "cue"), CASES)
def test_learns_the_cue_of_one_stream_unless_it_is_withheld(model, more, cue):
    one_stream = len(composed(model).model.streams) == 1
    with_it = [cue] if one_stream else list(dict.fromkeys(["text", cue, "frame"]))
    assert share_right_after_training(system(model, with_it, more), cue) > 0.9
    # Co-attention cannot be without text.
    if model == "coattention" and cue == "text":
        return
    others = [name for name in ("text", "frame", "phone") if name != cue]
    without = others[:1] if one_stream else others
    assert share_right_after_training(system(model, without, more), cue) < 0.65
