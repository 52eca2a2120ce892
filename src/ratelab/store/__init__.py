"""Run folders on disk: written by rename, locked, listed, found again. Knows no model and needs no torch."""

from ratelab.store.folder import RunFolder
from ratelab.store.lock import Busy
from ratelab.store.log import jsonable
from ratelab.store.sign import Sign
from ratelab.store.stacks import StackFolder, unfinished_stacks
from ratelab.store.store import Store

__all__ = ["Busy", "RunFolder", "Sign", "StackFolder", "Store", "jsonable", "unfinished_stacks"]
