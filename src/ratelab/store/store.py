"""A store: a folder of run folders, with its schema written down."""

from pathlib import Path

from ratelab.core.errors import UserError
from ratelab.store.files import make_folder, read_json, write_json
from ratelab.store.folder import RUN_ID, RunFolder

SCHEMA = 1
MARK = "store.json"


class Store:
    """An existing store. Raises :class:`UserError` where there is none, or one of a newer schema."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        mark = self.path / MARK
        if not self.path.is_dir():
            what = "is a file" if self.path.exists() else "does not exist"
            raise UserError(f"no store at {self.path}: it {what}; train something first, or point --store to another folder")
        if not mark.is_file():
            raise UserError(f"{self.path} is no store (it has no {MARK}); point --store to another folder")
        schema = read_json(mark, "restore the file, or start a new store").get("schema")
        if not isinstance(schema, int) or schema < 1:
            raise UserError(f'{mark} is corrupt (it names no schema); write {{"schema": {SCHEMA}}} into it')
        if schema > SCHEMA:
            raise UserError(f"{self.path} was written by a newer RateLab (schema {schema}, this one knows {SCHEMA}); upgrade")

    @classmethod
    def create(cls, path: Path | str) -> "Store":
        """Open the store at ``path``, making it first where the folder is missing or empty."""
        path = Path(path)
        make_folder(path)
        if not (path / MARK).is_file():
            # Another process may be making the same store: its temporary file is no stranger, and its mark may be there by now.
            strangers = [entry.name for entry in _entries(path) if not entry.name.startswith(f".{MARK}.")]
            if strangers and not (path / MARK).is_file():
                raise UserError(f"{path} holds other files and no store; point --store to a new or empty folder")
            write_json(path / MARK, {"schema": SCHEMA})
        return cls(path)

    def run(self, run_id: str) -> RunFolder:
        """The folder of the run with this whole id, started or not."""
        return RunFolder(self.path / run_id)

    def runs(self) -> list[RunFolder]:
        """All runs that were started, by id."""
        found = sorted(entry for entry in _entries(self.path) if RUN_ID.fullmatch(entry.name) and entry.is_dir())
        return [folder for folder in map(RunFolder, found) if folder.exists()]

    def find(self, prefix: str) -> RunFolder:
        """The one run whose id starts with ``prefix``; :class:`UserError` naming near ids where there is none or several."""
        ids = [folder.id for folder in self.runs()]
        matches = [run_id for run_id in ids if run_id.startswith(prefix)] if prefix else []
        if len(matches) == 1:
            return self.run(matches[0])
        if matches:
            raise UserError(f"'{prefix}' starts {len(matches)} runs of {self.path}: {_some(matches)}; type more of the id")
        if not ids:
            raise UserError(f"no run '{prefix}': {self.path} holds no run yet; train one first")
        raise UserError(f"no run '{prefix}' in {self.path}; did you mean {_some(_near(prefix, ids))}?")


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise UserError(f"cannot read {folder}: {(error.strerror or str(error)).lower()}") from None


def _near(prefix: str, ids: list[str]) -> list[str]:
    """The ids that agree with ``prefix`` longest from the start."""
    agreed = [next((i for i, (a, b) in enumerate(zip(prefix, run_id, strict=False)) if a != b), len(prefix)) for run_id in ids]
    return [run_id for run_id, length in zip(ids, agreed, strict=True) if length == max(agreed)]


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
