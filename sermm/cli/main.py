"""The `sermm` command: finds the verb, runs it, and turns errors into exit statuses.

Exit status: 0 done, 1 failed, 2 wrong use or input, 130 interrupted.
"""

import importlib
import os
import sys
from collections.abc import Sequence

VERBS = {
    "data": "show a corpus under a protocol: counts, folds, leaks, problems",
    "extract": "store the hidden states of frozen encoders, once for all runs",
    "features": "list, verify and prune what is stored",
    "align": "times of phones, syllables and words",
    "transcribe": "transcripts by machine, and their word error rate",
    "train": "train one system on one fold, or sweep models x folds x seeds with -m",
    "submit": "hand the runs of a sweep to Slurm, and return at once",
    "status": "what became of every run of a study: waiting, running, done, failed and why",
    "retry": "submit to Slurm what is missing of a study",
    "forget": "remove runs that are not wanted any more",
    "combine": "average the logits of finished systems, without retraining",
    "evaluate": "score a trained run on another fold, split or corpus",
    "predict": "label wav files with a trained run",
    "explain": "show what a trained run looked at in one utterance",
    "report": "tables, figures and a page from the runs of a study",
    "dashboard": "a W&B workspace and report of a study, or what they would show",
    "demo": "the whole way on a synthetic corpus: sweep and report",
    "bench": "measure speed against the bare operations underneath",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"-h", "--help", "help"}:
        print(usage())
        return 0 if words else 2
    verb, rest = words[0], words[1:]
    if verb == "--version":
        from importlib.metadata import version

        print(version("sermm"))
        return 0
    if verb not in VERBS:
        print(f"sermm: no verb {verb!r}; there are {', '.join(VERBS)}", file=sys.stderr)
        return 2
    # A variable that is set to nothing is one that is not set: "" would be the current folder.
    for name in [n for n, value in os.environ.items() if n.startswith("SERMM_") and not value]:
        del os.environ[name]
    try:
        module = importlib.import_module(f"sermm.cli.{verb}")
        if {"-h", "--help"} & set(rest):
            print((module.__doc__ or "").strip(), flush=True)
            return 0
        return int(module.run(rest))
    except (Exception, KeyboardInterrupt) as error:
        from sermm.core.failures import said

        return said(verb, error)


def usage() -> str:
    """The overview that `sermm --help` prints."""
    verbs = "\n".join(f"  {name:<11} {says}" for name, says in VERBS.items())
    return (
        "sermm VERB [key=value ...]: multimodal (speech + text) emotion recognition\n\n"
        f"{verbs}\n\n"
        "Example: sermm train data=iemocap data.root=/corpora/IEMOCAP_full_release fold=1\n"
        "`sermm VERB --help` says more."
    )


if __name__ == "__main__":
    sys.exit(main())
