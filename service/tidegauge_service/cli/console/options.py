"""Commands that take options alone, and say so where a value stands without one."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from tidegauge_service.errors import SettingsError


class OptionsOnly(TyperCommand):
    """A command without arguments: a value that is given all the same has lost its option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options; SettingsError names them for a value that belongs to none."""
        ctx.allow_extra_args = True
        left = super().parse_args(ctx, args)
        if left:
            named = ", ".join(
                f"{parameter.opts[0]} {left[0]}"
                for parameter in self.params
                if parameter.param_type_name == "option"
                and not getattr(parameter, "is_flag", False)
            )
            msg = f"'{left[0]}' stands without an option. Which do you mean: {named}?"
            raise SettingsError(msg)
        return left
