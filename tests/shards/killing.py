"""A storage that is killed at a chosen change: the writes before it happened, the rest never will."""

from __future__ import annotations

import os

from shards.local_storage import LocalStorage


class Killed(BaseException):
    """Nothing catches it, like the signal it stands for."""


class MortalStorage(LocalStorage):
    """Dies at the change after `lives` changes."""

    def __init__(self, root: str | os.PathLike[str], lives: int) -> None:
        super().__init__(root)
        self.lives = lives

    def _live(self) -> None:
        if self.lives == 0:
            raise Killed
        self.lives -= 1

    def put(self, source: str | os.PathLike[str], path: str) -> None:
        self._live()
        super().put(source, path)

    def delete(self, path: str) -> None:
        self._live()
        super().delete(path)

    def delete_tree(self, path: str) -> None:
        self._live()
        super().delete_tree(path)
