"""An empty torch: enough for `import torch` and for class bodies that name its classes.

Every attribute is a new class that can be subclassed and named in annotations. Making an instance
of one raises, so that a test cannot mistake the stand-in for torch.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

MODULES = (
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.utils",
    "torch.utils.data",
    "torch.utils.tensorboard",
)


class Placeholder:
    """Base of every class that the stand-in hands out."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise NotImplementedError("torch is an empty stand-in here; install torch to use it")


class StandIn(ModuleType):
    """A module whose missing attributes are placeholder classes, the same one each time."""

    def __getattr__(self, name: str) -> Any:
        # Import machinery and inspection ask for dunders; those must stay absent.
        if name.startswith("__"):
            raise AttributeError(name)
        placeholder = type(name, (Placeholder,), {"__module__": self.__name__})
        setattr(self, name, placeholder)
        return placeholder


def no_grad() -> Callable[[F], F]:
    """Stand for `torch.no_grad`, which decorates methods while Snorkel is imported."""
    return lambda function: function


def stand_in_modules() -> dict[str, ModuleType]:
    """Return the stand-in's modules by full name, each an attribute of its parent."""
    modules: dict[str, ModuleType] = {name: StandIn(name) for name in MODULES}
    for name, module in modules.items():
        module.__path__ = []  # A package: `import torch.nn` looks for its submodules.
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    modules["torch"].no_grad = no_grad  # type: ignore[attr-defined]
    return modules


@contextmanager
def torch_stand_in() -> Iterator[None]:
    """Put the stand-in into `sys.modules` for the time of an import; leave a real torch alone.

    It is taken out again: libraries that ask whether torch is loaded (scipy and scikit-learn do,
    to treat its tensors) would take the stand-in for the real one.
    """
    if "torch" in sys.modules or importlib.util.find_spec("torch") is not None:
        yield
        return
    sys.modules.update(stand_in_modules())
    try:
        yield
    finally:
        for name in MODULES:
            sys.modules.pop(name, None)
