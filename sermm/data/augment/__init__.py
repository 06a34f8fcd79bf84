"""What varies audio and words in training, by seed, epoch and utterance."""
