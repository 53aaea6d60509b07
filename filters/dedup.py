"""The pass that finds near-duplicates among all clips of a run; how is in `filters.duplicates`."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa

from curate.records import WholeRunStage
from filters.duplicates import NEEDS, PROVIDES, DuplicatesOptions, group_duplicates

__all__ = ["Duplicates"]


class Duplicates(WholeRunStage):
    """`dup_group` and `dup_keep` of every clip, from its trace, or its samples' hashes where it is still."""

    version: ClassVar[int] = 3
    needs: ClassVar[frozenset[str]] = NEEDS - {"clip_id"}
    provides: ClassVar[pa.Schema] = PROVIDES
    Options: ClassVar[type[DuplicatesOptions]] = DuplicatesOptions

    def process(self, clips: pa.Table) -> pa.Table:
        """Group the clips; copies of one clip are in its group, and it is kept."""
        return group_duplicates(clips, self.options)
