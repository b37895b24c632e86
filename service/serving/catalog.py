"""Which model versions there are and in which state; follows the repository on disk while requests go on."""

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
    """Where a model version stands. Only READY versions answer."""

    LOADING = "LOADING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass
class Entry(Generic[Served]):
    """A model version that was looked at.

    Attributes:
        stored: where it lies.
        signature: its files as they were when they were last looked at.
        state: where it stands.
        reason: why it failed or, once READY, why its changed files are not what is served; empty otherwise.
        served: what answers for it once READY.
    """

    stored: StoredVersion
    signature: Signature
    state: State = State.LOADING
    reason: str = ""
    served: Served | None = None


class Catalog(Generic[Served]):
    """The model versions in service. Read and changed on the event loop alone."""

    def __init__(
        self,
        root: Path,
        load: Callable[[StoredVersion], Awaitable[Served]],
        keep_versions: int,
        default_model: str | None = None,
        required_models: Sequence[str] = (),
        retire: Callable[[Served], None] = lambda served: None,
    ) -> None:
        """An empty catalog; `refresh` fills it.

        Args:
            root: the model repository.
            load: brings one version to readiness, or raises `ArtifactError`.
            keep_versions: newest READY versions of a model that stay.
            default_model: answers requests that name no model.
            required_models: the models that `ready` asks for; empty means all.
            retire: told of what answered for a version that is no longer served.
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
        """Look at the repository: load what is new, forget what is gone or superseded.

        A version is loaded again when its files have changed. New versions and new files replace what serves only once
        they are READY.

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
        """Take a model out of service until `load` is called for it; raises `UnknownModel`.

        Requests under way are answered.
        """
        async with self._refreshing:
            if name not in self._unloaded:
                self.entries(name)
                self._unloaded.add(name)
                log.info("model unloaded", extra={"model": name})
                self._drop(name, self._models.pop(name))

    async def load(self, name: str) -> None:
        """Bring a model into service, its failed versions once more.

        Raises:
            UnknownModel: the repository has none of that name.
            InvalidInput: none of its versions could be loaded; says why.
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
        """What answers for a model; the default model and its newest READY version unless named.

        Raises:
            InvalidInput: no model is named and none is the default.
            UnknownModel, UnknownVersion: there is none of that name.
            NotReady: it is there, but cannot answer.
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
        """A model's versions, newest first; raises `UnknownModel`, or `NotReady` for one that was unloaded."""
        try:
            return self._models[name]
        except KeyError:
            if name in self._unloaded:
                raise NotReady("this model was unloaded", "model") from None
            raise UnknownModel("there is no such model; GET /models lists them", "model") from None

    def models(self) -> Iterator[tuple[str, dict[str, Entry[Served]]]]:
        """All models with their versions, newest first."""
        return iter(self._models.items())

    def unloaded(self) -> list[str]:
        """The models that were taken out of service."""
        return sorted(self._unloaded)

    def default(self) -> str | None:
        """The model that answers requests that name none; None where there is no such model."""
        if self._default is not None:
            return self._default
        # One that was unloaded still counts: another must not answer in its place.
        names = self._models.keys() | self._unloaded
        return next(iter(names)) if len(names) == 1 else None

    def unready(self) -> list[str]:
        """The models that should be ready and are not."""
        wanted = self._required or list(self._models)
        return [
            name
            for name in wanted
            if not any(entry.state is State.READY for entry in self._models.get(name, {}).values())
        ]

    def ready(self) -> bool:
        """Whether there is a model to serve, and all that should be ready are."""
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
        """Load a READY version's changed files; what was loaded serves on until they are READY, if ever."""
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
        except Exception as error:  # one version's trouble must not end the others' service
            entry.state, entry.reason = State.FAILED, f"unexpected {type(error).__name__}; see the log"
            log.exception("model version failed to load", extra=about)
        else:
            entry.state = State.READY
            log.info("model version ready", extra=about)
