"""Remedies: flags on the command line, arguments in Python."""

import jax
import numpy as np
import pytest

import jensen
from command_line import call
from jensen._words import flags_spoken, in_python, in_python_words


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("Use --prior vamp, or --num-samples 8.", 'Use prior="vamp", or num_samples=8.'),
        (
            "try a smaller --learning-rate or a longer --warm-up.",
            "try a smaller learning_rate or a longer warm_up.",
        ),
        (
            "a longer --warm-up, or --beta-schedule linear.",
            'a longer warm_up, or beta_schedule="linear".',
        ),
        ("use --set encoder.name=diagonal_normal.", 'use encoder="diagonal_normal".'),
        (
            "more: --set prior.num_components=1000; or --set prior.learn_weights=true",
            (
                'more: prior={"name": ..., "num_components": 1000}; or '
                'prior={"name": ..., "learn_weights": True}'
            ),
        ),
        ("(--set training.account_rows=250) serve", "(account_rows=250) serve"),
        (
            "threshold them (--set data.binarise=threshold).",
            'threshold them (load_dataset(..., binarise="threshold")).',
        ),
        (
            (
                "Replace it with --overwrite, go on with it with --resume runs/a, or write "
                "elsewhere with --out runs/a-2."
            ),
            (
                "Replace it with overwrite=True, go on with it with "
                "jensen.sessions.resume_run(jensen.load('runs/a')), or write elsewhere with "
                "out='runs/a-2'."
            ),
        ),
        ("choose one with --likelihood NAME.", "choose one with likelihood=NAME."),
        ("Go on with: jensen fit --resume runs/a", "Go on with: jensen fit --resume runs/a"),
        ("epochs must be at least 1; got 0.", "epochs must be at least 1; got 0."),
    ],
)
def test_flags_become_arguments(text, python):
    assert in_python(text) == python


def test_only_python_reads_python(capsys, tmp_path):
    @in_python_words
    def refuse():
        raise ValueError("Use --prior vamp.")

    with pytest.raises(ValueError, match=r"^Use prior=\"vamp\"\.$"):
        refuse()
    with flags_spoken(), pytest.raises(ValueError, match=r"^Use --prior vamp\.$"):
        refuse()
    with pytest.raises(ValueError, match=r"^Use prior="):
        refuse()
    parts = {"encoder": "bernoulli", "key": jax.random.key(0)}
    with pytest.raises(ValueError, match=r'Use prior="bernoulli" or encoder="diagonal_normal"'):
        jensen.vae((3,), latent_dim=2, **parts)
    np.save(tmp_path / "x.npy", np.eye(3, dtype=np.uint8).repeat(20, axis=0))
    where = ("--out", str(tmp_path / "run"), "--set", "encoder.name=bernoulli")
    code, _, err = call(capsys, "fit", str(tmp_path / "x.npy"), "--latent-dim", "2", *where)
    assert code == 2
    assert "Use --prior bernoulli or --set encoder.name=diagonal_normal" in " ".join(err.split())
