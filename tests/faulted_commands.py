"""Runs emoclf's commands with a fault at every change they make on the disk, and judges the end.

    python tests/faulted_commands.py                       every command, a few faults of each kind
    python tests/faulted_commands.py clean stage-zip --all every single fault of two commands
    python tests/faulted_commands.py train --report out.json

The process imports TensorFlow once and forks for every run, so that a run costs what it does.
"""

import argparse
import importlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # NumPy starts threads when it is imported, else
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image
from tqdm import tqdm

from tests.disk_faults import Change, Follower, WatchedRun
from tests.faulted_scenarios import SCENARIOS, Scenario
from tests.folder_contents import (
    PHOTO_SUFFIXES,
    find_damaged,
    find_hidden,
    find_unlike,
    list_files,
    read_contents,
)

KILLS = ("kill", "kill half-way")
FULL = ("disk full", "disk full half-way")


@dataclass
class Findings:
    """What came of one command: changes of an undisturbed run, faults tried, what was wrong."""

    command: str
    changes: int = 0
    seconds: float = 0.0
    tried: dict[str, int] = field(default_factory=dict)
    left_in_tmp: int = 0
    wrong: list[dict] = field(default_factory=list)
    tracebacks: list[dict] = field(default_factory=list)

    def add(self, fault: str, change: Change, problems: Iterable[str], run: WatchedRun) -> None:
        self.tried[fault] = self.tried.get(fault, 0) + 1
        problems = list(problems)
        in_tmp = [each for each in problems if _is_of_library(each, fault)]
        self.left_in_tmp += bool(in_tmp)
        problems = [each for each in problems if each not in in_tmp]
        found = {"fault": fault, **asdict(change), "problems": problems, "text": run.text[-3000:]}
        if problems:
            self.wrong.append(found)
        if "Traceback (most recent call last)" in run.text:
            self.tracebacks.append(found)

    def describe(self) -> str:
        lines = [f"{self.command}: {self.changes} changes, {self.seconds:.0f} s"]
        for names, title in ((KILLS, "kills"), (FULL, "disk full")):
            tried = sum(self.tried.get(name, 0) for name in names)
            wrong = [each for each in self.wrong if each["fault"] in names]
            traced = [each for each in self.tracebacks if each["fault"] in names]
            lines.append(f"  {title}: {tried} tried, {len(wrong)} wrong, {len(traced)} tracebacks")
            lines += _count_alike(wrong)
        if self.left_in_tmp:
            lines.append(f"  something in the temporary folder after {self.left_in_tmp} faults")
        return "\n".join(lines)


def _is_of_library(problem: str, fault: str) -> bool:
    """Tell whether what is left lies in the temporary folder, and nobody but the system removes it.

    That is so for everything after a kill, and for what Keras and TensorFlow forget on a full disk.
    """
    return bool(
        re.search(r"left over: tmp/(__autograph_|tmp\w{8}\b)", problem)
        or (fault in KILLS and "left over: tmp/" in problem)
    )


def _count_alike(wrong: list[dict]) -> list[str]:
    """Return a line for every kind of problem, with the numbers of the changes."""
    places: dict[str, list[str]] = {}
    for each in wrong:
        for problem in each["problems"]:
            alike = re.sub(r"\d+", "0", f"{each['fault']}: {problem}")
            alike = re.sub(r"[^/ ]*\.(\w+)\b", r"*.\1", alike)[:230]
            places.setdefault(alike, []).append(str(each["number"]))
    return [f"    {problem}  [at {', '.join(dict.fromkeys(at))}]" for problem, at in places.items()]


