import json
import shutil

import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModelForCTC, Wav2Vec2CTCTokenizer

from sermm.core.errors import InputError
from sermm.core.ragged import Ragged
from sermm.recognisers.ctc import CTCModel, collapse


def noise(*lengths):
    rng = torch.Generator().manual_seed(0)
    return Ragged.pack([torch.randn(n, generator=rng) * torch.linspace(0, 0.3, n) for n in lengths])


def test_collapse_merges_repeats_before_it_drops_blanks():
    assert collapse(torch.tensor([0, 7, 7, 0, 7, 5, 5, 0, 0, 7]), blank=0) == [7, 7, 5, 7]
    assert collapse(torch.tensor([3, 3]), blank=3) == []
    assert collapse(torch.empty(0, dtype=torch.int64), blank=0) == []


def test_text_of_a_path_by_hand(ctc_folder, vocabulary):
    index = {token: i for i, token in enumerate(vocabulary)}
    path = [*"|HHE", "<pad>", *"LL", "<pad>", *"LO||", "<s>", "<unk>", *"I'M|", "</s>"]
    ids = torch.tensor([index[token] for token in path])
    assert CTCModel(str(ctc_folder)).text(ids) == "HELLO I'M"


def test_what_a_model_says_of_itself(ctc_folder, vocabulary):
    model = CTCModel(str(ctc_folder))
    assert model.vocabulary == {token: i for i, token in enumerate(vocabulary)}
    assert (model.blank, model.delimiter, model.frame_s, model.shortest) == (0, "|", 0.02, 400)
    assert model.characters == frozenset("abcdefghijklmnopqrstuvwxyz' ")
    assert model.identity["weights"].startswith("folder:")
    json.dumps(model.identity)


def test_log_probs_are_hugging_faces_for_a_clip_alone(any_ctc_folder):
    waveform = noise(9000)
    ours = CTCModel(str(any_ctc_folder)).log_probs(waveform).values
    extractor = AutoFeatureExtractor.from_pretrained(any_ctc_folder)
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(any_ctc_folder)
    model = AutoModelForCTC.from_pretrained(any_ctc_folder, attn_implementation="eager").eval()
    inputs = extractor(waveform.values.numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        theirs = model(inputs.input_values).logits[0]
    torch.testing.assert_close(ours, theirs.log_softmax(-1), atol=2e-4, rtol=1e-4)
    decoded = tokenizer.decode(theirs.argmax(-1), skip_special_tokens=True)
    text = CTCModel(str(any_ctc_folder)).transcribe(waveform)[0]
    assert text == " ".join(decoded.split())
    assert len(text) > 3


def test_an_utterance_is_the_same_in_any_batch(any_ctc_folder):
    model = CTCModel(str(any_ctc_folder))
    together = noise(40000, 1000, 9000, 0, 200)
    rows = model.log_probs(together).split()
    # SEW hears two frames at least.
    least = 2 if "sew" in any_ctc_folder.name else 1
    assert [len(row) for row in rows] == [124, 2, 27, least, least]
    for clip, row in zip(together.split(), rows, strict=True):
        alone = model.log_probs(Ragged.pack([clip])).values
        torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)
    alone = [model.transcribe(Ragged.pack([clip]))[0] for clip in together.split()]
    assert model.transcribe(together) == alone


def test_less_than_a_frame_is_the_empty_text(ctc_folder):
    texts = CTCModel(str(ctc_folder)).transcribe(noise(0, 399, 16000))
    assert texts[:2] == ["", ""]
    assert texts[2]


def without(folder, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / name).unlink()
    return str(copy)


@pytest.mark.parametrize("name", ["vocab.json", "config.json", "preprocessor_config.json"])
def test_an_incomplete_folder_is_refused_at_once(ctc_folder, tmp_path, name):
    with pytest.raises(InputError, match=rf"recogniser\.id=.*the folder has no {name}"):
        CTCModel(without(ctc_folder, tmp_path, name))


def test_no_such_folder():
    with pytest.raises(InputError, match=r"align\.ctc\.id=/no/such: there is no such folder"):
        CTCModel("/no/such", key="align.ctc")


def test_an_encoder_without_a_head_is_refused(ctc_folder, tmp_path):
    shutil.copytree(ctc_folder, tmp_path / "bare")
    AutoModelForCTC.from_pretrained(ctc_folder).base_model.save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match="no CTC head"):
        CTCModel(str(tmp_path / "bare")).log_probs(noise(1000))


def test_a_vocabulary_beyond_the_head_is_refused(ctc_folder, vocabulary, tmp_path):
    shutil.copytree(ctc_folder, tmp_path / "more")
    tokens = {token: i for i, token in enumerate([*vocabulary, "Ä"])}
    (tmp_path / "more" / "vocab.json").write_text(json.dumps(tokens), encoding="utf-8")
    with pytest.raises(InputError, match=r"tokens up to 32, the CTC head 32 outputs"):
        _ = CTCModel(str(tmp_path / "more")).vocabulary


def test_identity_changes_with_the_files(ctc_folder, tmp_path):
    shutil.copytree(ctc_folder, tmp_path / "same")
    same = CTCModel(str(tmp_path / "same"))
    assert same.identity == CTCModel(str(ctc_folder)).identity
    assert same.name == "same"
    config = tmp_path / "same" / "config.json"
    config.write_text(config.read_text() + "\n")
    assert CTCModel(str(tmp_path / "same")).identity != CTCModel(str(ctc_folder)).identity


def test_a_processor_of_one_file_will_do(ctc_folder, tmp_path):
    shutil.copytree(ctc_folder, tmp_path / "one")
    extractor = json.loads((tmp_path / "one" / "preprocessor_config.json").read_text())
    (tmp_path / "one" / "preprocessor_config.json").unlink()
    content = json.dumps({"feature_extractor": extractor, "processor_class": "Wav2Vec2Processor"})
    (tmp_path / "one" / "processor_config.json").write_text(content)
    waveform = noise(9000)
    ours = CTCModel(str(tmp_path / "one")).log_probs(waveform).values
    assert torch.equal(ours, CTCModel(str(ctc_folder)).log_probs(waveform).values)


def test_weights_that_are_missing_are_refused(ctc_folder, tmp_path):
    shutil.copytree(ctc_folder, tmp_path / "more_layers")
    config = json.loads((tmp_path / "more_layers" / "config.json").read_text())
    config["num_hidden_layers"] = 3
    (tmp_path / "more_layers" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"lacks \d+ weights of its own configuration"):
        CTCModel(str(tmp_path / "more_layers")).load()


def test_a_family_without_a_waveform_front_end_is_refused(ctc_folder, tmp_path):
    folder = shutil.copytree(ctc_folder, tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "wav2vec2-bert"}))
    with pytest.raises(InputError, match=r"'wav2vec2-bert' model, .* wav2vec2, .*conformer"):
        CTCModel(str(folder)).load()
