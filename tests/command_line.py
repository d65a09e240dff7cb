"""The command line within this process, and options that make a run of seconds."""

from jensen import cli

QUICK = [
    "--epochs",
    "3",
    "--hidden",
    "16",
    "--latent-dim",
    "3",
    "--set",
    "account.num_samples=50",
    "--set",
    "account.num_draws=3",
]


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.run(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err
