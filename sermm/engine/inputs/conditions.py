"""What a condition of `sermm evaluate` does to what is heard and read."""

from collections.abc import Sequence

from sermm.configuration.conditions import ASR, BABBLE, BAND, NOISE, Condition
from sermm.configuration.verbs import CorpusConfig
from sermm.core.records import Utterance
from sermm.data.augment.augment import Augment
from sermm.data.augment.conditions import Babble, Band
from sermm.data.augment.kinds import Variation
from sermm.data.augment.noise import Noise
from sermm.engine.inputs.texts import read_transcripts


def heard_under(condition: Condition, utterances: Sequence[Utterance], seed: int) -> Augment | None:
    """What varies the audio of every batch; None where it is heard as it is.

    Noise of an utterance follows from the seed and its id, and is the same at every SNR.

    Args:
        condition: that is asked for.
        utterances: of the part, of whose voices babble is made.
        seed: of the run.
    """
    if condition.value is None:
        return None
    value = condition.value
    made: dict[str, Variation] = {
        NOISE: Noise(1.0, (value, value)),
        BABBLE: Babble(1.0, (value, value), clips=tuple(utterances)),
        BAND: Band(1.0, value),
    }
    name = f"condition {condition.kind}"
    return Augment({name: made[condition.kind]}, seed, {name: {"value": value}})


def refuse_no_transcripts(conditions: Sequence[Condition], config: CorpusConfig) -> None:
    """Refuses recognisers that nobody has run, before anything is predicted.

    Args:
        conditions: that are asked for.
        config: says where transcripts lie.

    Raises:
        InputError: there are none of one of them; says of which there are some.
    """
    for one in conditions:
        if one.kind == ASR and one.recogniser is not None:
            read_transcripts(config.cache_dir, one.recogniser, "condition")
