"""JupyterLab as a reader uses it: run a lesson, touch what can be touched, save, and open again."""
import json, os, shutil, signal, socket, subprocess, sys, time, urllib.error, urllib.request
from functools import partial
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from browser import browser

NBS = Path(__file__).parent.parent/'nbs'
LESSON = '04_one_hot'
pytestmark = pytest.mark.slow

def cells_with(name, *words):
    "Sources of the cells of the page `name` that hold any of `words`"
    nb = nbformat.read(NBS/f'{name}.ipynb', as_version=4)
    return [o.source for o in nb.cells if o.cell_type == 'code' and any(w in o.source for w in words)]

class Lab:
    "A JupyterLab over `folder`, and a browser `page` on it"
    def __init__(self, folder, address, page): self.folder, self.address, self.page = folder, address, page
    def ask(self, what):
        with urllib.request.urlopen(f'{self.address}/api/{what}?token=t') as answer: return json.load(answer)
    def open(self, name, cells=()):
        "Open the notebook `name`, made of `cells` if there are any"
        if cells: nbformat.write(new_notebook(cells=[new_code_cell(o) for o in cells], metadata={'kernelspec': {'name': 'python3', 'display_name': 'python3'}}), self.folder/f'{name}.ipynb')
        self.file = self.folder/f'{name}.ipynb'
        self.page.goto(f'{self.address}/lab/tree/{name}.ipynb?token=t&reset')
        self.page.wait_for_selector('.jp-Notebook .jp-CodeCell', timeout=120_000)
    def run(self):
        "Run all cells once a kernel is there (those that are run before stay as they are); returns the saved cells"
        for _ in range(1_200):
            try: kernels = self.ask('kernels')
            except urllib.error.HTTPError: kernels = [] # it is busy making one
            if any(o['connections'] and o['execution_state'] == 'idle' for o in kernels): break
            self.page.wait_for_timeout(100)
        else: raise TimeoutError('JupyterLab starts no kernel')
        self.page.click('.jp-Notebook .jp-Cell >> nth=0')
        self.page.click('.lm-MenuBar-item:has-text("Run")')
        self.page.click('.lm-Menu-item[data-command="runmenu:run-all"]')
        idle = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'"
        for _ in range(60): # it is idle, too, between a click and its first cell
            self.page.wait_for_timeout(500)
            self.page.wait_for_function(idle, timeout=120_000)
            cells = self.save()
            if all(o.execution_count for o in cells): break
        assert not [o for cell in cells for o in cell.outputs if o.output_type == 'error'], cells
        assert all(o.execution_count for o in cells), [i for i, o in enumerate(cells) if not o.execution_count]
        return cells
    def save(self):
        "The code cells of the notebook as JupyterLab now saves it"
        before = self.file.stat().st_mtime_ns
        self.page.keyboard.press('Control+s')
        for _ in range(100):
            self.page.wait_for_timeout(100)
            if self.file.stat().st_mtime_ns == before: continue
            try: return [o for o in nbformat.read(self.file, as_version=4).cells if o.cell_type == 'code']
            except nbformat.reader.NotJSONError: pass # it is still writing
        raise TimeoutError('JupyterLab does not save')
    def stop(self):
        "End the kernels, as closing JupyterLab does"
        for o in self.ask('sessions'): urllib.request.urlopen(urllib.request.Request(f'{self.address}/api/sessions/{o["id"]}?token=t', method='DELETE'))

def end(process, send):
    "Ask a process to end, and make it where it does not: now and then JupyterLab stops half way through its own end"
    send(signal.SIGTERM)
    try: process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        send(signal.SIGKILL)
        process.wait()

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

@pytest.fixture(scope='module')
def server(tmp_path_factory):
    "Folder and address of a JupyterLab"
    folder = tmp_path_factory.mktemp('lab')
    port = free_port()
    args = ['--no-browser', '--allow-root', '--ip=127.0.0.1', f'--port={port}', '--IdentityProvider.token=t', f'--ServerApp.root_dir={folder}',
            '--LabApp.news_url=None', f'--LabApp.workspaces_dir={folder/"workspaces"}', f'--LabApp.user_settings_dir={folder/"settings"}']
    env = {k: v for k, v in os.environ.items() if k not in ('MPLBACKEND', 'TQDM_DISABLE')} # pictures and bars, as a reader has them
    with (folder/'lab.log').open('w') as log: process = subprocess.Popen([sys.executable, '-m', 'jupyterlab', *args], stdout=log, stderr=log, env=env)
    try:
        for _ in range(240):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api/status?token=t')
            except OSError: time.sleep(0.25)
            else: break
        yield folder, f'http://127.0.0.1:{port}'
    finally:
        end(process, process.send_signal)

@pytest.fixture
def lab(server):
    "What is wrong on its page is kept in `wrong`"
    with browser() as b:
        lab = Lab(*server, b.new_page(viewport={'width': 1366, 'height': 768}))
        lab.wrong = []
        lab.page.on('pageerror', lambda o: lab.wrong.append(str(o)))
        yield lab
        lab.stop()
        assert not lab.wrong

