"""'Rate a few films' on the site: in a real browser it must say what `fold_in` and `explain` say in Python."""
import importlib.util, re, sys
from pathlib import Path

import pytest
import torch

from browser import serve, watch
from collab_course.all import *
from collab_course.collab import FactorTables

ROOT = Path(__file__).parent.parent
SITE = ROOT/'build'/'site'
NEWCOMERS = [{'Fargo (1996)': 5}, {'Star Wars (1977)': 1, 'Titanic (1997)': 5}, {'Casablanca (1942)': 4, 'Psycho (1960)': 5, 'Vertigo (1958)': 5, 'Liar Liar (1997)': 1},
             {'Toy Story (1995)': 3, 'Lion King, The (1994)': 3, 'Aladdin (1992)': 3}, {'Alien (1979)': 5, 'Aliens (1986)': 5, 'Blade Runner (1982)': 5, 'Terminator, The (1984)': 5, 'Babe (1995)': 2, 'Emma (1996)': 1}]

@pytest.fixture(scope='module')
def learn():
    sys.path.insert(0, str(ROOT/'.ci'))
    spec = importlib.util.spec_from_file_location('demo', ROOT/'.ci'/'demo.py')
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    return demo.trained()

@pytest.fixture(scope='module')
def site():
    if not (SITE/'_static'/'demo-model.js').exists(): pytest.skip('no model in build/site: make site builds it')
    with serve(SITE) as address: yield address

@pytest.fixture
def opened(chrome, site):
    "Opens the landing page at a width; keeps every address it asked for and every error"
    pages = []
    def open_at(width, **kwargs):
        page = watch(chrome.new_page(viewport={'width': width, 'height': 900}, **kwargs))
        pages.append(page)
        page.goto(f'{site}/index.html')
        page.locator('.demo').scroll_into_view_if_needed()
        return page
    yield open_at
    for page in pages: page.close()

def rate(page, title, stars):
    "Search a film as a visitor would, and give it stars"
    page.fill('.demo-search input', title)
    page.locator('.demo-search li', has_text=title).first.click()
    page.locator('.demo-row', has_text=title).locator('input').nth(stars - 1).check()

@pytest.mark.parametrize('width', [400, 1280])
@pytest.mark.parametrize('ratings', NEWCOMERS, ids=range(5))
def test_same_numbers_as_python(ratings, width, opened, learn, site):
    page = opened(width)
    page.wait_for_selector('.demo-rows')
    for title, stars in ratings.items(): rate(page, title, stars)
    listed = page.eval_on_selector_all('.demo-list li', 'all => all.map(o => [o.querySelector(".demo-title").textContent, +o.dataset.prediction, +o.dataset.deviation, o.querySelector(".demo-why").textContent])')
    expected = recommend(learn, ratings, n=10)
    assert [o[0] for o in listed] == list(expected.title)
    assert [o[1] for o in listed] == pytest.approx(list(expected.prediction), abs=1e-4)

    classes, profile = learn.dls.classes['title'], fold_in(learn, ratings)
    fit = RidgeFit(FactorTables(learn.model), profile.rated, profile.ratings)
    J = (fit.q * fit.slope[:, None])[profile.rated]
    cov = torch.cov(FactorTables(learn.model).users[1:].double().t(), correction=0)
    posterior = torch.linalg.inv(torch.linalg.inv(cov) + J.t() @ J / profile.noise**2) # the textbook's form
    best = classes.encode(expected.title).long()
    deviation = fit.slope[best] * ((fit.q[best] @ posterior) * fit.q[best]).sum(dim=1).sqrt()
    assert [o[2] for o in listed] == pytest.approx(deviation.tolist(), abs=1e-4)

    shares = page.evaluate("""titles => {
        const films = window.COLLAB_COURSE_DEMO.films, at = o => films.titles.indexOf(o)
        return films.fold(new Map(titles.map(([title, stars]) => [at(title), stars])))[at(titles.at(-1)[0])].shares }""", [*ratings.items(), [expected.title.iloc[0], 3]][:-1])
    last = explain(learn, ratings, list(ratings)[-1]).set_index('title').share
    assert shares == pytest.approx([last[title] for title in ratings], abs=1e-4)
    strongest = explain(learn, ratings, expected.title.iloc[0]).query("title != 'training' and share > 0.005")
    if len(strongest): assert strongest.title.iloc[0].rsplit(' (', 1)[0] in listed[0][3]

    assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert all(o.startswith(site) for o in page.asked), 'the page asks a third party for something'
    assert not page.wrong

def test_slider_goes_from_what_most_like_to_what_fits(opened, learn):
    page, ratings = opened(1280), NEWCOMERS[4]
    page.wait_for_selector('.demo-rows')
    def listed(value):
        page.locator('.demo-slider input').fill(str(value))
        return page.locator('.demo-list .demo-title').all_inner_texts()
    assert listed(0) == listed(50) == listed(100), 'of a stranger nothing is known, so what fits is what most people like'
    for title, stars in ratings.items(): rate(page, title, stars)
    everything = recommend(learn, ratings, n=10_000)
    assert listed(0) == list(everything.nlargest(10, 'average').title)
    assert listed(100) == list(everything.nlargest(10, 'match').title)
    assert listed(50) == list(everything.title[:10])

