"""How long `import emoclf` and the first prediction take: each the best of five cold starts.

    python tests/benchmarks/bench_start.py photo.jpg

Processor time, of all threads: on an idle core the clock shows no more than that.
"""

import argparse
import subprocess
import sys

_TIMED = "import os\n{}\nprint(sum(os.times()[:2]))"
_PREDICT = (
    "import sys; from emoclf.__main__ import main; "
    "main(['predict', sys.argv[1], '--no-download', '--whole-photo'])"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo")
    photo = parser.parse_args().photo
    steps = {"Python alone": "", "import emoclf": "import emoclf", "predict": _PREDICT}
    for name, code in steps.items():
        command = [sys.executable, "-c", _TIMED.format(code), photo]
        output = [subprocess.check_output(command, text=True) for _ in range(5)]
        print(f"{name}: {min(float(each.split()[-1]) for each in output):.2f} s")


if __name__ == "__main__":
    main()