def test_run_all_cells(lab):
    nb = nbformat.read(NBS/f'{LESSON}.ipynb', as_version=4)
    stored = [o for o in nb.cells if o.cell_type == 'code']
    pictures = [i for i, o in enumerate(stored) if any('image/png' in out.get('data', {}) for out in o.outputs)]
    for cell in stored: cell.outputs, cell.execution_count = [], None
    nbformat.write(nb, lab.folder/f'{LESSON}.ipynb')
    lab.open(LESSON)
    cells, page = lab.run(), lab.page
    assert pictures and pictures == [i for i, o in enumerate(cells) if any('image/png' in out.get('data', {}) for out in o.outputs)]
    for _ in range(100): # JupyterLab draws only what is near the window: scroll to the last picture
        last = page.locator('.jp-OutputArea-output img').last
        if page.locator('.jp-OutputArea-output img').count() and last.is_visible() and page.locator('.jp-Cell').last.is_visible(): break
        page.mouse.move(900, 500)
        page.mouse.wheel(0, 800)
        page.wait_for_timeout(50)
    assert last.evaluate('o => o.complete && o.naturalWidth > 0')

def test_table_to_search(lab):
    "The whole table is in sight, sorts at a click, says how to find what was cut, and leaves the notebook small"
    lab.open('table', ['from collab_course.all import *', 'ratings = load_ratings()\nshow_table(ratings)'])
    lab.run()
    page, table = lab.page, lab.page.locator('.jp-OutputArea-output:has(table)')
    edge = table.bounding_box()
    for o in table.locator('th, td').all():
        box = o.bounding_box()
        assert edge['x'] <= box['x'] and box['x'] + box['width'] <= edge['x'] + edge['width'] + 1
    filters = table.locator('thead input')
    assert filters.count() == 5 and all(o.is_visible() for o in filters.all())
    column = lambda i: table.locator(f'tbody tr td:nth-child({i + 1})').all_inner_texts()
    for sign in (1, -1):
        table.locator('th:has-text("user")').get_by_role('button').click()
        users = [*map(int, column(0))]
        assert len(users) == 10 and users == sorted(users, reverse=sign < 0) and (users[0] == 1) == (sign > 0)
    cells = page.locator('.jp-Cell').count()
    filters.nth(4).press_sequentially('bab')
    assert {'Babe (1995)'} <= {*column(4)} and all('bab' in o.lower() for o in column(4))
    assert page.locator('.jp-Cell').count() == cells, 'letters that were typed into the table reached the notebook'
    filters.nth(2).fill('>4')
    assert {*column(2)} == {'5'}
    assert 'of 100,000 rows are on this page' in table.inner_text() and "show_table(df[df.title" in table.inner_text()
    lab.save()
    assert lab.file.stat().st_size < 300_000

def test_progress_bar_leaves_nothing(lab):
    "A bar is seen while it runs; saved and opened again, nothing is left of it"
    lab.open('bar', ['import time\nfrom collab_course.all import *\nfrom collab_course.notebook import Bar', "for o in Bar(range(8)): time.sleep(0.5)\nprint('done')"])
    cells = lab.run()
    assert not [o for o in cells[1].outputs if o.output_type == 'stream' and o.name == 'stderr']
    assert not [o for o in cells[1].outputs if 'application/vnd.jupyter.widget-view+json' in o.get('data', {})]
    lab.stop()
    lab.open('bar')
    lab.page.wait_for_selector('text=done')
    assert 'Error displaying' not in lab.page.inner_text('.jp-Notebook')

START = 'import os\nfrom collab_course.all import *\nplt.style.use("collab_course.course")'

def typed(lab, box, text):
    "Type `text` into `box`; none of it reaches the notebook"
    cells = lab.page.locator('.jp-Cell').count()
    box.fill('')
    box.press_sequentially(text)
    assert lab.page.locator('.jp-Cell').count() == cells, 'letters that were typed into a field reached the notebook'

def test_picker_of_titles(lab):
    "One types into it; and saved and opened again, the notebook shows no error"
    lab.open('picker', [START + "\nknown = load_ratings().groupby('title').size().nlargest(605).to_frame()\n"
                        "def near(title, by): return pd.Series({f'{by} to {title}': 1.0})", *cells_with('12_interpretation', 'def pick(')])
    lab.run()
    box = lab.page.locator('.jp-OutputArea-output input[list]')
    typed(lab, box, 'Babe (1995)')
    box.press('Enter')
    lab.page.wait_for_selector('td, th >> text=cosine to Babe (1995)')
    lab.page.click('button:has-text("euclidean")')
    lab.page.wait_for_selector('th >> text=euclidean to Babe (1995)')
    lab.save()
    lab.stop()
    lab.open('picker')
    lab.page.wait_for_selector('text=euclidean')
    assert 'Error displaying' not in lab.page.inner_text('.jp-Notebook')

