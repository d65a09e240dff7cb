"""The documents' examples run, and the commands they name exist."""

import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python_blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    for block in python_blocks("README.md"):
        exec(
            block.replace("epochs=30", "epochs=2").replace(
                'prior="vamp"', 'prior={"name": "vamp", "num_components": 10}'
            ),
            scope,
        )
    assert scope["run"].config["training"]["epochs"] == 2
    assert scope["run"].config["prior"]["num_components"] == 10
    assert f"{scope['acc'].elbo.value:.3f}" in capsys.readouterr().out


def test_contributings_prior_runs(tmp_path, monkeypatch):
    import jax
    import numpy as np

    import jensen

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(python_blocks("CONTRIBUTING.md")[0])
    model = jensen.vae(
        (4,), latent_dim=2, prior={"name": "./mine.py", "scale": 3.0}, key=jax.random.key(0)
    )
    assert float(model.prior(model.encoder).log_prob(np.zeros(2))) == pytest.approx(
        -np.log(2 * np.pi * 9), abs=1e-5
    )


def test_the_examples_of_foreign_models_run(capsys):
    scope: dict = {}
    plain, needs_torch = python_blocks("docs/foreign.md")
    exec(plain, scope)
    assert "= ELBO" in capsys.readouterr().out
    pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`)")
    exec(needs_torch, scope)
    assert "= ELBO" in capsys.readouterr().out


def test_the_example_of_expectation_propagation_runs(capsys):
    scope: dict = {}
    for block in python_blocks("docs/expectation_propagation.md"):
        exec(block, scope)
    assert scope["result"].log_evidence == pytest.approx(-6.010644, abs=1e-6)
    assert "converged" in capsys.readouterr().out


def test_the_examples_of_variational_inference_run(capsys):
    scope: dict = {}
    for block in python_blocks("docs/variational.md"):
        if not block.startswith("# needs"):
            exec(block, scope)
    said = capsys.readouterr().out
    assert "tau" in said and scope["fit"].verdicts[0].startswith(("Doubtful", "Untrusted"))
    assert float(said.splitlines()[-1]) == pytest.approx(-31.3113, abs=0.5)


def test_the_example_of_pymc_runs(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ's news, once a day
        pytest.importorskip("pymc", reason="PyMC is not installed (extra `pymc`)")
    first, *others = python_blocks("docs/variational.md")
    scope: dict = {}
    exec(first, scope)
    exec(next(block for block in others if block.startswith("# needs pymc")), scope)
    assert capsys.readouterr().out.endswith("(10000, 8)\n")


def test_documents_link_to_files_that_exist():
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    ):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
            assert (ROOT / name).parent.joinpath(target).exists(), target


def test_the_example_of_data_runs():
    for block in python_blocks("docs/data.md"):
        exec(block, {})


def test_the_example_of_models_runs(capsys):
    scope: dict = {}
    for block in python_blocks("docs/models.md"):
        exec(block, scope)
    assert scope["model"].prior.raw.shape == (20, 8, 8)
    assert "FullNormal" in capsys.readouterr().out
