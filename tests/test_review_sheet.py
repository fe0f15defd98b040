"""The review sheet in a real Chromium: hostile names stay text, decisions come back exactly."""

import csv
import shutil
import time

import pytest

from emoclf.data.cleaning import find_problems
from emoclf.experiments.label_errors import (
    apply_decisions,
    load_decisions,
    rank_label_errors,
    save_review_sheet,
)
from tests.calls import PATIENCE_SECONDS
from tests.test_label_errors import HOSTILE, answer, hash_files, save_picture
from tests.test_live_browser import open_browser

CAUGHT = """
return [...document.querySelectorAll("img")].filter((each) => !each.src.startsWith("data:")).length
  + document.querySelectorAll("legend *:not(bdi)").length;
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A folder of hostile names, all of them listed, and its sheet."""
    root = tmp_path_factory.mktemp("hostile") / "data"
    for number, name in enumerate(HOSTILE):
        save_picture(root / "sad" / name.replace("/", "_"), number)
    for number in range(4):
        save_picture(root / "happy" / f"{number}.png", 50 + number)
    report = find_problems(root, progress=False)
    kept = report.kept
    wrong = {row.path for row in kept.rows if kept.class_names[row.label] == "Sad"}
    review = rank_label_errors(answer(report, wrong), report, mistakes=100)
    assert {each.path for each in review.label_errors} == wrong
    assert len(wrong) == len(HOSTILE)
    return root, save_review_sheet(review, root.parent / "review")


def find_errors(driver):
    logged = driver.get_log("browser")
    return [line for line in logged if line["level"] == "SEVERE" and "favicon" not in str(line)]


def wait_for(path, *, seconds=PATIENCE_SECONDS):
    for _ in range(seconds * 20):
        if path.is_file():
            return path
        time.sleep(0.05)
    pytest.fail(f"{path} was not saved")


def test_the_sheet_is_driven_by_keys_and_saves_the_decisions(hostile, tmp_path):
    root, sheet = hostile
    with open_browser(sheet.page.as_uri()) as driver:
        driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)}
        )
        assert driver.execute_script(CAUGHT) == 0
        assert "0 of 15 decided" in driver.find_element("id", "count").text
        driver.find_element("css selector", "input").send_keys("mks")
        driver.find_elements("css selector", "fieldset")[3].find_elements("tag name", "input")[
            2
        ].click()
        assert "4 of 15 decided" in driver.find_element("id", "count").text
        driver.find_element("id", "show").click()
        shown = driver.find_element("id", "text").get_property("value")
        driver.find_element("id", "save").click()
        saved = load_decisions(wait_for(tmp_path / "decisions.csv"))
        assert find_errors(driver) == []
    blank = load_decisions(sheet.table)
    assert [each.path for each in saved] == [each.path for each in blank]
    assert [each.sha256 for each in saved] == [each.sha256 for each in blank]
    assert [each.action for each in saved] == ["move", "keep", "set_aside", "move"] + [""] * 11
    assert [row[3] for row in csv.reader(shown.splitlines())][1:5] == [
        each.action for each in saved[:4]
    ]
    copy = tmp_path / "data"
    shutil.copytree(root, copy)
    result = apply_decisions(copy, tmp_path / "decisions.csv", dry_run=False)
    assert len(result.moved) == 3
    assert result.left == ()
    assert len(hash_files(copy)) == len(hash_files(root)) - 1


def test_the_policy_of_the_page_runs_no_other_script_and_fetches_nothing(hostile):
    _, sheet = hostile
    with open_browser(sheet.page.as_uri()) as driver:
        driver.execute_script(
            "const script = document.createElement('script');"
            "script.textContent = 'window.ran = true'; document.body.append(script);"
            "const image = new Image(); image.src = 'http://127.0.0.1:9/x.png';"
        )
        assert driver.execute_script("return window.ran") is None
        messages = " ".join(line["message"] for line in driver.get_log("browser"))
        assert messages.count("Content Security Policy") == 2


def test_names_are_shown_as_text(hostile):
    _, sheet = hostile
    with open_browser(sheet.page.as_uri()) as driver:
        legends = [each.text for each in driver.find_elements("tag name", "legend")]
        labels = driver.execute_script(
            "return [...document.querySelectorAll('input')].map((each) => each.labels.length)"
        )
        names = driver.execute_script(
            "return [...document.querySelectorAll('img')].filter((each) => !each.alt).length"
        )
    assert any("sad/<img src=x onerror=alert(1)>.jpg" in legend for legend in legends)
    assert any("\\u202e" in legend for legend in legends)
    assert any("\\udcff" in legend for legend in legends)
    assert set(labels) == {1}
    assert names == 0


def test_in_a_notebook_the_sheet_runs_in_a_frame_of_its_own(hostile, tmp_path):
    _, sheet = hostile
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!DOCTYPE html><body>{sheet._repr_html_()}", encoding="utf-8")
    with open_browser(outer.as_uri()) as driver:
        driver.switch_to.frame(driver.find_element("tag name", "iframe"))
        driver.find_element("css selector", "input").send_keys("k")
        assert "1 of 15 decided" in driver.find_element("id", "count").text
        assert find_errors(driver) == []
