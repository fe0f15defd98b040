import errno
import os
import sys
import threading
import types

import numpy as np
import PIL
import pytest

from emoclf import runtime
from emoclf.images import memory


def test_this_is_not_colab():
    assert not runtime.in_colab()
    assert runtime.mount_drive() is None


@pytest.fixture
def colab(monkeypatch):
    """A stand-in for Colab's modules that records what is mounted."""
    mounted = []
    drive = types.ModuleType("google.colab.drive")
    drive.mount = mounted.append
    package = types.ModuleType("google.colab")
    package.drive = drive
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setitem(sys.modules, "google.colab.drive", drive)
    return drive, mounted


def test_drive_is_mounted_in_colab(colab):
    _, mounted = colab
    assert runtime.in_colab()
    assert runtime.mount_drive("/somewhere/drive").as_posix() == "/somewhere/drive"
    assert mounted == ["/somewhere/drive"]


class MessageError(Exception):
    """What Colab raises when the user refuses."""


@pytest.mark.parametrize("kind", [ValueError, MessageError])
def test_a_refused_mount_says_what_to_do(colab, kind):
    def refuse(_path):
        raise kind("mount failed")

    colab[0].mount = refuse
    with pytest.raises(RuntimeError, match="allow the access"):
        runtime.mount_drive()


def test_a_drive_that_is_mounted_is_not_mounted_again(colab, tmp_path):
    (tmp_path / "MyDrive").mkdir()
    assert runtime.mount_drive(tmp_path) == tmp_path
    assert colab[1] == []


def test_a_drive_whose_connection_is_lost_counts_as_refused(colab, monkeypatch):
    """Colab says that it is mounted already, and every look at it fails."""

    def fail(_path, **_options):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr(runtime.Path, "stat", fail)
    with pytest.raises(RuntimeError, match=r"endpoint is not connected.*allow the access"):
        runtime.mount_drive("/somewhere/drive")
    assert colab[1] == ["/somewhere/drive"]


def test_hardware_is_described():
    hardware = runtime.find_hardware()
    assert hardware.cpu_count >= 1
    assert f"{hardware.cpu_count} CPU cores" in str(hardware)
    with_card = runtime.Hardware(2, ("Tesla T4",), 12.7)
    assert str(with_card) == "2 CPU cores, 13 GiB of memory, Tesla T4"


def test_versions_tell_what_is_missing(monkeypatch):
    monkeypatch.setattr(runtime, "PACKAGES", ("numpy", "no-such-package"))
    versions = runtime.find_versions()
    assert versions["numpy"] == np.__version__
    assert versions["no-such-package"] == "not installed"


def test_doctor_names_what_is_missing_or_old_and_the_remedy(monkeypatch):
    versions = dict.fromkeys(runtime.PACKAGES, "99.0.0")
    monkeypatch.setattr(runtime, "find_versions", lambda: versions)
    monkeypatch.setattr(runtime, "_find_version", {}.get)
    assert runtime.doctor() == []
    versions.update({"imagehash": "not installed", "pillow": "11.3.0", "keras": "3.13.2"})
    findings = runtime.doctor()
    assert len(findings) == 3
    assert "pip install imagehash" in findings[0]
    assert "pip install 'pillow>=13.0.0'" in findings[1]
    assert "keras 3.13.2" in findings[2]


@pytest.mark.parametrize(("gradio", "said"), [("6.31.0", "Gradio"), (None, "pillow>=13.0.0")])
def test_doctor_and_the_decoder_say_the_same_of_an_old_pillow(monkeypatch, gradio, said):
    """Gradio wants a Pillow below 13: whoever installed it is not told to install 13."""
    versions = dict.fromkeys(runtime.PACKAGES, "99.0.0") | {"pillow": "12.3.0"}
    monkeypatch.setattr(runtime, "find_versions", lambda: versions)
    monkeypatch.setattr(runtime, "_find_version", {"gradio": gradio}.get)
    monkeypatch.setattr(PIL, "__version__", "12.3.0")
    monkeypatch.setattr(memory, "_old_pillow_warned", threading.Event())
    with pytest.warns(memory.OldPillowWarning) as warned:
        memory.warn_if_pillow_is_old()
    assert [str(each.message) for each in warned] == runtime.doctor()
    assert said in runtime.doctor()[0]
    assert ("pip install" in runtime.doctor()[0]) == (gradio is None)


def test_a_package_counts_under_its_other_names(monkeypatch):
    installed = {"opencv-python-headless": "5.0.0", "tensorflow-cpu": "2.20.0"}
    monkeypatch.setattr(runtime, "_find_version", installed.get)
    versions = runtime.find_versions()
    assert versions["opencv-python"] == "5.0.0"
    assert versions["tensorflow"] == "2.20.0"
    assert versions["keras"] == "not installed"


def test_doctor_says_what_keeps_opencv_from_loading(monkeypatch):
    versions = dict.fromkeys(runtime.PACKAGES, "99.0.0")
    monkeypatch.setattr(runtime, "find_versions", lambda: versions)
    monkeypatch.setitem(sys.modules, "cv2", None)
    (finding,) = runtime.doctor()
    assert "cannot be loaded" in finding
    assert "pip install opencv-python-headless" in finding


def test_seeds_make_random_numbers_repeat():
    runtime.set_seeds(3)
    first = np.random.random()
    runtime.set_seeds(3)
    assert np.random.random() == first


def test_quiet_start_silences_native_code_and_nothing_else(capfd):
    with runtime.quiet_start():
        os.write(2, b"native noise")
        print("a sentence")
    os.write(2, b"heard again")
    printed, errors = capfd.readouterr()
    assert errors == "heard again"
    assert "a sentence" in printed
    with pytest.raises(KeyError), runtime.quiet_start():
        raise KeyError
