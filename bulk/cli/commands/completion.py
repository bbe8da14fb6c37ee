"""`bulk completion`: print the script that lets a shell complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from bulk.exits import ExitCode

__all__ = ["completion"]

_VARIABLE = "_BULK_COMPLETE"
"""Variable in which a shell passes its request to click; click derives the name from the program's."""


@click.command(
    epilog="""
    \b
    Permanently:
      bash  bulk completion bash > ~/.local/share/bash-completion/completions/bulk
      zsh   bulk completion zsh > ~/.zfunc/_bulk      with ~/.zfunc in fpath
      fish  bulk completion fish > ~/.config/fish/completions/bulk.fish
    """
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> int:
    """Print the script that lets SHELL complete commands, options, outcomes and profiles.

    For this shell only: eval "$(bulk completion bash)"
    """
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"this version of click has no completion for {shell}")
    click.echo(script(ctx.find_root().command, {}, "bulk", _VARIABLE).source())
    return ExitCode.DONE