class Trial:
    """One command in a folder of its own: undisturbed first, then with faults."""

    def __init__(self, scenario: Scenario, base: Path) -> None:
        self.scenario = scenario
        self._input, self.work, logs = (base / name for name in ("input", "work", "logs"))
        for folder in (self._input, logs):
            folder.mkdir(parents=True)
        self._follower = Follower(logs)
        scenario.prepare(self._input)
        self._given = read_contents(self._input)
        self._refresh()
        self.whole = self._run(scenario.command)
        if self.whole.code != 0 or self.whole.outside:
            raise RuntimeError(f"{scenario.name}: {self.whole.outside} {self.whole.text}")
        self._expected = self._read()

    def try_fault(self, fault: str, change: Change) -> tuple[list[str], WatchedRun]:
        """Return what is wrong after a fault, and after the same command given again."""
        self._refresh()
        run = self._run(self.scenario.command, fault=fault, at=change.number)
        problems = [*self._check_rest(run), *self._find_losses(), *self._find_halves()]
        if fault in FULL:
            problems += self._check_error(run, change)
        again = self._run(self.scenario.again or self.scenario.command)
        if again.code != 0:
            problems.append(f"called again: exit code {again.code}: {again.text.strip()[-300:]}")
        problems += [f"called again: {each}" for each in self._find_losses()]
        problems += [f"called again: {each}" for each in find_unlike(self._expected, self._read())]
        if self.scenario.undo:
            self._run(self.scenario.undo)
            undone = self.scenario.find_not_undone(self._input, self.work)
            problems += [f"undone: {each}" for each in undone]
        return problems, run

    def _refresh(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self._input, self.work, symlinks=True)

    def _run(self, command: tuple[str, ...], *, fault: str = "none", at: int = 0) -> WatchedRun:
        from emoclf.__main__ import main

        def call() -> None:
            sys.exit(main(list(command)))

        return self._follower.call(call, self.work, fault=fault, at=at)

    def _read(self) -> dict[str, object]:
        return self.scenario.simplify(read_contents(self.work))

    def _check_rest(self, run: WatchedRun) -> list[str]:
        """Return what a run may not do whatever befell it."""
        made = {each.path for each in run.outside if each.kind in ("open", "mkdir")}
        problems = [  # Python takes the next temporary folder when one is full, and tidies up there
            f"changed outside: {each.kind} {each.path}"
            for each in run.outside
            if each.path not in made or Path(each.path).exists()
        ]
        if run.code < 0 and not run.is_killed:
            problems.append(f"ended by signal {-run.code}")
        return problems

    def _find_losses(self) -> list[str]:
        """Return which files of the user are gone, doubled or changed."""
        if self.scenario.moves:
            before, now = (
                Counter(list_files(root, photos_only=True).values())
                for root in (self._input, self.work)
            )
            return [f"lost: a photo of {digest[:8]}" for digest in before - now] + [
                f"twice: a photo of {digest[:8]}" for digest in now - before
            ]
        now = list_files(self.work)
        return [
            f"lost or changed: {path}"
            for path, digest in list_files(self._input).items()
            if now.get(path) != digest
        ]

    def _find_halves(self) -> list[str]:
        """Return what is damaged or incomplete under its final name."""
        problems = [f"damaged: {each}" for each in find_damaged(self.work, self._expected)]
        for folder, needed in self.scenario.whole_folders.items():
            if (self.work / folder).is_dir() and any((self.work / folder).iterdir()):
                wanted = needed or [
                    path.removeprefix(f"{folder}/")
                    for path in self._expected
                    if path.startswith(f"{folder}/") and not path.endswith("/")
                ]
                problems += [
                    f"incomplete: {folder} without {name}"
                    for name in wanted
                    if not (self.work / folder / name).exists()
                ]
        return problems

    def _check_error(self, run: WatchedRun, change: Change) -> list[str]:
        """Return what is wrong with how a command ends on a full disk."""
        left = [f"left over: {each}" for each in find_hidden(self.work, self._expected)]
        if run.code == 0:
            if self.scenario.may_go_on(change):
                return left
            return [*left, *(f"exit code 0, but {each}" for each in self._list_unlike()[:3])]
        said = next((line for line in run.text.splitlines() if line.startswith("Error:")), "")
        text = run.text[run.text.find("Error:") :] if said else ""
        if run.code != 1:
            left.append(f"exit code {run.code}")
        if not said:
            return [*left, f"no error line: {run.text.strip()[-200:]}"]
        if not re.search(r"room|space", text):
            left.append(f"no advice: {said}")
        places = self._list_places(run.changes[change.number - 1])
        if not any(place in text for place in places):
            left.append(f"the place {places[-1]} is not named: {said}")
        return left

    def _list_unlike(self) -> list[str]:
        return find_unlike(self._expected, self._read())

    def _list_places(self, change: Change) -> list[str]:
        """Return what a user knows of where a change is: the file, and the folders it lies in."""
        parts = Path(change.path).relative_to(self.work).parts
        if parts[0] == "tmp":  # it is named where it really has no room
            return [""]
        known = next((i for i, part in enumerate(parts) if part.startswith(".")), len(parts))
        shown = parts[:known] or (str(self.work),)
        fewest = min(2, len(shown))  # the data set's folder alone would be too little
        return ["/".join(shown[:count]) for count in range(len(shown), fewest - 1, -1)]


