"""Pre-trained encoders in Hugging Face's files."""
