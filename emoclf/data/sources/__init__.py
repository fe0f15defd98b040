"""Where a data set comes from: a folder, Google Drive, an archive, a public link, FER2013.

`finding` is what the lesson calls, and knows which data sets there are and on what terms; `staging`
copies a folder or an archive to this machine once, with `copying` for the files and `archives` for
safe unpacking; `fetching` downloads; `fer2013` reads FER2013 as `fer2013_layout` finds it,
`fer2013_folders` turns it into class folders and compares it with what was published.
"""

from emoclf.data.sources.archives import extract_archive
from emoclf.data.sources.copying import ArchiveLimits
from emoclf.data.sources.fer2013_folders import check_fer2013_counts, make_fer2013_folders
from emoclf.data.sources.fetching import (
    fetch_drive_link,
    fetch_fer2013_from_kaggle,
    fetch_fer_plus_votes,
)
from emoclf.data.sources.finding import (
    DRIVE_DATA_FOLDER,
    PROJECT_DRIVE_LINK,
    find_data,
    find_data_set,
    is_on_drive,
    list_data_sets,
    sample_photos,
)
from emoclf.data.sources.staging import stage_data
from emoclf.storage.archives import ArchiveRefusedError
