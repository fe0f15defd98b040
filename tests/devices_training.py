"""Trains on one processor and on two halves of it, and prints both histories as JSON."""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import tensorflow as tf


def main():
    (processor,) = tf.config.list_physical_devices("CPU")
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, halves)

    from emoclf import Settings, cache_photos, find_problems, make_dataset, set_seeds
    from emoclf.data.splitting import split_photos
    from emoclf.models import build_cnn, synchronise_normalisation
    from emoclf.training import start_run, train_model
    from emoclf.training.devices import use_devices

    data, logs = map(Path, sys.argv[1:])
    settings = Settings(image_size=(32, 32), epochs=2, batch_size=8, augment=False, dropout=0)
    split = split_photos(find_problems(data, progress=False).kept, settings)
    cache = cache_photos(split, image_size=(32, 32), progress=False)
    histories = {}
    for names in (None, ["CPU:0", "CPU:1"]):
        with use_devices("one", names=names) as count:
            set_seeds(1)
            model = build_cnn((32, 32), filters=(8, 8), dropout=0, augment=False)
            result = train_model(
                synchronise_normalisation(model),
                make_dataset(cache, "train", batch_size=8, shuffle=True),
                validation=make_dataset(cache, "validation", batch_size=8),
                run=start_run(settings, split, logs=logs, name=f"on-{count}"),
                verbose=0,
            )
        histories[count] = result.history
    print(json.dumps(histories))


if __name__ == "__main__":
    main()