def test_form_with_stars(lab):
    "All stars and the list are in sight, and a click changes the list"
    lab.open('form', [START + "\nlearn = None\ndef recommend(learn, seen, n): return pd.DataFrame({'title': [str(sum(seen.values())) + ' stars and a title of 36 letters'] * n, 'prediction': 4.567, 'average': 3.21, 'match': 1.357})\n"
                      "def shown(table): return table.round(2)", *cells_with('15_new_users', 'mine = {', 'def rate(', 'ToggleButtons')])
    lab.run()
    page = lab.page
    form, listed = page.locator('.widget-toggle-buttons').first, page.locator('.jp-OutputArea-output table:has-text("match")')
    form.scroll_into_view_if_needed()
    area = page.locator('.jp-OutputArea-child:has(.widget-toggle-buttons)').first.bounding_box()
    stars = form.locator('button')
    assert stars.all_inner_texts() == ['not seen', '1★', '2★', '3★', '4★', '5★']
    for o in (*stars.all(), listed):
        box = o.bounding_box()
        assert box['x'] + box['width'] <= area['x'] + area['width']
    assert all(o.evaluate('o => o.scrollWidth <= o.clientWidth') for o in stars.all())
    assert listed.bounding_box()['x'] > stars.last.bounding_box()['x'] and abs(listed.bounding_box()['y'] - form.bounding_box()['y']) < 200
    before = listed.inner_text()
    stars.first.click()
    page.wait_for_function('before => document.querySelector(".jp-OutputArea-output table").innerText != before', arg=before)

def test_slider_draws_whole_labels_and_a_legend(lab):
    lab.open('slider', [START + "\ntable = crosstab(load_ratings(), 15, 15)\nR, trained, learned = tensor(table.to_numpy()), crosstab_params(), 0.5\ndrawn = []\n"
                        "plt.show = lambda: drawn.append([[o.get_text() for o in plt.gca().get_yticklabels()], [o.get_text() for o in plt.gcf().legends[0].get_texts()]])",
                        *cells_with('library/spreadsheet', 'def draw_user(', 'def slide('), 'print(*drawn, [list(table), ["rated", "predicted"]], sep="\\n")'])
    *drawn, wanted = lab.run()[-1].outputs[0].text.splitlines()
    assert drawn and drawn[-1] == wanted
    assert lab.page.locator('.widget-slider').count()

def test_a_copy_of_ones_own(tmp_path):
    "`collab_course lab` opens the index as a page to read; what is opened from there and saved is the learner's, and the lessons stay as they were"
    lessons, mine, config, called = (tmp_path/o for o in ('nbs', 'my_lessons', 'config', 'called'))
    for o in (lessons, config): o.mkdir()
    for name in ('index', '01_data'): shutil.copy(NBS/f'{name}.ipynb', lessons)
    before = {o.name: o.read_bytes() for o in lessons.iterdir()}
    (tmp_path/'browser.py').write_text(f'import sys\nopen({str(called)!r}, "w").write(sys.argv[1])')
    server = {'allow_root': True, 'ip': '127.0.0.1', 'port': free_port(), 'browser': f'{sys.executable} {tmp_path/"browser.py"} %s'}
    (config/'jupyter_server_config.json').write_text(json.dumps({'ServerApp': server, 'IdentityProvider': {'token': 't'}}))
    env = {**os.environ, 'JUPYTER_CONFIG_DIR': str(config), 'JUPYTERLAB_WORKSPACES_DIR': str(config), 'JUPYTERLAB_SETTINGS_DIR': str(config)}
    process = subprocess.Popen([sys.executable, '-m', 'collab_course', 'lab', str(lessons)], env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with browser() as b:
            for _ in range(240):
                if called.exists() and called.read_text(): break
                time.sleep(0.25)
            page = b.new_page(viewport={'width': 1366, 'height': 768})
            page.goto(called.read_text())
            page.wait_for_selector('.jp-Notebook h1:has-text("collab_course")', timeout=120_000)
            assert page.url.split('?')[0].endswith('/lab/tree/index.ipynb')
            folded = page.locator('.jp-Notebook .jp-CodeCell:has(.jp-InputPlaceholder)')
            assert folded.count() and not page.locator('.jp-Notebook .jp-CodeCell:not(:has(.jp-InputPlaceholder)):has-text("#| hide")').count()
            page.locator('.jp-Notebook a:has-text("Learning from past behaviour")').first.click()
            page.wait_for_selector('.jp-Notebook h1:has-text("Learning from past behaviour")')
            at = (mine/'01_data.ipynb').stat().st_mtime_ns
            page.locator('.jp-NotebookPanel:visible .jp-MarkdownCell').first.click()
            page.keyboard.press('Control+s')
            for _ in range(100):
                if (mine/'01_data.ipynb').stat().st_mtime_ns != at: break
                page.wait_for_timeout(100)
            else: raise TimeoutError('JupyterLab does not save')
            page.wait_for_timeout(3_000) # it asks once all has come to rest
            assert not page.locator('text=Jupyter news').count()
    finally:
        end(process, partial(os.killpg, process.pid))
    assert {o.name: o.read_bytes() for o in lessons.iterdir()} == before
