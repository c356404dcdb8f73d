"""Name -> class, for energies, samplers, step rules and models.

A class of your own joins by the decorator, or from another package by an entry point in the group
`lflow.<kind>`, for instance `lflow.samplers`. This module knows nothing of what it registers.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from lflow.spec import Declared, did_you_mean, parameters

Kind = TypeVar("Kind", bound=Declared)


class NotRegistered(ValueError):
    """A name that no class of a kind has, here."""

    def __init__(self, kind: str, name: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind, self.name = kind, name


class Registry(Generic[Kind]):
    """The classes of one kind by name, in the order in which they were registered."""

    def __init__(self, kind: str, plural: str) -> None:
        self.kind = kind
        self.plural = plural
        self._classes: dict[str, type[Kind]] = {}
        self._entry_points_loaded = False

    def register(self, name: str) -> Callable[[type[Any]], type[Any]]:
        """Decorator: make a class known under a name. ValueError if the name is taken by another class."""

        def add(cls: type[Any]) -> type[Any]:
            known = self._classes.get(name)
            # A module that is loaded again brings the same class again.
            if known is not None and _path(known) != _path(cls):
                raise ValueError(f"the {self.kind} name {name!r} is taken by {_path(known)}")
            cls.name = name
            self._classes[name] = cls
            return cls

        return add

    def names(self) -> tuple[str, ...]:
        """The registered names."""
        self._load_entry_points()
        return tuple(self._classes)

    def get_class(self, name: str) -> type[Kind]:
        """The class of a name. NotRegistered names the nearest known ones."""
        self._load_entry_points()
        if name not in self._classes:
            hint = did_you_mean(str(name), self._classes)
            known = ", ".join(self._classes)
            sentence = f"there is no {self.kind} named {name!r}.{hint} Known: {known}"
            raise NotRegistered(self.kind, name, sentence)
        return self._classes[name]

    def get(self, name: str, **arguments: Any) -> Kind:
        """An instance by name, its parameters by keyword, checked by their declaration."""
        cls = self.get_class(name)
        declared = {parameter.name for parameter in parameters(cls)}
        unknown = set(arguments) - declared
        if unknown:
            raise ValueError(
                f"{name} has no parameter {sorted(unknown)[0]!r}; "
                f"it has: {', '.join(sorted(declared)) or 'none'}"
            )
        return cls(**arguments)

    def _load_entry_points(self) -> None:
        if self._entry_points_loaded:
            return
        self._entry_points_loaded = True
        for entry_point in entry_points(group=f"lflow.{self.plural}"):
            self.register(entry_point.name)(entry_point.load())


def _path(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
