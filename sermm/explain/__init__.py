"""Floor 7: what a trained run looked at in one utterance, as numbers, pictures and a page.

    subject (batch, sound, text) -> explanation (attention, gates) -> record, pictures, page

Everything starts from a finished run, which `sermm.engine.assembly.restore` makes ready. Nothing is
trained and nothing of the run is changed. What is written holds the voice and the words of a
person, and lies in one folder.
"""
