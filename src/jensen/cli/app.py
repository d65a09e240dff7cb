"""The commands, gathered."""

from typing import Annotated

import typer

import jensen

app = typer.Typer(
    name="jensen",
    help="Train latent-variable models and account for every nat of their evidence lower bound.",
    epilog="Start with: jensen fit digits. Add --debug to any command for the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> bool:
    if value:
        print(jensen.__version__)
        raise typer.Exit
    return value


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


from jensen.cli import (  # noqa: E402
    account,
    bounds,
    compare,
    datasets,
    encode,
    evidence,
    fit,
    gradients,
    report,
    reproduce,
    sample,
)

for _module in (
    fit,
    account,
    evidence,
    bounds,
    gradients,
    compare,
    sample,
    encode,
    report,
    reproduce,
    datasets,
):
    _module.register(app)
