"""Holds the model versions in service with their states, as requests see them."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from chainzrule.service.artifact.listing import StoredVersion, VersionFingerprint
from chainzrule.service.errors import InvalidInput, NotReady, UnknownModel, UnknownVersion
from chainzrule.service.naming import hint, listed
from chainzrule.service.serving.backoff import Backoff

log = logging.getLogger(__name__)

Served = TypeVar("Served")


class State(StrEnum):
    """Names the state of a model version. Only READY versions answer."""

    LOADING = "LOADING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass
class Entry(Generic[Served]):
    """Holds a model version that was found in the repository.

    Attributes:
        stored: its directory.
        state: its state. A FAILED version that is tried again stays FAILED until it is READY.
        reason: why it failed, why it is still LOADING or, once READY, why its changed files are not served; else empty.
        served: the object that answers for it once it is READY; else None.
        fingerprint: what its files had just before they were last read; None where they could not be looked at.
        digest: the digest of what is served; empty before it is READY.
        backoff: when it is tried again after a failure.
        overdue: whether its loading has taken so long that nothing else waits for it any more.
    """

    stored: StoredVersion
    state: State = State.LOADING
    reason: str = ""
    served: Served | None = None
    fingerprint: VersionFingerprint | None = None
    digest: str = ""
    backoff: Backoff = field(default_factory=Backoff)
    overdue: bool = False

    @property
    def expected(self) -> bool:
        """Returns whether it is loading, and is waited for."""
        return self.state is State.LOADING and not self.overdue


class Catalog(Generic[Served]):
    """Holds the model versions in service. It is read and changed on the event loop alone.

    Attributes:
        started: set once every model that was found at first is READY, has FAILED or is overdue.
    """

    def __init__(
        self,
        default_model: str | None = None,
        required_models: Sequence[str] = (),
        retire: Callable[[Served], None] = lambda served: None,
    ) -> None:
        """Makes an empty catalog, which a `Repository` fills.

        Args:
            default_model: the model that answers requests which name none.
            required_models: the models that `ready` depends on; empty means those that have been READY.
            retire: called with the object that answered for a version which is no longer served.
        """
        self._default = default_model
        self._required = required_models
        self._retire = retire
        self._models: dict[str, dict[str, Entry[Served]]] = {}
        self._unloaded: set[str] = set()
        self._proven: set[str] = set()
        self.started = asyncio.Event()

    def put(self, entry: Entry[Served]) -> None:
        """Adds a version that was found in the repository, and keeps its model's versions newest first."""
        versions = {**self.entries_of(entry.stored.name), entry.stored.version: entry}
        self._models[entry.stored.name] = dict(sorted(versions.items(), key=lambda item: -item[1].stored.number))

    def serve(self, entry: Entry[Served], served: Served) -> None:
        """Makes a version READY, or lets another object answer for a version that is."""
        if self.entries_of(entry.stored.name).get(entry.stored.version) is not entry:
            self._retire(served)  # it was dropped at this moment
            return
        entry.state, entry.reason, entry.served, entry.overdue = State.READY, "", served, False
        self._proven.add(entry.stored.name)

    def drop(self, entry: Entry[Served]) -> None:
        """Takes a version out of service. Requests that have begun are still answered."""
        log.info("model version unloaded", extra={"model": entry.stored.name, "version": entry.stored.version})
        # The dictionary is replaced, because somebody may be iterating over it.
        versions = self.entries_of(entry.stored.name)
        self._models[entry.stored.name] = {one: other for one, other in versions.items() if other is not entry}
        if entry.served is not None:
            self._retire(entry.served)

    def forget(self, name: str) -> None:
        """Takes a model out of service with all its versions."""
        for entry in list(self.entries_of(name).values()):
            self.drop(entry)
        self._models.pop(name, None)
        self._proven.discard(name)

    def unload(self, name: str) -> None:
        """Takes a model out of service until `admit` is called for it; raises `UnknownModel`."""
        if name not in self._unloaded:
            self.entries(name)
            self._unloaded.add(name)
            log.info("model unloaded", extra={"model": name})
            self.forget(name)

    def admit(self, name: str) -> None:
        """Lets a model that was unloaded come into service again."""
        self._unloaded.discard(name)

    def resolve(self, name: str | None, version: str | None) -> Served:
        """Returns what answers for a model: the default model and its newest READY version unless others are named.

        Raises:
            InvalidInput: no model is named and there is no default model.
            UnknownModel, UnknownVersion: there is no model or version of that name.
            NotReady: the model or version exists, but cannot answer.
        """
        entries = self.entries(self._default_name() if name is None else name)
        if version is not None:
            entry = entries.get(version)
            if entry is None:
                known = f"it has {listed(entries)}" if entries else "it has none"
                raise UnknownVersion(f"the model has no such version loaded; {known}", "version")
            if entry.served is None:
                raise NotReady(f"this version is {entry.state}; see /readyz", "version")
            return entry.served
        for entry in entries.values():
            if entry.served is not None:
                return entry.served
        raise NotReady("no version of this model is ready; see /readyz", "model")

    def entries(self, name: str) -> dict[str, Entry[Served]]:
        """Returns a model's versions, newest first; raises `UnknownModel`, or `NotReady` for one that was unloaded."""
        try:
            return self._models[name]
        except KeyError:
            if name in self._unloaded:
                raise NotReady("this model was unloaded", "model") from None
            if not self.started.is_set():  # a proxy asks another replica then, and takes a 404 for the answer
                raise NotReady("the models are still being looked for; see /readyz", "model") from None
            raise UnknownModel(
                f"there is no such model{hint(name, self._models)}; GET /models lists them", "model"
            ) from None

    def entries_of(self, name: str) -> dict[str, Entry[Served]]:
        """Returns a model's versions, newest first; none where there is no such model."""
        return self._models.get(name, {})

    def models(self) -> Iterator[tuple[str, dict[str, Entry[Served]]]]:
        """Yields all models with their versions, newest first."""
        return iter(self._models.items())

    def unloaded(self) -> list[str]:
        """Returns the models that were taken out of service."""
        return sorted(self._unloaded)

    def default(self) -> str | None:
        """Returns the model that answers requests which name none; None where there is no such model."""
        if self._default is not None:
            return self._default
        # A newcomer that has never been READY takes the default from no other model. Unloaded models count too, so that
        # no other model answers in place of one.
        names = (self._proven | self._unloaded) or self._models.keys()
        return next(iter(names)) if len(names) == 1 else None

    def unready(self) -> list[str]:
        """Returns the models that should be ready and are not: while it starts, also those that are still loading."""
        missing = [name for name in self._required or sorted(self._proven) if not self._answers(name)]
        if not self.started.is_set():
            missing += [name for name in self._models if name not in missing and self._loads(name)]
        return missing

    def ready(self) -> bool:
        """Returns whether there is a model to serve, and all models that should be ready are."""
        return self.started.is_set() and any(map(self._answers, self._models)) and not self.unready()

    def loading(self) -> bool:
        """Returns whether any model has a version that is loading and waited for."""
        return any(map(self._loads, self._models))

    def _answers(self, name: str) -> bool:
        return any(entry.served is not None for entry in self.entries_of(name).values())

    def _loads(self, name: str) -> bool:
        return any(entry.expected for entry in self._models[name].values())

    def _default_name(self) -> str:
        name = self.default()
        if name is None and not self.started.is_set():
            raise NotReady("the models are still being looked for; see /readyz", "model")
        if name is None:
            raise InvalidInput("name one of the models, as GET /models lists them: none is the default", "model")
        return name
