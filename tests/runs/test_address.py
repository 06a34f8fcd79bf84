from sermm.runs.address import ADDRESS, address, write_address


def test_a_run_says_where_it_is_shown_wherever_it_lies(tmp_path):
    folder = tmp_path / "a study" / "key"
    assert address(folder) is None
    write_address(folder, "https://wandb.ai/me/p/runs/key", folder / "wandb/run-1-key")
    assert address(folder) == "https://wandb.ai/me/p/runs/key"
    write_address(folder, None, folder / "wandb/offline-run-1-key")
    moved = folder.rename(tmp_path / "elsewhere")
    assert address(moved) == f"wandb sync {moved}/wandb/offline-run-1-key"
    moved = moved.rename(tmp_path / "with space")
    assert address(moved) == f"wandb sync '{moved}/wandb/offline-run-1-key'"
    for text in ("", "[]", "{}"):
        (moved / ADDRESS).write_text(text)
        assert address(moved) is None
