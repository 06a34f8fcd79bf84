"""The kinds of Hugging Face speech models, and what each does over ragged batches."""
