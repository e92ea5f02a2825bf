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

#: texts whose contrast with what is behind them is under WCAG's AA: 4.5, or 3 for large letters
FAINT = r"""() => {
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m }
  const over = (a, b) => [...a.slice(0, 3).map((o, i) => o * a[3] + b[i] * (1 - a[3])), 1]
  const light = c => c.slice(0, 3).map(o => o / 255).map(o => o <= 0.04045 ? o / 12.92 : ((o + 0.055) / 1.055) ** 2.4)
                      .reduce((sum, o, i) => sum + o * [0.2126, 0.7152, 0.0722][i], 0)
  const behind = el => el ? over(parse(getComputedStyle(el).backgroundColor), behind(el.parentElement)) : [255, 255, 255, 1]
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = []
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), el = texts.currentNode.parentElement
    if (!text || !el.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue
    const style = getComputedStyle(el), size = parseFloat(style.fontSize), back = behind(el)
    const [a, b] = [over(parse(style.color), back), back].map(light).sort((a, b) => b - a), ratio = (a + 0.05) / (b + 0.05)
    if (ratio < (size >= 24 || size >= 18.66 && style.fontWeight >= 700 ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`)
  }
  return found
}"""

LESSONS = sorted(o.stem for o in (ROOT/'nbs').glob('[0-9]*.ipynb'))
PAGES = sorted(o.relative_to(ROOT/'nbs').with_suffix('').as_posix() for o in (ROOT/'nbs').rglob('[!_.]*') if o.suffix in ('.ipynb', '.md') and '.ipynb_checkpoints' not in o.parts)

def test_next_leads_from_the_first_page_to_the_last(page, site):
    page.goto(f'{site}/index.html')
    for name in LESSONS:
        page.click('a.right-next')
        page.wait_for_load_state()
        assert page.url == f'{site}/{name}.html'
        assert not page.wrong
    assert all(o.startswith(site) for o in page.asked), 'the site asks a third party for something'

@pytest.mark.parametrize('name', PAGES)
def test_page(name, page, site):
    "No broken image or link, an alternative text for each image, formulas in the middle and none raw, no sideways scrolling on a phone"
    assert page.goto(f'{site}/{name}.html').ok
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
    off = page.eval_on_selector_all('div.math', """all => all.map(o => {
        const box = o.getBoundingClientRect(), formula = o.querySelector('math > *').getBoundingClientRect()
        return Math.abs(formula.left - box.left - (box.right - formula.right))})""")
    assert all(o < 3 for o in off), f'{name}: formulas {off} pixels off the middle'
    page.set_viewport_size({'width': 400, 'height': 800})
    page.wait_for_timeout(100)
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert not page.wrong

@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_contrast(theme, page, site):
    "Every text of every page stands out from what is behind it; and the measure finds one that does not"
    for name in PAGES:
        assert page.goto(f'{site}/{name}.html').ok
        page.evaluate(f'document.documentElement.dataset.theme = "{theme}"')
        page.add_style_tag(content='* { transition: none !important }')
        assert not page.evaluate(FAINT), name
    page.add_style_tag(content='article p { color: #777 !important; background: #888 !important }')
    assert page.evaluate(FAINT)