def test_keyboard_alone(opened):
    page = opened(1280)
    page.wait_for_selector('.demo-rows')
    page.focus('.demo-search input')
    page.keyboard.type('godfather')
    page.keyboard.press('ArrowDown')
    page.keyboard.press('ArrowUp')
    page.keyboard.press('Enter')
    first = page.locator('.demo-row').first
    assert 'Godfather' in first.inner_text()
    page.keyboard.press('ArrowRight') # the first star has the focus; the arrows choose
    page.keyboard.press('ArrowRight')
    assert first.locator('input:checked').get_attribute('value') == '3'
    assert 'after 1 rating' in page.inner_text('.demo-said')
    page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    assert 'Godfather' not in page.inner_text('.demo-rows') and 'nothing about' in page.inner_text('.demo-said')
    for left in range(page.locator('.demo-row').count(), 0, -1): # the focus is at the next of these buttons
        assert page.locator('.demo-row').count() == left
        page.keyboard.press('Enter')
    assert page.locator('.demo-row').count() == 0 and page.locator('.demo-search input').evaluate('o => o === document.activeElement')

def test_an_unknown_title_is_said(opened):
    page = opened(400)
    page.wait_for_selector('.demo-rows')
    page.fill('.demo-search input', 'zzzz')
    assert 'No film of this name' in page.inner_text('.demo-search ul')

def test_a_visitor_finds_the_films_and_what_teaches_them(opened):
    page = opened(400)
    page.wait_for_selector('.demo-rows')
    page.locator('a[href="#demo"]').click()
    assert page.url.endswith('#demo') and page.locator('#demo .demo-rows').is_visible()
    page.locator('.demo-note a', has_text='Lesson 15').click()
    assert page.url.endswith('/15_new_users.html') and not page.wrong

def test_without_javascript_a_picture_and_a_link(opened):
    page = opened(1280, java_script_enabled=False)
    assert page.locator('.demo img').count() == 1
    assert page.locator('.demo a[href^="15_new_users.html"]').count() >= 1

def open_picture(opened, name, **kwargs):
    page = opened(1280, **kwargs)
    page.goto(page.url.replace('index', name))
    page.locator('.picture, .demo').scroll_into_view_if_needed()
    return page

def test_the_table_fills_as_the_slider_moves(opened):
    page = open_picture(opened, '02_crosstab')
    page.wait_for_selector('.picture td')
    cells = lambda: [float(o) for o in page.locator('.picture td').all_inner_texts()]
    assert len(cells()) == 225 and max(map(abs, cells())) < 1 # random factors say next to nothing
    assert '-0.0' not in page.locator('.picture td').all_inner_texts()
    widths = page.eval_on_selector_all('.picture th.upright', 'all => all.map(o => o.offsetWidth)')
    assert max(widths) <= min(widths) + 2, 'a long title makes its column no wider'
    page.locator('.picture input').fill('16')
    assert 'After 1000 steps' in page.inner_text('.picture p')
    stars = crosstab(load_ratings()).to_numpy().flatten()
    near = np.abs(cells() - stars)
    assert np.nanmean(near**2) < 0.3 and page.locator('.picture td.hole').count() == np.isnan(stars).sum()
    assert not page.wrong

def test_the_map_lights_up_the_nearest(opened, learn):
    page = open_picture(opened, '12_interpretation')
    page.wait_for_selector('.picture circle')
    page.fill('.picture-search input', 'godfather')
    page.press('.picture-search input', 'Enter')
    assert page.locator('circle.near').count() == 8
    titles = page.eval_on_selector_all('circle', 'all => all.map(o => o.textContent)')
    tables, classes = FactorTables(learn.model), learn.dls.classes['title']
    for title in nearest('Godfather, The (1972)', tables.items[:, :-1], classes, 8, among=titles).index: assert title in page.inner_text('.picture p')
    assert not page.wrong

def test_weight_decay_moves_both_losses(opened):
    page = open_picture(opened, '10_weight_decay')
    page.wait_for_selector('.picture polyline')
    losses = {}
    for at in (0, 4):
        page.locator('.picture input').fill(str(at))
        losses[at] = [float(o) for o in re.findall(r'\d\.\d{3}', page.inner_text('.picture p'))]
    assert losses[4][0] > losses[0][0] + 0.1 and losses[4][1] < losses[0][1] - 0.02
    assert not page.wrong

@pytest.mark.parametrize('name', ['02_crosstab', '10_weight_decay', '12_interpretation', '15_new_users', '16_recommendation'])
def test_without_javascript_a_sentence_remains(name, opened):
    page = open_picture(opened, name, java_script_enabled=False)
    assert "the course's site" in page.inner_text('.picture, .demo').replace('’', "'")
