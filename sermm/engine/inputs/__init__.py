"""What a run is fed: corpus, texts, units and batches.

`corpus` reads what the configuration names and hears every utterance once. `texts` gives what text
encoders read, a human's transcripts or a machine's; `transcribe` and `recognition` make the latter.
`units` finds where phones, syllables and words lie, by the sources of `unit_sources`. `work` holds
what one task works on, and `batches` turns it into the parts that a batch has.
"""
