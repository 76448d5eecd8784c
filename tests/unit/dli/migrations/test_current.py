"""The newest revision by file names is the newest by alembic."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from dli.migrations import current


def test_the_head_is_the_one_that_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(current.__file__).parent))
    assert ScriptDirectory.from_config(config).get_current_head() == current.head()
