"""Where a data set comes from: a folder, Google Drive, an archive, a public link, FER2013.

`finding` is what the lesson calls; `registry` says which data sets there are and on what terms;
`staging` copies a folder or an archive to this machine once, checked, with `archives` for safe
unpacking; `drive_link`, `kaggle` and `fer_plus` fetch; `fer2013_folders` turns FER2013 into class
folders and `fer2013_counts` compares it with what was published;
`class_maps` reads which folder belongs to which class.
"""

from emoclf.data.sources.archives import extract_archive
from emoclf.data.sources.class_maps import parse_class_map
from emoclf.data.sources.drive_link import fetch_drive_link
from emoclf.data.sources.fer2013_counts import check_fer2013_counts
from emoclf.data.sources.fer2013_folders import FaceFolders, make_fer2013_folders
from emoclf.data.sources.fer_plus import fetch_fer_plus_votes
from emoclf.data.sources.finding import (
    DRAWN_FACES_FOLDER_NAME,
    DRIVE_DATA_FOLDER,
    DataSource,
    SamplePhoto,
    find_data,
    sample_photos,
)
from emoclf.data.sources.kaggle import fetch_fer2013_from_kaggle
from emoclf.data.sources.limits import ArchiveLimits
from emoclf.data.sources.registry import PROJECT_DRIVE_LINK, DataSet, find_data_set, list_data_sets
from emoclf.data.sources.staging import StagedData, stage_data
from emoclf.storage.zips import ArchiveRefusedError

__all__ = [
    "DRAWN_FACES_FOLDER_NAME",
    "DRIVE_DATA_FOLDER",
    "PROJECT_DRIVE_LINK",
    "ArchiveLimits",
    "ArchiveRefusedError",
    "DataSet",
    "DataSource",
    "FaceFolders",
    "SamplePhoto",
    "StagedData",
    "check_fer2013_counts",
    "extract_archive",
    "fetch_drive_link",
    "fetch_fer2013_from_kaggle",
    "fetch_fer_plus_votes",
    "find_data",
    "find_data_set",
    "list_data_sets",
    "make_fer2013_folders",
    "parse_class_map",
    "sample_photos",
    "stage_data",
]
