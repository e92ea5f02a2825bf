"""The checks of the exercises as the package has them: the page of checks and answers runs on the package in place of its own cells."""
import runpy
from pathlib import Path

import nbformat
import pytest

from collab_course import exercises

PAGE = next((Path(__file__).parent.parent/'nbs').rglob('exercises.ipynb'))

@pytest.mark.slow
def test_answers_are_right_and_mistakes_are_found(tmp_path, capsys):
    imports, *cells = [o.source for o in nbformat.read(PAGE, as_version=4).cells if o.cell_type == 'code' and not o.source.startswith('#| export')]
    of_package = 'from collab_course import exercises\nglobals().update({k: o for k, o in vars(exercises).items() if not k.startswith("__")})'
    (tmp_path/'page.py').write_text('\n\n'.join([imports, of_package, *cells]), encoding='utf-8')
    runpy.run_path(str(tmp_path/'page.py'))
    said = capsys.readouterr().out
    for name in exercises._CHECKS: assert f'Exercise {name}: right.' in said and f'Exercise {name}: not yet' in said, name
