"""What a run is fed: corpus, texts, units and batches."""