def choose_faults(
    trial: Trial, *, every: bool, most: int, faults: Iterable[str] = (*KILLS, *FULL)
) -> list[tuple[str, Change]]:
    """Choose faults: all, or first, middle and last of every kind of change of a kind of file."""
    chosen = []
    for fault in faults:
        fits = [change for change in trial.whole.changes if _fits(fault, change)]
        groups: dict[tuple[str, str], list[Change]] = {}
        for change in fits:
            groups.setdefault(
                (change.kind, _simplify(_shorten(change.path, trial.work))), []
            ).append(change)
        few = {
            group[index].number
            for group in groups.values()
            for index in ((0, len(group) // 2, -1) if most > 1 else (0,))
        }
        chosen += [(fault, change) for change in fits if every or change.number in few]
    return chosen


def _fits(fault: str, change: Change) -> bool:
    """Tell whether a fault at a change differs from the fault at the next one."""
    if fault.endswith("half-way"):
        return change.can_be_halved
    return change.kind != "fsync" if fault in KILLS else change.takes_space


def _simplify(path: str) -> str:
    """Return the kind of a file: its path without what differs from photo to photo, run to run."""
    if path.lower().endswith(PHOTO_SUFFIXES):
        return f"{Path(path).parent}/photo"
    return re.sub(r"\d+", "0", re.sub(r"^tmp/[^/]+", "tmp/any", path))


def try_command(
    scenario: Scenario,
    *,
    every: bool = False,
    most: int = 3,
    faults: Iterable[str] = (*KILLS, *FULL),
    only: str = "",
) -> Findings:
    """Try faults in one command; a line on the standard error stream for each that goes wrong."""
    begin, findings = time.monotonic(), Findings(scenario.name)
    folder = tempfile.mkdtemp(prefix="disk-faults-")  # no finaliser, which forks would run, too
    try:
        trial = Trial(scenario, Path(folder).resolve())
        findings.changes = len(trial.whole.changes)
        chosen = choose_faults(trial, every=every, most=most, faults=faults)
        chosen = [each for each in chosen if re.search(only, each[1].path)]
        for number, (fault, change) in enumerate(chosen, start=1):
            problems, run = trial.try_fault(fault, change)
            change = Change(**{**asdict(change), "path": _shorten(change.path, trial.work)})
            findings.add(fault, change, [_shorten(each, trial.work) for each in problems], run)
            if problems:
                place = f"{findings.command} {number}/{len(chosen)}: {fault} at {change.number}"
                print(f"{place}: {problems[:3]}", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(folder)
    findings.seconds = time.monotonic() - begin
    return findings


def import_all(*, heavy: bool) -> None:
    """Import once, for all runs, what commands import when they are called."""
    names = ["data.cleaning", "data.synthetic", "data.sources", "experiments.label_errors"]
    for name in names + ["experiments.exporting", "training"] * heavy:
        importlib.import_module(f"emoclf.{name}")
    Image.init()
    tqdm.monitor_interval = 0  # a thread that watches progress bars


def _shorten(text: str, work: Path) -> str:
    return text.replace(f"{work}/", "").replace(str(work), ".")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(SCENARIOS))
    parser.add_argument("--all", action="store_true", help="every single change")
    parser.add_argument("--most", type=int, default=3, help="faults per kind of change: 1 or 3")
    parser.add_argument("--fault", action="append", choices=(*KILLS, *FULL))
    parser.add_argument("--only", default="", help="regular expression that paths must match")
    parser.add_argument("--report", type=Path, help="where the findings go, as JSON")
    arguments = parser.parse_args()
    names = arguments.commands or list(SCENARIOS)
    import_all(heavy=any(SCENARIOS[name].is_heavy for name in names))
    found = []
    for name in names:
        findings = try_command(
            SCENARIOS[name],
            every=arguments.all,
            most=arguments.most,
            faults=arguments.fault or (*KILLS, *FULL),
            only=arguments.only,
        )
        print(findings.describe(), flush=True)
        found.append(asdict(findings))
        if arguments.report:
            arguments.report.write_text(json.dumps(found, indent=1))
    sys.exit(any(each["wrong"] or each["tracebacks"] for each in found))


if __name__ == "__main__":
    main()
