"""Follows the model repository on disk, and keeps the catalog up to date with it while requests are served."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Generic, TypeVar

from chainzrule.service.artifact.listing import Listing, StoredVersion, VersionFingerprint, list_repository
from chainzrule.service.artifact.store import holds
from chainzrule.service.errors import ArtifactError, InvalidInput
from chainzrule.service.serving.background import in_background
from chainzrule.service.serving.catalog import Catalog, Entry, State
from chainzrule.service.serving.notices import Notices

log = logging.getLogger(__name__)

Served = TypeVar("Served")

LOOK_SECONDS = 10.0  # that a look may take before the repository counts as one that cannot be looked at
PATIENT_SECONDS = 10.0  # after which nothing waits any longer for a version that is loading
AT_ONCE = 2  # versions that are loaded at a time,
IN_ALL = 4  # with those that take longer than `PATIENT_SECONDS`


class Repository(Generic[Served]):
    """Follows a repository. All methods are called on the event loop; whatever takes time happens elsewhere.

    Attributes:
        notices: what could not be looked at last, which is served on as it is, and what is passed over.
    """

    def __init__(
        self,
        root: Path,
        catalog: Catalog[Served],
        examine: Callable[[StoredVersion], Awaitable[str]],
        load: Callable[[StoredVersion, str], Awaitable[Served]],
        keep_versions: int,
        patience: float = PATIENT_SECONDS,
    ) -> None:
        """Makes what follows a repository; nothing is read yet.

        Args:
            root: the repository.
            catalog: holds the versions that were found.
            examine: returns the digest of a version that may be served, or raises `ArtifactError`.
            load: loads the version that has this digest until it is ready, or raises `ArtifactError`.
            keep_versions: the number of newest READY versions of a model that stay in service.
            patience: the seconds after which nothing waits any longer for a version that is loading.
        """
        self.notices = Notices()
        self._root = root
        self._catalog = catalog
        self._examine = examine
        self._load = load
        self._keep = keep_versions
        self._patience = patience
        self._found: dict[str, list[StoredVersion]] = {}
        self._looking: asyncio.Future[Listing] | None = None
        self._turn = asyncio.Lock()
        self._tasks: dict[StoredVersion, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._all_slots = asyncio.Semaphore(IN_ALL)

    async def follow(self, seconds: float) -> None:
        """Looks at the repository now, and every so many seconds for as long as this task lives; 0 looks only once."""
        while True:
            try:
                await self.look()
            except Exception:  # whatever it was, the next look may do better
                log.exception("the look at the model repository failed")
            if not seconds:
                return
            await asyncio.sleep(seconds)

    async def refresh(self) -> None:
        """Looks at the repository, tries what has failed again at once, and waits until all of it is decided."""
        await self.look(self._found)
        while self._tasks:
            await asyncio.wait(self._tasks.values())

    async def look(self, again: Iterable[str] = ()) -> None:
        """Reads the repository once: begins to load what is new, and forgets what is gone or superseded.

        A version is loaded again when its files have changed, and served with what was loaded before until they are
        READY. What cannot be looked at stays as it is.

        Args:
            again: the models whose FAILED versions are tried again at once.
        """
        async with self._turn:
            try:
                listing = await self._listed()
            except OSError as error:
                self.notices.cannot_look({".": error.strerror or f"looking at it takes longer than {LOOK_SECONDS:g} s"})
                return
            if any(entry.served for _, entries in self._catalog.models() for entry in entries.values()) and not any(
                [*listing.versions.values(), listing.unreadable]
            ):
                self.notices.cannot_look({".": "it is empty, though models were served from it"})
                return
            self.notices.cannot_look(listing.unreadable)
            self.notices.passed_over(listing.passed_over)
            unloaded = self._catalog.unloaded()
            unseen = {name: found for name, found in self._found.items() if name in listing.unreadable}
            self._found = unseen | {
                name: found for name, found in listing.versions.items() if found and name not in unloaded
            }
            for name, _ in list(self._catalog.models()):
                if name not in self._found:
                    log.info("model removed", extra={"model": name})
                    self._end(name)
                    self._catalog.forget(name)
            for name in self._found:
                self._retry(name, listing.fingerprints, name in again)
                self._plan(name)
            self._settle()

    async def load(self, name: str) -> None:
        """Brings a model into service, and tries its failed versions again.

        Raises:
            UnknownModel: the repository has no model of that name.
            InvalidInput: none of its versions could be loaded; the error says why.
            OSError: the repository cannot be looked at.
        """
        self._catalog.admit(name)
        await self.look((name,))
        if "." in self.notices.unreadable:
            raise OSError(self.notices.unreadable["."])
        while tasks := [task for stored, task in self._tasks.items() if stored.name == name]:
            await asyncio.wait(tasks)
        entries = self._catalog.entries(name)
        if not any(entry.served for entry in entries.values()):
            reason = next((entry.reason for entry in entries.values()), "it has no version")
            raise InvalidInput(f"could not be loaded: {reason}", "model")

    def unload(self, name: str) -> None:
        """Takes a model out of service until `load` is called for it; raises `UnknownModel`."""
        self._catalog.unload(name)
        self._found.pop(name, None)
        self._end(name)

    async def close(self) -> None:
        """Ends all loading, at the latest when the version in hand is open, and no longer waits for a look."""
        tasks: list[asyncio.Future[Any]] = [*self._tasks.values()]
        if self._looking is not None:
            tasks.append(self._looking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listed(self) -> Listing:
        """Lists the repository; where the last look has not come back yet, it waits for that one."""
        if self._looking is None:
            known = {name: list(entries) for name, entries in self._catalog.models()}
            self._looking = asyncio.ensure_future(in_background(list_repository, self._root, known))
        try:
            # Python 3.11's `wait_for` loses a cancellation that comes with the result, and `follow` would never end.
            async with asyncio.timeout(LOOK_SECONDS):
                return await asyncio.shield(self._looking)
        finally:
            if self._looking.done():
                self._looking = None

    def _retry(self, name: str, fingerprints: dict[StoredVersion, VersionFingerprint], again: bool) -> None:
        """Begins to load the versions of a model again that have changed, or failed some time ago."""
        now = asyncio.get_running_loop().time()
        for entry in self._catalog.entries_of(name).values():
            if entry.stored in self._tasks:
                continue
            found = fingerprints.get(entry.stored, entry.fingerprint)
            changed = found != entry.fingerprint
            if changed or again:
                entry.backoff.reset()
            tried = entry.state is State.FAILED or entry.reason
            if (changed or (tried and (again or entry.backoff.due <= now))) and entry.state is not State.LOADING:
                self._begin(entry)

    def _plan(self, name: str) -> None:
        """Begins to load a model's newest versions that are not known yet, and drops what is superseded or gone."""
        if name not in self._found:
            return
        known = self._catalog.entries_of(name)
        kept: set[str] = set()
        ready = expected = 0
        for stored in self._found[name]:
            if ready == self._keep:
                break
            entry = known.get(stored.version)
            if entry is None:
                if expected >= self._keep:
                    continue
                entry = Entry[Served](stored)
                self._catalog.put(entry)
                self._begin(entry)
            kept.add(stored.version)
            ready += entry.served is not None
            expected += entry.served is not None or entry.expected
        for version, entry in known.items():
            if version not in kept:
                self._end(name, version)
                self._catalog.drop(entry)

    def _begin(self, entry: Entry[Served]) -> None:
        task = asyncio.create_task(self._bring_up(entry))
        self._tasks[entry.stored] = task

        def over(task: "asyncio.Task[None]") -> None:
            if self._tasks.get(entry.stored) is task:
                del self._tasks[entry.stored]
                self._plan(entry.stored.name)
                self._settle()

        task.add_done_callback(over)

    def _end(self, name: str, version: str | None = None) -> None:
        """Ends the loading of a model, or of one version."""
        for stored in list(self._tasks):
            if stored.name == name and version in (None, stored.version):
                self._tasks.pop(stored).cancel()

    def _settle(self) -> None:
        if not self._catalog.started.is_set() and not self._catalog.loading():
            self._catalog.started.set()

    async def _bring_up(self, entry: Entry[Served]) -> None:
        """Loads a version when it is its turn; after a while, others no longer wait for it."""
        async with self._all_slots:
            loading: asyncio.Task[None] | None = None
            try:
                async with self._slots:
                    loading = asyncio.create_task(self._attempt(entry))
                    await asyncio.wait({loading}, timeout=self._patience)
                if not loading.done() and entry.expected:
                    entry.overdue, entry.reason = True, f"has been loading for more than {self._patience:g} s"
                    self._plan(entry.stored.name)
                    self._settle()
                await loading
            finally:
                if loading is not None and not loading.done():
                    loading.cancel()
                    await asyncio.wait({loading})

    async def _attempt(self, entry: Entry[Served]) -> None:
        """Loads a version once, and notes what came of it."""
        about = {"model": entry.stored.name, "version": entry.stored.version}
        clock = asyncio.get_running_loop().time
        begin = clock()
        try:
            # It is taken before anything is read, so that a change while it is read is seen by the next look.
            entry.fingerprint = await in_background(_fingerprint, entry.stored)
            if entry.served is not None:
                if await in_background(holds, entry.stored.path, entry.digest):
                    entry.reason = ""
                    return  # it was touched, but is what is served
                log.warning("model version changed on disk, as none should; loading what is there now", extra=about)
            digest = await self._examine(entry.stored)
            served = await self._load(entry.stored, digest)
        except ArtifactError as error:
            self._fail(entry, str(error), about)
        except Exception as error:  # a failing version must not affect the others
            log.exception("model version failed to load", extra=about)
            self._fail(entry, f"unexpected {type(error).__name__}; see the log", about)
        else:
            entry.digest = digest
            entry.backoff.reset()
            self._catalog.serve(entry, served)
            log.info("model version ready", extra=about)
            return
        entry.backoff.failed(clock(), clock() - begin)

    def _fail(self, entry: Entry[Served], reason: str, about: dict[str, str]) -> None:
        if entry.served is not None:
            reason = f"its files were changed and cannot be served, what was loaded before is: {reason}"
        else:
            entry.state, entry.overdue = State.FAILED, False
        if reason != entry.reason:  # it is tried again and again
            log.error("model version refused: %s", reason, extra=about)
        entry.reason = reason


def _fingerprint(stored: StoredVersion) -> VersionFingerprint | None:
    try:
        return stored.fingerprint()
    except OSError:
        return None
