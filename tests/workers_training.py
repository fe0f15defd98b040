"""One machine of a training on several: joins the others, trains, writes down its losses.

python -m tests.workers_training DATA RUN INDEX ADDRESS... [--die-after 1]
"""

import argparse
import json
import os
import signal
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

from emoclf.run import Run
from emoclf.training.multi_worker import join_workers, make_tf_config, train_on_workers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("index", type=int)
    parser.add_argument("addresses", nargs="*")
    parser.add_argument("--die-after", type=int)
    arguments = parser.parse_args()
    if arguments.addresses:
        os.environ["TF_CONFIG"] = make_tf_config(arguments.addresses, arguments.index)
    strategy = join_workers()

    from emoclf import Settings, cache_photos, find_problems
    from emoclf.data.splitting import split_photos
    from emoclf.models import build_cnn
    from emoclf.runtime import set_seeds

    # 45 training photos in batches of 8: the last one is uneven.
    settings = Settings(image_size=(32, 32), epochs=3, batch_size=8, augment=False, dropout=0)
    split = split_photos(find_problems(arguments.data, progress=False).kept, settings)
    run = Run(arguments.run)
    if arguments.index == 0:
        run.save(settings, split)
    cache = cache_photos(split, image_size=(32, 32), progress=False)

    def build():
        set_seeds(settings.seed)
        return build_cnn((32, 32), filters=(8, 8), dropout=0, augment=False)

    lines = []

    def say(line):
        lines.append(line)
        if arguments.die_after == len(lines):
            os.kill(os.getpid(), signal.SIGKILL)

    result = train_on_workers(build, cache, settings=settings, run=run, strategy=strategy, say=say)
    document = {**result.history, "workers": result.workers, "epochs_now": len(lines)}
    Path(f"{arguments.run}-{arguments.index}.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main()
