"""The settings of a replica: all groups together, from the environment and a file.

A field ``port`` is set by ``DLI_PORT`` or by ``port = …`` in ``$DLI_HOME/dli.toml``; what the
command line says goes before the environment, and that before the file. There is no global
instance: ``load`` makes one, and the wiring hands it on. The fields, each with its unit, default
and prose, are in the modules beside; ``docs/settings.md`` is made from them.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dli.settings.places import EngineSettings, LauncherSettings
from dli.settings.service import (
    AutomationSettings,
    LogSettings,
    MoneySettings,
    RetentionSettings,
    ServerSettings,
    StorageSettings,
)
from dli.settings.work import BatchSettings, StatementSettings, TaskSettings, WorkSettings
from storage.base.errors import InvalidInputError

FILE = "dli.toml"


class InvalidSettingError(InvalidInputError):
    """A setting has a value that it cannot have, or the file has a name that is no setting."""

    code = "invalid_setting"


class Settings(  # one flat name space: the groups are for people
    ServerSettings,
    StorageSettings,
    StatementSettings,
    EngineSettings,
    LauncherSettings,
    WorkSettings,
    BatchSettings,
    TaskSettings,
    AutomationSettings,
    RetentionSettings,
    MoneySettings,
    LogSettings,
    BaseSettings,
):
    """All settings of one replica. Secrets are never part of its ``repr``."""

    model_config = SettingsConfigDict(env_prefix="DLI_", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file in the home they name."""
        home = init_settings().get("home") or env_settings().get("home") or Path.home() / ".dli"
        file = TomlConfigSettingsSource(settings_cls, toml_file=Path(home).expanduser() / FILE)
        return (init_settings, env_settings, file)

    @property
    def folder(self) -> Path:
        """The home, absolute."""
        return self.home.expanduser().absolute()

    @property
    def metadata_url(self) -> str:
        """Of the metadata database, with its password."""
        given = self.database_url
        return given.get_secret_value() if given else f"sqlite:///{self.folder / 'meta.db'}"


#: In the order of the documentation.
GROUPS = tuple(
    group
    for group in Settings.__bases__
    if issubclass(group, BaseModel) and group is not BaseSettings
)


def load(**given: object) -> Settings:
    """The settings of this process; ``given`` go before the environment and the file.

    Raises ``InvalidSettingError``, which names the setting and never shows its value.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            message = f"{FILE} has {name!r}, which is no setting"
        else:
            message = f"the setting {name} (DLI_{name.upper()}): {first['msg']}"
        raise InvalidSettingError(message, hint="docs/settings.md has them all") from error
    except ValueError as error:  # TOML that cannot be read
        raise InvalidSettingError(f"{FILE} in the home cannot be read: {error}") from error
