"""The site, as a reader's browser sees it. `make test` builds it."""
import re
from functools import cache
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import numpy as np, pytest
from PIL import Image

from browser import serve, watch

ROOT = Path(__file__).parent.parent
SITE = ROOT/'build'/'site'
AXE = ROOT/'build'/'axe'/'package'/'axe.min.js'

@pytest.fixture(scope='module')
def site():
    if not (SITE/'index.html').exists(): pytest.skip('no site in build/site: make site builds it')
    with serve(SITE) as address: yield address

@pytest.fixture
def page(chrome, site):
    page = watch(chrome.new_page())
    yield page
    page.close()

#: texts whose contrast with what is behind them is under WCAG's AA: 4.5, or 3 for large letters
FAINT = r"""() => {
  const parse = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m }
  const over = (a, b) => [...a.slice(0, 3).map((o, i) => o * a[3] + b[i] * (1 - a[3])), 1]
  const light = c => c.slice(0, 3).map(o => o / 255).map(o => o <= 0.04045 ? o / 12.92 : ((o + 0.055) / 1.055) ** 2.4)
                      .reduce((sum, o, i) => sum + o * [0.2126, 0.7152, 0.0722][i], 0)
  const seen = new Map([[null, [255, 255, 255, 1]]])
  const behind = el => {
    if (!seen.has(el)) seen.set(el, over(parse(getComputedStyle(el).backgroundColor), behind(el.parentElement)))
    return seen.get(el)
  }
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
#: all but the page for wrong addresses, and of the reference's pages the longest
PAGES = sorted(o.relative_to(ROOT/'nbs').with_suffix('').as_posix() for o in (ROOT/'nbs').rglob('[!_.]*')
               if o.suffix in ('.ipynb', '.md') and not {'.ipynb_checkpoints', 'api'} & {*o.parts} and o.stem != '404') + ['api/learner']

def test_next_leads_from_the_first_page_to_the_last(page, site):
    page.goto(f'{site}/index.html')
    for name in LESSONS:
        page.click('a.right-next')
        page.wait_for_load_state()
        assert page.url == f'{site}/{name}.html'
        assert not page.wrong
    assert all(o.startswith(site) for o in page.asked), 'the site asks a third party for something'

@cache
def built(file): return file.read_text(encoding='utf-8')

@pytest.mark.parametrize('name', PAGES)
def test_page(name, page, site):
    "No broken image or link, an alternative text for each image, formulas in the middle and none raw, no sideways scrolling on a phone, nothing heavy"
    page.set_viewport_size({'width': 1366, 'height': 768})
    assert page.goto(f'{site}/{name}.html').ok
    for key in ('description', 'og:title', 'og:description'): assert page.locator(f'meta[name="{key}"], meta[property="{key}"]').get_attribute('content').strip()
    assert page.locator('link[rel=canonical]').get_attribute('href').endswith(f'/{name}.html')
    wide = page.eval_on_selector_all('.highlight pre', 'all => all.filter(o => o.scrollWidth > o.clientWidth + 1).map(o => o.innerText)')
    assert not wide, f'{name}: code that is cut off'
    images = page.eval_on_selector_all('img', 'all => all.map(o => [o.src, o.alt, o.complete && o.naturalWidth > 0 || o.loading == "lazy"])')
    assert all(alt for _, alt, _ in images), [src for src, alt, _ in images if not alt]
    assert all(ok for *_, ok in images), [src for src, _, ok in images if not ok]
    links = page.eval_on_selector_all('article a[href], .prev-next-footer a[href]', 'all => all.map(o => o.getAttribute("href"))')
    for link in {urldefrag(urljoin(page.url, o)) for o in links}:
        if not link.url.startswith(site): continue
        file = SITE/unquote(link.url[len(site) + 1:] or 'index.html')
        assert file.is_file(), f'{name} links to {link.url}, which is not there'
        if link.fragment: assert f'id="{link.fragment}"' in built(file), f'{name} links to {link.url}#{link.fragment}, which is not there'
    text = page.inner_text('article')
    for sign in ('$$', '\\frac', '\\sum', '<details>'): assert sign not in text, f'{name} shows raw {sign}'
    assert not any(re.search(r'^#\| ', o, re.M) for o in page.locator('.cell_input').all_inner_texts()), f'{name} shows directives'
    off = page.eval_on_selector_all('div.math', """all => all.map(o => {
        const box = o.getBoundingClientRect(), formula = o.querySelector('math > *').getBoundingClientRect()
        return Math.abs(formula.left - box.left - (box.right - formula.right))})""")
    assert all(o < 3 for o in off), f'{name}: formulas {off} pixels off the middle'
    page.eval_on_selector_all('img', 'all => all.forEach(o => o.loading = "eager")')
    page.wait_for_load_state('networkidle')
    weight = sum(page.weight.values())
    assert weight < (1_300_000 if name == 'library/exercises' else 1_000_000), f'{name} weighs {weight:,} bytes'
    page.set_viewport_size({'width': 400, 'height': 800})
    page.wait_for_timeout(100)
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert not page.eval_on_selector_all('.prev-next-area a', 'all => all.filter(o => o.scrollWidth > o.clientWidth).length'), f'{name}: the name of a neighbour is cut off'
    assert not page.wrong

def test_contrast(page, site):
    "Every text of every page stands out from what is behind it; and the measure finds one that does not"
    for name in PAGES:
        assert page.goto(f'{site}/{name}.html').ok
        page.add_style_tag(content='* { transition: none !important }')
        for theme in ('light', 'dark'):
            page.evaluate(f'document.documentElement.dataset.theme = "{theme}"')
            assert not page.evaluate(FAINT), (name, theme)
    page.add_style_tag(content='article p { color: #777 !important; background: #888 !important }')
    assert page.evaluate(FAINT)

def visible(page, selector): return page.locator(f'{selector} >> visible=true')

@pytest.mark.parametrize('width', [400, 800, 1366])
def test_menus(width, page, site):
    "One header; its buttons open the menu and the contents, and a link from each leads there"
    page.set_viewport_size({'width': width, 'height': 800})
    page.goto(f'{site}/{LESSONS[0]}.html')
    lesson, menu = f'li.toctree-l1 > a[href="{LESSONS[1]}.html"]', visible(page, '.primary-toggle')
    assert menu.count() == 1 and visible(page, '.search-button-field, .search-button').count() == 1
    if width >= 992:
        visible(page, lesson).first.wait_for()
        menu.click()
    page.wait_for_timeout(500)
    assert visible(page, lesson).count() == 0
    menu.click()
    page.wait_for_timeout(500)
    visible(page, lesson).first.click()
    page.wait_for_url(f'**/{LESSONS[1]}.html')
    if width < 992:
        visible(page, '.secondary-toggle').click()
        page.wait_for_timeout(500)
    visible(page, '.page-toc a, .bd-toc-nav a').last.click()
    page.wait_for_url('**#*')

def test_side_bar(page, site):
    "The lessons in their parts; what lies behind them is folded away, and unfolds"
    page.set_viewport_size({'width': 1366, 'height': 800})
    page.goto(f'{site}/index.html')
    bar = page.locator('.bd-sidebar-primary')
    assert bar.locator('.caption').all_inner_texts() == ['I. From a table to a model', 'II. Use it', 'III. Go far', 'To look up']
    assert bar.locator('li.toctree-l1 > a').filter(has_text=re.compile(r'^\d+\. ')).count() == len(LESSONS)
    behind = bar.locator('a[href="library/learner.html"]')
    assert not behind.is_visible()
    bar.locator('li:has(> a[href="map.html"]) > details > summary .toctree-toggle').click()
    assert behind.is_visible()

def test_code_is_copied(chrome, site):
    page = chrome.new_page(permissions=['clipboard-read', 'clipboard-write'])
    page.goto(f'{site}/{LESSONS[0]}.html')
    block = page.locator('.cell_input div.highlight').nth(1)
    block.hover()
    block.get_by_role('button', name='Copy').click()
    block.get_by_role('button', name='Copied').wait_for()
    assert page.evaluate('navigator.clipboard.readText()').strip() == block.locator('pre').inner_text().strip()
    page.close()

def test_tables(page, site):
    "Numbers to the right, titles to the left, and room between columns"
    page.goto(f'{site}/results.html')
    results = page.locator('table:has-text("Seed 42") tbody tr').first
    align = lambda o: o.evaluate('o => getComputedStyle(o).textAlign')
    assert align(results.locator('td').nth(1)) == 'right' and align(results.locator('td').first) in ('left', 'start')
    page.goto(f'{site}/{LESSONS[0]}.html')
    title = page.locator('table.dataframe td:text-is("Star Wars (1977)")').first
    assert align(title) == 'left' and title.evaluate('o => parseFloat(getComputedStyle(o).paddingLeft)') >= 10
    page.goto(f'{site}/18_ranking.html') # a label that spans several rows stands in the first of them alone
    sizes = page.locator('table.dataframe:has-text("n_factors") td:text-is("64")').all()
    assert len(sizes) > 3 and all(align(o) == 'right' for o in sizes)

def test_outputs(page, site):
    "What a loop prints is one block, and on a phone its sentences wrap while columns made of blanks do not"
    page.goto(f'{site}/06_dot_product.html')
    assert page.locator('.cell_output pre:has-text("epoch 1: training")').inner_text().count('epoch') == 8
    page.set_viewport_size({'width': 390, 'height': 800})
    page.goto(f'{site}/{LESSONS[0]}.html')
    wraps = lambda text: page.locator(f'.cell_output pre:has-text("{text}")').first.evaluate('o => getComputedStyle(o).whiteSpace') == 'pre-wrap'
    assert wraps('Exercise 01.1: not yet') and not wraps('Star Wars (1977)  ')

def test_headings(page, site):
    "The deeper the smaller, and none is skipped"
    for name in PAGES:
        page.goto(f'{site}/{name}.html')
        if (demo := page.locator('div.demo')).count():
            demo.scroll_into_view_if_needed()
            page.wait_for_selector('.demo-rows')
        sizes = page.eval_on_selector_all('article :is(h1, h2, h3, h4)', 'all => all.map(o => [+o.tagName[1], parseFloat(getComputedStyle(o).fontSize)])')
        assert all(b <= a + 1 for (a, _), (b, _) in zip(sizes, sizes[1:])), name
        for (a, large), (b, small) in zip(sizes, sizes[1:]): assert a >= b or large > small, name

def test_a_lesson_can_be_opened_from_a_phone(page, site):
    "Its badge stands in sight beside its title"
    page.set_viewport_size({'width': 400, 'height': 800})
    page.goto(f'{site}/index.html')
    badge = page.locator('table a[href*="colab.research"]').first
    assert badge.evaluate('o => o.getBoundingClientRect().right') <= 400

@pytest.mark.parametrize('width', [768, 1280, 1366])
def test_formula_braces_stretch(width, page, site):
    "Below what it spans a brace leaves no gap"
    page.set_viewport_size({'width': width, 'height': 768})
    page.goto(f'{site}/02_crosstab.html')
    page.evaluate('document.fonts.ready')
    brace = page.locator('munder > mo:text-is("\u23df")').first
    brace.scroll_into_view_if_needed()
    page.wait_for_timeout(500) # a picture that comes on the way moves what is below it
    brace.scroll_into_view_if_needed()
    whole = brace.locator('xpath=..')
    top = round(brace.bounding_box()['y'] - whole.bounding_box()['y'])
    columns = np.asarray(Image.open(BytesIO(whole.screenshot())).convert('L'))[top:].min(axis=0)
    assert (columns < 200).mean() > 0.9

def test_pictures_in_the_dark(chrome, site):
    "As they were drawn, without a frame"
    page = chrome.new_page(color_scheme='dark')
    page.goto(f'{site}/index.html')
    look = page.locator('.cell_output img').first.evaluate('o => { const s = getComputedStyle(o); return [s.padding, s.filter, s.backgroundColor] }')
    assert look == ['0px', 'none', 'rgb(255, 255, 255)']
    page.close()

def test_reference(page, site):
    "A page a module, none endless; defaults whole, names linked, checks last"
    named = re.findall(r'^from \.(\w+) import', (ROOT/'collab_course'/'all.py').read_text(encoding='utf-8'), re.M) + ['cli']
    page.goto(f'{site}/api.html')
    assert sorted(page.locator('article td a').all_inner_texts()) == sorted(named)
    for name in named:
        page.goto(f'{site}/api/{name}.html')
        assert page.evaluate('document.documentElement.scrollHeight') < 20_000, name
        names = page.locator('article > section > dl > dt .descname, article section > dl > dt .descname').all_inner_texts()
        checks = [i for i, o in enumerate(names) if o.startswith('check')]
        assert not [o for o in page.locator('em.sig-param').all_inner_texts() if re.search(r'<|^[\d(]', o)], f'{name}: a default that is cut, or no Python'
        assert names and (name == 'exercises' or all('check' in o for o in names[min(checks, default=len(names)):])), names
    page.goto(f'{site}/api/optimiser.html')
    assert 'betas=(0.9, 0.99)' in [o.strip() for o in page.locator('dt:has-text("Adam") em.sig-param').all_inner_texts()]
    page.goto(f'{site}/api/recommendation.html')
    assert page.locator('dd a.reference[href*="#collab_course."]').count()

@pytest.mark.parametrize('word, lesson', {'bias': '09_bias', 'weight decay': '10_weight_decay', 'embedding': '05_embedding', 'new users': '15_new_users', 'NDCG': '17_evaluation'}.items())
def test_search_finds_the_lesson_first(word, lesson, page, site):
    page.goto(f'{site}/search.html?q={word}')
    page.wait_for_function("document.querySelector('#search-results')?.innerText.includes('finished')") # better ones come in before others
    assert f'{lesson}.html' in page.locator('ul.search li a').first.get_attribute('href')

def test_search_field(page, site):
    "What is typed stands beside the magnifying glass, on the search's page and in the dialog"
    for name, open_it in {'search': '', 'index': 'Control+k'}.items():
        page.goto(f'{site}/{name}.html')
        if open_it: page.keyboard.press(open_it)
        form = visible(page, 'form.bd-search').first
        form.wait_for()
        glass = form.locator('i').evaluate('o => o.getBoundingClientRect().right')
        assert form.locator('input').evaluate('o => o.getBoundingClientRect().left + parseFloat(getComputedStyle(o).paddingLeft)') >= glass

def test_wrong_address(chrome, tmp_path):
    "The page for it works at any depth, as GitHub shows it"
    (tmp_path/'collab_course').symlink_to(SITE)
    with serve(tmp_path) as address:
        page = chrome.new_page()
        page.route('**/collab_course/no/such/page.html', lambda route: route.fulfill(status=404, content_type='text/html', path=SITE/'404.html'))
        wrong = []
        page.on('response', lambda o: o.status >= 400 and wrong.append(o.url))
        page.goto(f'{address}/collab_course/no/such/page.html')
        page.locator('article p a').first.click()
        page.wait_for_url(f'{address}/collab_course/index.html')
        assert [o.split('/')[-1] for o in wrong] == ['page.html']
        page.close()

def test_sitemap_and_social_picture(page, site):
    listed = re.findall('<loc>(.*)</loc>', (SITE/'sitemap.xml').read_text(encoding='utf-8'))
    page.goto(f'{site}/index.html')
    root = page.locator('link[rel=canonical]').get_attribute('href').removesuffix('index.html')
    assert {f'{root}{o}.html' for o in PAGES} <= {*listed}
    assert all((SITE/o.removeprefix(root)).is_file() for o in listed) and not any('404' in o for o in listed)
    picture = page.locator('meta[property="og:image"]').get_attribute('content')
    assert page.request.get(f'{site}/{picture.removeprefix(root)}').headers['content-type'] == 'image/png'
    assert page.locator('link[rel*=icon]').count() and 'ollaborative filtering' in page.title()

def test_print(page, site):
    "Paper shows the page alone, with its code whole"
    page.goto(f'{site}/{LESSONS[1]}.html')
    page.emulate_media(media='print')
    assert not any(o.is_visible() for o in page.locator('.bd-sidebar, .bd-header-article, .prev-next-footer, button').all())
    assert visible(page, 'h1').count() == 1
    assert not page.eval_on_selector_all('.highlight pre', 'all => all.filter(o => o.scrollWidth > o.clientWidth + 1).length')

@pytest.mark.parametrize('name', ['index', LESSONS[1], 'api/learner', 'search', 'library/callbacks'])
@pytest.mark.parametrize('width', [400, 1366])
def test_accessibility(name, width, page, site):
    "axe-core finds nothing serious"
    if not AXE.exists(): pytest.skip(f'no {AXE.relative_to(ROOT)}: make axe fetches it with npm')
    page.set_viewport_size({'width': width, 'height': 800})
    page.goto(f'{site}/{name}.html')
    page.wait_for_load_state('networkidle')
    page.add_script_tag(path=AXE)
    found = page.evaluate('axe.run({resultTypes: ["violations"]})')['violations']
    assert not [(o['id'], [n['html'][:200] for n in o['nodes'][:3]]) for o in found if o['impact'] in ('serious', 'critical')]
