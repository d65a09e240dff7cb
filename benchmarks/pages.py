"""What a run's page costs: seconds to write it and its size, for images of noise.

100 data, 500 epochs of history, an untrained model: the figures cost the same as of a trained one.
"""

import tempfile
import time
from pathlib import Path

import jax.random as jr
import numpy as np

import jensen
from jensen.reports import ReportInputs, write_report

ROWS, EPOCHS = 100, 500


def main() -> list[str]:
    return [page_of(event_shape) for event_shape in ((32, 32, 3), (784,))]


def page_of(event_shape: tuple[int, ...]) -> str:
    x = np.random.default_rng(0).normal(size=(2 * ROWS, *event_shape)).astype(np.float32)
    data = jensen.Dataset("noise", x[:ROWS], x[:0], x[ROWS:])
    model = jensen.vae(event_shape, latent_dim=8, likelihood="normal", data=data, key=jr.key(0))
    terms = {"bound": -90.0, "reconstruction": -80.0, "average_kl": 10.0}
    inputs = ReportInputs(
        title="noise",
        model=model,
        dataset=data,
        accounts={"test": jensen.account(model, data.test, key=jr.key(1), num_samples=20)},
        history=[
            {"epoch": e, "beta": 1.0, "train": terms, "validation": None, "best_epoch": e}
            | {"seconds": 0.1}
            for e in range(1, EPOCHS + 1)
        ],
        outcome="",
        warnings=(),
        config={},
        version=jensen.__version__,
        seed=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for _ in range(2):
            began = time.process_time()
            page = write_report(inputs, Path(folder))
            seconds.append(time.process_time() - began)
        size = page.stat().st_size
    return (
        f"{'x'.join(map(str, event_shape))}: {seconds[0]:.1f} s of CPU with compilation, then "
        f"{seconds[1]:.1f} s; {size / 1e6:.2f} MB (aim: 20 s, 3 MB or less)"
    )


if __name__ == "__main__":
    print("\n".join(main()))
