"""What is on the disk: files that are whole or not there, and what is read, with its types.

`writing` writes under a temporary name and keeps finished work, `temporary` knows those names and
removes what a killed process has left, `reading` opens and checks what has a name from outside,
`tables` and `archives` read and measure files of their kind.
"""

from emoclf.storage.reading import (
    check_keys,
    check_kind,
    describe_irregular,
    find_path,
    find_sha256,
    is_folder,
    open_regular,
    parse_json,
    read_json,
)
from emoclf.storage.temporary import (
    make_folder,
    naming_full_disk,
    remove_leftovers,
    temporary_folder,
    tidy_temporaries,
)
from emoclf.storage.writing import (
    ResumeRefusedError,
    add_file,
    building_folder,
    keep_work,
    refuse_another,
    replacing,
    write_json,
)

__all__ = [
    "ResumeRefusedError",
    "add_file",
    "building_folder",
    "check_keys",
    "check_kind",
    "describe_irregular",
    "find_path",
    "find_sha256",
    "is_folder",
    "keep_work",
    "make_folder",
    "naming_full_disk",
    "open_regular",
    "parse_json",
    "read_json",
    "refuse_another",
    "remove_leftovers",
    "replacing",
    "temporary_folder",
    "tidy_temporaries",
    "write_json",
]
