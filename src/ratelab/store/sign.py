"""A driver's sign in a store: who sees it sees the store, and who works for that driver goes on as long as it stands."""

import secrets
from contextlib import suppress
from pathlib import Path

from ratelab.store.files import make_folder, write_json

FOLDER = "drivers"


class Sign:
    """``STORE/drivers/NAME``; a driver that is killed leaves it standing, so that what it handed out goes on."""

    def __init__(self, store: Path, name: str) -> None:
        self.name, self.path = name, store / FOLDER / name

    @classmethod
    def put_up(cls, store: Path) -> "Sign":
        """A new driver's sign."""
        sign = cls(store, secrets.token_hex(6))
        make_folder(sign.path.parent)
        write_json(sign.path, {"schema": 1})
        return sign

    def stands(self) -> bool:
        """The sign is seen from here."""
        return self.path.is_file()

    def take_down(self) -> None:
        """Ask everyone who works for the driver to save and stop."""
        with suppress(OSError):
            self.path.unlink()
