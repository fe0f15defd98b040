"""What several tests share: drawn data sets, a tiny trained run, the optional real data."""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# A job in the background ignores Ctrl-C, one under nohup its terminal's end, and so would what they
# start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository():
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data():
    """The optional development data; tests that need it skip without it."""
    folder = Path(os.environ.get("EMOCLF_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder} (set EMOCLF_DATA)")
    return folder


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    """Forty drawn faces per class, without flaws. Read only."""
    from emoclf.data.synthetic import make_drawn_faces

    folder = tmp_path_factory.mktemp("drawn")
    make_drawn_faces(folder, photos_per_class=40, size=(64, 64), seed=1)
    return folder


@pytest.fixture(scope="session")
def photos(drawn_folder):
    from emoclf.config import Settings
    from emoclf.data.folders import find_class_folders, list_files
    from emoclf.data.splitting import split_photos
    from emoclf.photos import Photos

    paths, labels = [], []
    for entry in find_class_folders(drawn_folder).folders:
        for file in list_files(entry.path).files:
            paths.append(file.relative_to(drawn_folder).as_posix())
            labels.append(entry.label)
    settings = Settings(test_fraction=0.2, validation_fraction=0.2)
    return split_photos(Photos.make(paths, labels, root=drawn_folder), settings)


@pytest.fixture(scope="session")
def cache(photos):
    from emoclf.data.loading import cache_photos

    return cache_photos(photos, image_size=(32, 48), progress=False)


@pytest.fixture(scope="session")
def run(photos, cache, tmp_path_factory):
    """A run of two epochs on 32 x 48 pixels: everything is there, nothing is accurate."""
    from emoclf.config import Settings
    from emoclf.data.loading import make_dataset
    from emoclf.models import build_cnn
    from emoclf.runtime import set_seeds
    from emoclf.training import start_run, train_model

    settings = Settings(image_size=(32, 48), epochs=2, batch_size=16)
    started = start_run(settings, photos, logs=tmp_path_factory.mktemp("logs"), name="tiny")
    set_seeds(settings.seed)
    model = build_cnn(settings.image_size, filters=(8, 8))
    result = train_model(
        model,
        make_dataset(cache, "train", batch_size=16, shuffle=True),
        validation=make_dataset(cache, "validation", batch_size=16),
        run=started,
        verbose=0,
    )
    return model, result
