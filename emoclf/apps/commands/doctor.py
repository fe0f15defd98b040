"""The command `doctor`: what is here, what is missing, and the command that fixes it."""

from __future__ import annotations

from typing import Any

from emoclf.apps.commands.options import AsJson, DetectorChoice
from emoclf.apps.commands.terminal import echo, echo_json, waiting


def doctor(*, as_json: AsJson = False, detector: DetectorChoice | None = None) -> int:
    """See what is here, what is missing, and how to fix it.

    Looks at the versions, the hardware, the face detector and the packaged network.

    Examples:
      python -m emoclf doctor
      python -m emoclf doctor --json > doctor.json

    Exit codes:
      0  everything works (what is old or could be better is listed)
      1  something is missing; the command that fixes it is listed
    """
    from emoclf.runtime import find_missing

    found = _examine(detector or DetectorChoice())
    if as_json:
        echo_json(found)
    else:
        _print_findings(found)
    is_whole = found["hardware"] and found["detector"] and found["network"]
    return 0 if is_whole and not find_missing(found["versions"]) else 1


def _examine(choice: DetectorChoice) -> dict[str, Any]:
    from emoclf.images.faces import FaceDetectorUnavailableError
    from emoclf.models.packaged import DamagedModelError, ModelCard, read_checked
    from emoclf.runtime import doctor as find_findings
    from emoclf.runtime import explain_missing, find_hardware, find_versions

    findings = find_findings()
    hardware = detector = network = None
    try:
        with waiting("Loading TensorFlow"):
            hardware = str(find_hardware())
    except ImportError as error:
        findings.append(str(explain_missing("tensorflow", error)))
    try:
        made = choice()
        detector = f"{made.description} {made.note}".strip()
    except (FaceDetectorUnavailableError, ValueError) as error:
        findings.append(str(error))
    try:
        card = ModelCard.load()
        sizes = [len(read_checked(card, name)) for name in card.sha256]
        network = f"packaged face network, {sum(sizes) / 2**20:.1f} MiB, whole"
    except DamagedModelError as error:
        findings.append(str(error))
    return {
        "versions": find_versions(),
        "hardware": hardware,
        "detector": detector,
        "network": network,
        "findings": findings,
    }


def _print_findings(found: dict[str, Any]) -> None:
    parts = {name: found[name] or "none: see below" for name in ("hardware", "detector", "network")}
    for name, value in {**found["versions"], **parts}.items():
        echo(f"{name:14} {value}")
    if not found["findings"]:
        echo("\nNothing to fix.")
    for finding in found["findings"]:
        echo(f"\n* {finding}")
