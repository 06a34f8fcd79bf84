"""W&B and TensorBoard: views of the run folder."""
