"""A lesson in JupyterLab: open it, run all cells, see its last picture and no error."""
import shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path

import pytest

from browser import browser

NBS = Path(__file__).parent.parent/'nbs'
LESSON = '04_one_hot'

@pytest.fixture
def lab(tmp_path):
    "Address of a JupyterLab over a copy of one lesson without its outputs"
    shutil.copy(NBS/f'{LESSON}.ipynb', tmp_path)
    subprocess.run([sys.executable, '-m', 'nbconvert', '--clear-output', '--inplace', str(tmp_path/f'{LESSON}.ipynb')], check=True, capture_output=True)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = ['--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', '--IdentityProvider.token=t', f'--ServerApp.root_dir={tmp_path}', '--LabApp.news_url=None']
    with (tmp_path/'lab.log').open('w') as log: process = subprocess.Popen([sys.executable, '-m', 'jupyterlab', *args], stdout=log, stderr=log)
    try:
        for _ in range(120):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api/status?token=t')
            except OSError: time.sleep(0.5)
            else: break
        yield f'http://127.0.0.1:{port}/lab/tree/{LESSON}.ipynb?token=t'
    finally:
        process.terminate()
        process.wait()

def test_run_all_cells(lab):
    with browser() as b:
        page = b.new_page(viewport={'width': 1400, 'height': 900})
        page.goto(lab)
        page.wait_for_selector('.jp-Notebook .jp-CodeCell', timeout=60_000)
        page.wait_for_function("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'", timeout=60_000)
        page.click('text="Run"')
        page.click('.lm-Menu-item:has-text("Run All Cells") >> nth=0')
        page.wait_for_selector('.jp-OutputArea-output img', timeout=120_000)
        page.wait_for_function("document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'", timeout=120_000)
        page.wait_for_timeout(1_000)
        for _ in range(40): # JupyterLab draws only what is near the window: scroll through it all
            page.mouse.move(900, 500)
            page.mouse.wheel(0, 800)
            page.wait_for_timeout(50)
            assert page.locator('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]').count() == 0
        assert page.locator('.jp-OutputArea-output img').count() > 0
