"""What the lesson, `model.ipynb`, calls beside the package: start, runs, exercises, verdicts.

`emoclf/apps/lesson/README.md` is the teacher's page.
"""

from emoclf.apps.lesson.judging import judge_classifiers
from emoclf.apps.lesson.runs import (
    compare_elsewhere,
    next_lesson_name,
    open_lesson,
    open_review,
    take_with_face,
    try_detector,
)
from emoclf.apps.lesson.showing import show_flaws, show_predictions, upload_photos
from emoclf.apps.lesson.starting import find_logs, start_lesson
