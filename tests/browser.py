"""A headless browser for the tests, or a reason to skip them."""
import shutil
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

FOUND = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'))), None)
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']

@contextmanager
def browser():
    "A browser, or a skipped test where the machine has none"
    if not FOUND: pytest.skip('no Chromium or Chrome on this machine: install one, such as apt-get install chromium')
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=FOUND, args=FLAGS)
        try: yield b
        finally: b.close()

def watch(page):
    "Have `page` keep what goes wrong on it, every address it asks for, and how many bytes each of them sends"
    page.wrong, page.asked, page.weight = [], [], {}
    page.on('console', lambda o: o.type in ('error', 'warning') and page.wrong.append(o.text))
    page.on('pageerror', lambda o: page.wrong.append(str(o)))
    page.on('request', lambda o: page.asked.append(o.url))
    page.on('response', lambda o: page.wrong.append(f'{o.status} {o.url}') if o.status >= 400 else page.weight.update({o.url: int(o.headers.get('content-length', 0))}))
    return page

@contextmanager
def serve(folder):
    "Address of a web server over `folder`"
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=folder))
    Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()
