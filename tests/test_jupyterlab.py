"""A lesson in JupyterLab: open it, run all cells, save it, and see its last picture and no error."""
import json, os, socket, subprocess, sys, time, urllib.error, urllib.request
from pathlib import Path

import nbformat
import pytest

from browser import browser

NBS = Path(__file__).parent.parent/'nbs'
LESSON = '04_one_hot.ipynb'

def blank(path):
    "Write the lesson without its outputs, as somebody opens it who will run it"
    nb = nbformat.read(NBS/LESSON, as_version=4)
    for cell in nb.cells:
        if cell.cell_type == 'code': cell.outputs, cell.execution_count = [], None
    nbformat.write(nb, path)

@pytest.fixture
def lab(tmp_path):
    "Address of a JupyterLab over a folder with one lesson in it"
    blank(tmp_path/LESSON)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = ['--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', '--IdentityProvider.token=t', f'--ServerApp.root_dir={tmp_path}',
            '--LabApp.news_url=None', f'--LabApp.workspaces_dir={tmp_path/"workspaces"}', f'--LabApp.user_settings_dir={tmp_path/"settings"}']
    env = {k: v for k, v in os.environ.items() if k not in ('MPLBACKEND', 'TQDM_DISABLE')} # pictures, as a reader has them
    with (tmp_path/'lab.log').open('w') as log: process = subprocess.Popen([sys.executable, '-m', 'jupyterlab', *args], stdout=log, stderr=log, env=env)
    try:
        for _ in range(240):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api/status?token=t')
            except OSError: time.sleep(0.25)
            else: break
        yield f'http://127.0.0.1:{port}/lab/tree/{LESSON}?token=t'
    finally:
        process.terminate()
        process.wait()

def wait_for_kernel(page, lab):
    "Wait until a kernel runs and the page has reached it: cells that are run before stay as they are"
    for _ in range(1_200):
        try:
            with urllib.request.urlopen(lab.replace(f'/lab/tree/{LESSON}', '/api/kernels')) as answer: kernels = json.load(answer)
        except urllib.error.HTTPError: kernels = [] # it is busy making one
        if any(o['connections'] and o['execution_state'] == 'idle' for o in kernels): return
        page.wait_for_timeout(100)
    raise TimeoutError('JupyterLab starts no kernel')

def saved(page, path):
    "The code cells of the notebook as JupyterLab now saves it"
    before = path.stat().st_mtime_ns
    page.keyboard.press('Control+s')
    for _ in range(100):
        page.wait_for_timeout(100)
        if path.stat().st_mtime_ns == before: continue
        try: return [o for o in nbformat.read(path, as_version=4).cells if o.cell_type == 'code']
        except nbformat.reader.NotJSONError: pass # it is still writing
    raise TimeoutError('JupyterLab does not save')

@pytest.mark.slow
def test_run_all_cells(lab, tmp_path):
    with browser() as b:
        page = b.new_page(viewport={'width': 1400, 'height': 900})
        page.goto(lab)
        page.wait_for_selector('.jp-Notebook .jp-CodeCell', timeout=120_000)
        wait_for_kernel(page, lab)
        page.click('.jp-Notebook .jp-Cell >> nth=0')
        page.click('.lm-MenuBar-item:has-text("Run")')
        page.click('.lm-Menu-item[data-command="runmenu:run-all"]')
        idle = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'"
        for _ in range(60): # it is idle, too, between a click and its first cell
            page.wait_for_timeout(1_000)
            page.wait_for_function(idle, timeout=120_000)
            cells = saved(page, tmp_path/LESSON)
            if all(o.execution_count for o in cells): break
        assert not [o for cell in cells for o in cell.outputs if o.output_type == 'error']
        assert all(o.execution_count for o in cells), [i for i, o in enumerate(cells) if not o.execution_count]
        drawn = [i for i, o in enumerate(cells) if any('image/png' in out.get('data', {}) for out in o.outputs)]
        stored = [o for o in nbformat.read(NBS/LESSON, as_version=4).cells if o.cell_type == 'code']
        assert drawn == [i for i, o in enumerate(stored) if any('image/png' in out.get('data', {}) for out in o.outputs)] != []
        for _ in range(100): # JupyterLab draws only what is near the window: scroll to the last picture
            last = page.locator('.jp-OutputArea-output img').last
            if page.locator('.jp-OutputArea-output img').count() and last.is_visible() and page.locator('.jp-Cell').last.is_visible(): break
            page.mouse.move(900, 500)
            page.mouse.wheel(0, 800)
            page.wait_for_timeout(50)
        assert last.evaluate('o => o.complete && o.naturalWidth > 0')
