"""`interlock completion`: what a shell needs to complete our commands."""

import sys

import click

_VARIABLE = "_INTERLOCK_COMPLETE"
_HOW = {
    "bash": "interlock completion bash >~/.local/share/bash-completion/completions/interlock",
    "zsh": 'interlock completion zsh >"${fpath[1]}/_interlock"',
    "fish": "interlock completion fish >~/.config/fish/completions/interlock.fish",
}


@click.command(epilog='Example: eval "$(interlock completion bash)"')
@click.argument("shell", type=click.Choice(list(_HOW)))
def command(shell: str) -> None:
    """Print the completion script of a shell."""
    from click import shell_completion  # noqa: PLC0415 - only completion pays for it

    kinds: dict[str, type[shell_completion.ShellComplete]] = {
        "bash": shell_completion.BashComplete,
        "zsh": shell_completion.ZshComplete,
        "fish": shell_completion.FishComplete,
    }
    root = click.get_current_context().find_root().command
    try:
        click.echo(kinds[shell](root, {}, "interlock", _VARIABLE).source())
    except (OSError, RuntimeError) as error:
        raise click.ClickException(f"{shell} cannot be asked for its version: {error}") from error
    if sys.stdout.isatty():
        click.echo(f"interlock: to keep it: {_HOW[shell]}", err=True)
