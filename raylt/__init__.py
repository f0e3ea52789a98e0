"""raylt: search and scale long-tailed contrastive learning.

The names for notebooks are `load_space`, `tune`, `open_study`, `Study` and `InputError`, which
tells a mistake in one line; they are imported when they are first used, so that `import raylt`
takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylt._version import __version__

if TYPE_CHECKING:
    from raylt.schema import InputError
    from raylt.space import load as load_space
    from raylt.study.notebook import Study, open_study, tune

__all__ = ["InputError", "Study", "__version__", "load_space", "open_study", "tune"]


def __getattr__(name: str) -> Any:
    match name:
        case "InputError":
            from raylt.schema import InputError

            return InputError
        case "load_space":
            from raylt.space import load

            return load
        case "Study" | "open_study" | "tune":
            from raylt.study import notebook

            return getattr(notebook, name)
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
