"""Keeps the model versions and their states up to date with the repository on disk, while requests are served."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Generic, TypeVar

from chainzrule.service.artifact.store import Signature, StoredVersion, list_versions
from chainzrule.service.errors import ArtifactError, InvalidInput, NotReady, UnknownModel, UnknownVersion

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
        signature: the signature of its files when they were last examined.
        state: its state.
        reason: why it failed or, once READY, why its changed files are not served; empty otherwise.
        served: the object that answers for it once it is READY; else None.
    """

    stored: StoredVersion
    signature: Signature
    state: State = State.LOADING
    reason: str = ""
    served: Served | None = None


class Catalog(Generic[Served]):
    """Holds the model versions in service. It is read and changed on the event loop alone."""

    def __init__(
        self,
        root: Path,
        load: Callable[[StoredVersion], Awaitable[Served]],
        keep_versions: int,
        default_model: str | None = None,
        required_models: Sequence[str] = (),
        retire: Callable[[Served], None] = lambda served: None,
    ) -> None:
        """Makes an empty catalog, which `refresh` fills.

        Args:
            root: the model repository.
            load: loads one version until it is ready, or raises `ArtifactError`.
            keep_versions: the number of newest READY versions of a model that stay in service.
            default_model: the model that answers requests which name none.
            required_models: the models that `ready` depends on; empty means all.
            retire: called with the object that answered for a version which is no longer served.
        """
        self._root = root
        self._load = load
        self._keep = keep_versions
        self._default = default_model
        self._required = required_models
        self._retire = retire
        self._models: dict[str, dict[str, Entry[Served]]] = {}
        self._unloaded: set[str] = set()
        self._refreshing = asyncio.Lock()

    async def refresh(self) -> None:
        """Reads the repository again: loads new versions and forgets those that are gone or superseded.

        A version is loaded again when its files have changed. New versions and new files replace what is served only
        when they are READY.

        Raises:
            OSError: the repository itself cannot be listed; the catalog stays as it was.
        """
        async with self._refreshing:
            stored = await asyncio.to_thread(list_versions, self._root)
            by_name = {name: list(versions) for name, versions in groupby(stored, key=lambda version: version.name)}
            by_name = {name: versions for name, versions in by_name.items() if name not in self._unloaded}
            for name in [name for name in self._models if name not in by_name]:
                log.info("model removed", extra={"model": name})
                self._drop(name, self._models.pop(name))
            for name, versions in by_name.items():
                await self._follow(name, versions)

    async def unload(self, name: str) -> None:
        """Takes a model out of service until `load` is called for it; raises `UnknownModel`.

        Requests that have begun are still answered.
        """
        async with self._refreshing:
            if name not in self._unloaded:
                self.entries(name)
                self._unloaded.add(name)
                log.info("model unloaded", extra={"model": name})
                self._drop(name, self._models.pop(name))

    async def load(self, name: str) -> None:
        """Brings a model into service, and tries its failed versions again.

        Raises:
            UnknownModel: the repository has no model of that name.
            InvalidInput: none of its versions could be loaded; the error says why.
            OSError: the repository itself cannot be listed.
        """
        async with self._refreshing:
            self._unloaded.discard(name)
            entries = self._models.get(name, {})
            for version in [version for version, entry in entries.items() if entry.state is State.FAILED]:
                del entries[version]
        await self.refresh()
        entries = self.entries(name)
        if not any(entry.served for entry in entries.values()):
            reason = next((entry.reason for entry in entries.values()), "it has no version")
            raise InvalidInput(f"could not be loaded: {reason}", "model")

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
                raise UnknownVersion("the model has no such version loaded; GET /models lists them", "version")
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
            raise UnknownModel("there is no such model; GET /models lists them", "model") from None

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
        # Unloaded models count too, so that no other model answers in place of one.
        names = self._models.keys() | self._unloaded
        return next(iter(names)) if len(names) == 1 else None

    def unready(self) -> list[str]:
        """Returns the models that should be ready and are not."""
        wanted = self._required or list(self._models)
        return [
            name
            for name in wanted
            if not any(entry.state is State.READY for entry in self._models.get(name, {}).values())
        ]

    def ready(self) -> bool:
        """Returns whether there is a model to serve, and all models that should be ready are."""
        return bool(self._models) and not self.unready()

    def _default_name(self) -> str:
        name = self.default()
        if name is None:
            raise InvalidInput("name one of the models, as GET /models lists them: none is the default", "model")
        return name

    async def _follow(self, name: str, versions: list[StoredVersion]) -> None:
        known = self._models.setdefault(name, {})
        kept: dict[str, Entry[Served]] = {}
        ready = 0
        for stored in versions:
            if ready == self._keep:
                break
            entry = known.get(stored.version)
            signature = await asyncio.to_thread(stored.signature)
            if entry is not None and entry.state is State.READY:
                if entry.signature != signature:
                    await self._renew(entry, signature)
            elif entry is None or entry.signature != signature:
                entry = Entry(stored, signature)
                known[stored.version] = entry
                self._models[name] = dict(sorted(known.items(), key=lambda item: int(item[0]), reverse=True))
                known = self._models[name]
                await self._bring_up(entry)
            kept[stored.version] = entry
            ready += entry.state is State.READY
        self._models[name] = kept
        self._drop(name, {version: entry for version, entry in known.items() if version not in kept})

    def _drop(self, name: str, entries: dict[str, Entry[Served]]) -> None:
        for version, entry in entries.items():
            log.info("model version unloaded", extra={"model": name, "version": version})
            if entry.served is not None:
                self._retire(entry.served)

    async def _renew(self, entry: Entry[Served], signature: Signature) -> None:
        """Loads a READY version's changed files; the version loaded before stays in service until they are READY."""
        about = {"model": entry.stored.name, "version": entry.stored.version}
        log.warning("model version changed on disk, as none should; loading what is there now", extra=about)
        changed = Entry[Served](entry.stored, signature)
        await self._bring_up(changed)
        entry.signature = signature
        if changed.served is None:
            entry.reason = f"its files were changed and cannot be served, what was loaded before is: {changed.reason}"
        else:
            entry.served, entry.reason = changed.served, ""

    async def _bring_up(self, entry: Entry[Served]) -> None:
        about = {"model": entry.stored.name, "version": entry.stored.version}
        try:
            entry.served = await self._load(entry.stored)
        except ArtifactError as error:
            entry.state, entry.reason = State.FAILED, str(error)
            log.error("model version refused: %s", error, extra=about)
        except Exception as error:  # a failing version must not affect the others
            entry.state, entry.reason = State.FAILED, f"unexpected {type(error).__name__}; see the log"
            log.exception("model version failed to load", extra=about)
        else:
            entry.state = State.READY
            log.info("model version ready", extra=about)
