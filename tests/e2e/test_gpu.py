import json

import pytest
import torch

from sermm.cli.main import main


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("model", ["late_fusion", "single_gate", "lookup"])
def test_one_gpu_trains_in_bf16_by_itself(train_words, tmp_path, model):
    assert main([*train_words, "trainer.accelerator=auto", f"model={model}"]) == 0
    (path,) = (tmp_path / "runs/default").glob("*/result.json")
    assert json.loads(path.read_text())["metrics"]["test/ua"] > 0
