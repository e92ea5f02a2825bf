"""The site, as a reader's browser sees it. `make test` builds it."""
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest

from browser import browser, serve

ROOT = Path(__file__).parent.parent
SITE = ROOT/'build'/'site'

@pytest.fixture(scope='module')
def site():
    if not (SITE/'index.html').exists(): pytest.skip('no site in build/site: make site builds it')
    with serve(SITE) as address: yield address

@pytest.fixture(scope='module')
def chrome():
    with browser() as b: yield b

@pytest.fixture
def page(chrome, site):
    "A page that keeps what went wrong on it, and every address it asked for"
    page = chrome.new_page()
    page.wrong, page.asked = [], []
    page.on('console', lambda o: o.type in ('error', 'warning') and page.wrong.append(o.text))
    page.on('pageerror', lambda o: page.wrong.append(str(o)))
    page.on('request', lambda o: page.asked.append(o.url))
    page.on('response', lambda o: o.status >= 400 and page.wrong.append(f'{o.status} {o.url}'))
    yield page
    page.close()

LESSONS = sorted(o.stem for o in (ROOT/'nbs').glob('[0-9]*.ipynb'))

def test_next_leads_from_the_first_page_to_the_last(page, site):
    page.goto(f'{site}/index.html')
    for name in LESSONS:
        page.click('a.right-next')
        page.wait_for_load_state()
        assert page.url == f'{site}/{name}.html'
        assert not page.wrong
    assert all(o.startswith(site) for o in page.asked), 'the site asks a third party for something'

@pytest.mark.parametrize('name', ['index', *LESSONS, 'cli', 'exercises', 'bad_input', 'api'])
def test_page(name, page, site):
    "No broken image or link, an alternative text for each image, no raw formula, no sideways scrolling on a phone"
    page.goto(f'{site}/{name}.html')
    images = page.eval_on_selector_all('img', 'all => all.map(o => [o.src, o.alt, o.complete && o.naturalWidth > 0 || o.loading == "lazy"])')
    assert all(alt for _, alt, _ in images), [src for src, alt, _ in images if not alt]
    assert all(ok for *_, ok in images), [src for src, _, ok in images if not ok]
    links = page.eval_on_selector_all('article a[href], .prev-next-footer a[href]', 'all => all.map(o => o.getAttribute("href"))')
    for link in {urldefrag(urljoin(page.url, o)) for o in links}:
        if not link.url.startswith(site): continue
        reply = page.request.get(link.url)
        assert reply.ok, f'{name} links to {link.url}, which is not there'
        if link.fragment: assert f'id="{link.fragment}"' in reply.text(), f'{name} links to {link.url}#{link.fragment}, which is not there'
    text = page.inner_text('article')
    for sign in ('$$', '\\frac', '\\sum', '<details>'): assert sign not in text, f'{name} shows raw {sign}'
    assert not any('#| ' in o for o in page.locator('.cell_input').all_inner_texts()), f'{name} shows directives'
    page.set_viewport_size({'width': 400, 'height': 800})
    page.wait_for_timeout(100)
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert not page.wrong
