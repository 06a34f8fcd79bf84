import numpy as np
import pytest
import soundfile

from sermm.configuration.verbs import RunConfig
from sermm.core.errors import InputError
from sermm.engine.inputs.corpus import load
from sermm.engine.placing import corpus_and_fold, refuse_without_words


@pytest.fixture
def config_of(tmp_path):
    """The configuration of a run over twelve clips with these texts."""
    noise = np.random.Generator(np.random.PCG64(0)).normal(0, 0.1, (12, 1600))
    for n, clip in enumerate(noise):
        soundfile.write(tmp_path / f"{n}.wav", clip, 16_000)

    def configured(texts, *words):
        rows = [
            f"{n}.wav,{('ang', 'hap')[n % 2]},t{n // 2},{text}\n" for n, text in enumerate(texts)
        ]
        table = tmp_path / "clips.csv"
        table.write_text("path,label,speaker,text\n" + "".join(rows), encoding="utf-8")
        return RunConfig.of(
            [
                "data=manifest",
                f"data.manifest={table}",
                f"data.name=of_{len(set(texts))}_texts",
                "protocol=groups5",
                "protocol.classes=[ang,hap]",
                "~protocol.labels.neu",
                "~protocol.labels.sad",
                f"cache_dir={tmp_path / 'cache'}",
                "encoder/speech=mfcc",
                "encoder/text=tiny",
                *words,
            ]
        )

    return configured


@pytest.mark.parametrize("texts", [[""] * 12, ["[LAUGHTER]"] * 12])
def test_a_corpus_without_a_word(config_of, texts):
    config = config_of(texts, "model=late_fusion")
    loaded = load(config)
    (problem,) = loaded.reading.problems
    assert (problem.kind, problem.kept) == ("no_text", True)
    assert problem.what.startswith("none of 12 utterances has a transcript")
    for model in ("late_fusion", "lookup"):
        asked = config.changed({"model": config_of(texts, f"model={model}").plain["model"]})
        with pytest.raises(
            InputError, match=rf"none of the 12 .* {model} reads texts.*allow_empty"
        ):
            corpus_and_fold(asked)
    refuse_without_words(config.changed({"text.allow_empty": True}), loaded)
    for model in ("speech_only", "majority"):
        refuse_without_words(config_of(texts, f"model={model}"), loaded)


def test_some_transcripts_that_are_missing_are_counted(config_of):
    loaded, _ = corpus_and_fold(config_of(["well", "", "NaN", *["so"] * 9], "model=lookup"))
    assert [(p.where, p.kind, p.kept) for p in loaded.reading.problems] == [
        ("1", "missing_text", True),
        ("2", "missing_text", True),
    ]
    assert "2 of 12 utterances have none" in loaded.reading.problems[0].what
    assert loaded.reading.rows == 12
