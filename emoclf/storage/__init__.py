"""What is on the disk: files that are whole or not there, and what is read, with its types.

`writing` writes under a temporary name, `temporary` knows those names and removes what a killed
process has left, `reading` opens what has a name from outside, `kept` keeps finished work, `tables`
and `archives` read and measure files of their kind.
"""

from emoclf.storage.kept import ResumeRefusedError, keep_work, refuse_another
from emoclf.storage.reading import (
    MAX_JSON_BYTES,
    check_keys,
    check_kind,
    describe_irregular,
    find_sha256,
    open_regular,
    parse_json,
    read_json,
)
from emoclf.storage.temporary import make_folder, remove_folder, remove_leftovers
from emoclf.storage.writing import (
    add_file,
    building_folder,
    naming_full_disk,
    replacing,
    temporary_folder,
    tidy_temporaries,
    write_json,
)

__all__ = [
    "MAX_JSON_BYTES",
    "ResumeRefusedError",
    "add_file",
    "building_folder",
    "check_keys",
    "check_kind",
    "describe_irregular",
    "find_sha256",
    "keep_work",
    "make_folder",
    "naming_full_disk",
    "open_regular",
    "parse_json",
    "read_json",
    "refuse_another",
    "remove_folder",
    "remove_leftovers",
    "replacing",
    "temporary_folder",
    "tidy_temporaries",
    "write_json",
]
