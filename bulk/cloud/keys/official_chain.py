"""Find keys in the places where Alibaba Cloud's own tools look, in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk.cloud.keys.official_sources import NoKeysError, default_sources, profile_sources
from bulk.errors import KeysUnavailableError, SettingsError
from bulk.stray import is_quoted, trimmed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk.cloud.keys.official_sources import Source
    from bulk.cloud.keys.renewal import Found

__all__ = ["OfficialChain"]

_PREFIX = "ALIBABA_CLOUD_"
_KEYS = ("_ACCESS_KEY_ID", "_ACCESS_KEY_SECRET", "_SECURITY_TOKEN")


class OfficialChain:
    """The official default chain, or one profile of it. The first source that has keys is used from then on."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        profile: str | None = None,
        named_by: str = "--profile",
        insecure_http: bool = False,
    ) -> None:
        """Ask nobody yet.

        Args:
            environ: ``os.environ``, or a replacement for it.
            profile: Name of the only profile to look for, instead of the whole chain.
            named_by: The setting that names the profile.
            insecure_http: Allow an http:// address of another machine in ``ALIBABA_CLOUD_CREDENTIALS_URI``.

        Raises:
            SettingsError: A variable that says where keys are has quotes around its value.
        """
        environ = _without_slips(environ)
        self._sources = (
            profile_sources(environ, profile) if profile else default_sources(environ, insecure_http=insecure_http)
        )
        self._remedy = (
            f"Write it with `aliyun configure --profile {profile}`, or name another with {named_by}."
            if profile
            else "Set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or write a profile with "
            "`aliyun configure`."
        )
        self._chosen: Source | None = None

    def fetch(self, *, anew: bool = False) -> Found:
        """Return the current keys, renewed if they expire soon. Blocks; call it from one thread at a time.

        Args:
            anew: Make the chosen source ask for new keys, even if it remembers some.

        Raises:
            SettingsError: No source has keys, or the chosen one can't renew them; says what was tried, without secrets.
            KeysUnavailableError: The same, and a source that is set up did not answer.
        """
        return self._renew(self._chosen, anew=anew) if self._chosen else self._search()

    def _search(self) -> Found:
        tried, silent = ["no keys to sign requests with were found:"], False
        for source in self._sources:
            try:
                found = source.ask()
            except NoKeysError as exc:
                tried.append(f"  {source.name}: {exc}")
                silent |= exc.is_passing
            else:
                self._chosen = source
                return found
        if silent:
            tried.append("One that is set up did not answer: run again when it does.")
            raise KeysUnavailableError("\n".join(tried))
        raise SettingsError("\n".join([*tried, self._remedy]))

    def _renew(self, source: Source, *, anew: bool) -> Found:
        try:
            return source.ask(anew=anew)
        except NoKeysError as exc:
            raise SettingsError(f"{source.name}: {exc}") from None


def _without_slips(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment; Alibaba Cloud's variables lose the invisible characters at their ends."""
    meant = {name: trimmed(value) for name, value in environ.items() if name.startswith(_PREFIX)}
    for name, value in meant.items():
        # The variables that hold the keys themselves are checked only if they are read, and there.
        if is_quoted(value) and not name.endswith(_KEYS):
            raise SettingsError(
                f"{name} has quotes around its value (docker's --env-file keeps them): remove the quotes"
            )
    return {**environ, **meant}
