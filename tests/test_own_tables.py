"""Tables as people have them, from a file to a served list, by the package and by the command line."""
import io, json
from contextlib import redirect_stderr, redirect_stdout

import pytest

from collab_course import cli
from collab_course.all import *

LONGER = '--epochs', 10, '--lr', 0.02, '--wd', 0.2 # until it is better than always saying the mean

def shell(*args):
    "Run the command; its exit code, what it printed, and what it said of it"
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err: code = cli.main([*map(str, args)])
    return code, out.getvalue(), err.getvalue()

def listed(model, user, n=5):
    "The items that the command line lists for `user`"
    code, out, err = shell('recommend', '--model', model, '--user', user, '-n', n, '--json')
    assert code == 0 and err == '', err
    return [o[[*o][1]] for o in json.loads(out)]

@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch): monkeypatch.chdir(tmp_path)

def half_stars():
    "Write ratings.csv and movies.csv; two films share a title"
    make_ratings(60, 40, 1_500, seed=1).set_axis(['userId', 'movieId', 'rating'], axis=1).to_csv('ratings.csv', index=False)
    pd.DataFrame({'movieId': range(1, 41), 'title': ['Solaris' if o in (3, 9) else f'Film {o}, The' for o in range(1, 41)]}).to_csv('movies.csv', index=False)

def test_half_stars_with_titles_beside_them():
    half_stars()
    code, out, err = shell('train', '--csv', 'ratings.csv', '--titles', 'movies.csv', '--factors', 5, *LONGER, '--out', 'm.zip', '--json')
    assert code == 0 and err == ''
    ratings = add_titles(pd.read_csv('ratings.csv'), pd.read_csv('movies.csv'), 'movieId')
    dls = CollabDataLoaders.from_df(ratings, item_name='title', seed=42)
    set_seed(42)
    span = 4.
    learn = collab_learner(dls, 5, y_range=(1 - span/4, 5 + span/8))
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(10, 2e-2, wd=0.2)
    learn.export('ours.zip')
    assert recommend(load_learner('ours.zip'), 7, n=5).title.tolist() == listed('m.zip', 7)
    assert {'Solaris (3)', 'Solaris (9)'} <= {*dls.classes['title'].items} and 'Solaris' not in dls.classes['title'].o2i
    assert dls.classes['title'].items[1:] == sorted(ratings.title.unique()) and ratings.title.nunique() == ratings.movieId.nunique()
    code, out, err = shell('evaluate', '--model', 'm.zip', '--csv', 'ratings.csv', '--titles', 'movies.csv', '--json')
    assert code == 0 and json.loads(out)['unknown'] == 0

def test_titles_that_do_not_fit():
    half_stars()
    pd.DataFrame({'movieId': ['a'], 'title': ['b']}).to_csv('other.csv', index=False)
    for file, why in (('other.csv', 'none of the items'), ('ratings.csv', "'title' is missing"), ('nowhere.csv', 'nowhere.csv')):
        code, out, err = shell('train', '--csv', 'ratings.csv', '--titles', file, '--out', 'm.zip')
        assert code == 1 and why in err and err.count('\n') == 1, err
    pd.read_csv('movies.csv')[1:].to_csv('movies.csv', index=False)
    with pytest.warns(UserWarning, match='1 items have no title and keep their id, the first is 1'):
        assert '1' in {*add_titles(pd.read_csv('ratings.csv'), pd.read_csv('movies.csv'), 'movieId').title}

def test_marks_with_zeros_in_latin_1():
    df = make_ratings(60, 40, 1_500, seed=2)
    df = pd.DataFrame({'User-ID': df.user, 'Book-Title': [f'Café {o}' for o in df['item']], 'Book-Rating': [0 if o % 3 == 0 else int(r * 2) for o, r in enumerate(df.rating)]})
    df.to_csv('books.csv', index=False, sep=';', encoding='latin-1')
    args, reading = ['train', '--csv', 'books.csv', '--out', 'm.zip'], ['--sep', ';', '--encoding', 'latin-1']
    for more, why in (([], '--encoding'), (reading[2:], "pass --sep ';'"), (reading, '--drop-zeros, or pass --implicit')):
        code, out, err = shell(*args, *more)
        assert code == 1 and why in err and err.count('\n') == 1, err
    code, out, err = shell(*args, *reading, '--drop-zeros', *LONGER, '--json')
    assert code == 0 and err == '' and json.loads(out)['train_ratings'] == 800
    assert len({*listed('m.zip', 7)}) == 5 and listed('m.zip', 7)[0].startswith('Café ')
    code, out, err = shell(*args, *reading, '--implicit', '--force', '--json')
    assert code == 0 and json.loads(out)['train_ratings'] == 1_200

def likes():
    "Tables that hold no stars, by what they are"
    df = make_ratings(60, 40, 1_500, seed=3)[['user', 'item']]
    count = np.arange(1_500) % 7 * 300
    return {'two columns': df, 'ones': df.assign(rating=1), 'truth values': df.assign(liked=count > 0), 'counts': df.assign(plays=count + 1),
            'counts and zeros': df.assign(clicks=count), 'events': pd.concat([df, df[:500]]), 'stars with zeros': df.assign(rating=count // 300),
            'counts called rating': df.assign(rating=count + 2), 'with times': df.assign(timestamp=count + 978_300_000)}

@pytest.mark.parametrize('kind', likes())
def test_likes_all_the_way_to_a_list(kind):
    df = likes()[kind]
    df.to_csv('likes.csv', index=False)
    train = 'train', '--csv', 'likes.csv', '--out', 'm.zip', '--json'
    code, out, err = shell(*train)
    if kind != 'stars with zeros' or code: assert code == 1 and '--implicit' in err.splitlines()[-1], err
    code, out, err = shell(*train, '--implicit')
    res, fewer = json.loads(out), kind in ('truth values', 'counts and zeros', 'events')
    assert code == 0 and ('rows make' in err) == fewer and err.count('\n') == fewer, err
    assert 0 < res['recall_at_10'] <= 1 and {'ndcg_at_10', 'ndcg_at_10_of_popular'} < res.keys()
    dls = CollabDataLoaders.from_csv('likes.csv', implicit=True, seed=42)
    assert recommend(Learner(dls, EASE(dls)), 7, n=5).item.tolist() == listed('m.zip', 7)
    seen = {*df[df.user == 7]['item']} if not fewer else {*dls.classes['item'][dls.history[dls.classes['user'].row(7)][0]]}
    assert seen and not seen & {*listed('m.zip', 7, 20)}
    code, out, err = shell('evaluate', '--model', 'm.zip', '--csv', 'likes.csv', '--json')
    assert code == 0 and json.loads(out)['unknown'] == 0
    Path('new.json').write_text('[3, 8]')
    code, out, err = shell('recommend', '--model', 'm.zip', '--rated', 'new.json', '-n', 3, '--json')
    assert code == 0 and [o['item'] for o in json.loads(out)] == recommend(load_learner('m.zip'), [3, 8], n=3).item.tolist()

def test_likes_are_no_stars():
    dls = CollabDataLoaders.from_df(likes()['counts'], implicit=True, seed=42)
    assert dls.implicit and dls.history.ratings.isnan().all() and dls.rating_name == 'plays'
    dls = CollabDataLoaders.from_df(likes()['with times'], implicit=True, time_name='timestamp', seed=42)
    assert sorted(torch.cat([dl.times for dl in dls]).tolist()) == sorted(likes()['with times'].timestamp)
    for option in (['--epochs', 2], ['--lr', 0.1], ['--y-range', 0, 5], ['--factors', 3]):
        likes()['counts'].to_csv('likes.csv', index=False)
        code, out, err = shell('train', '--csv', 'likes.csv', '--out', 'm.zip', '--implicit', *option)
        assert code == 1 and f'{option[0]} is for ratings' in err

def test_options_of_reading():
    df = make_ratings(60, 40, 1_500, seed=4)
    df.to_csv('u.data', sep='\t', header=False, index=False)
    code, out, err = shell('train', '--csv', 'u.data', '--sep', r'\t', '--out', 'm.zip')
    assert code == 1 and '--read header None' in err
    code, out, err = shell('train', '--csv', 'u.data', '--sep', r'\t', '--read', 'header', 'None', '--out', 'm.zip', '--json')
    assert code == 0 and 'columns taken: users 0, items 1, ratings 2' in err and json.loads(out)['train_ratings'] == 1_200
    code, out, err = shell('train', '--csv', 'u.data', '--sep', r'\t', '--read', 'header', 'None', '--user', 1, '--item', 0, '--rating', 2, *LONGER, '--out', 'm.zip', '--force')
    assert code == 0 and err == ''
    df.assign(item=df['item'].map('{:03}'.format), rating=df.rating.map('{:.1f}'.format).str.replace('.', ',')).to_csv('euro.csv', sep=';', index=False)
    args = 'train', '--csv', 'euro.csv', '--sep', ';', '--out', 'm.zip', '--force'
    code, out, err = shell(*args)
    assert code == 1 and """--read dtype "{'item': 'str'}" to keep""" in err
    code, out, err = shell(*args, '--read', 'dtype', "{'item': 'str'}")
    assert code == 1 and "--read decimal ','" in err
    code, out, err = shell(*args, '--read', 'dtype', "{'item': 'str'}", '--read', 'decimal', ',')
    assert code == 0 and all(len(o) == 3 for o in listed('m.zip', 7))
    df.to_parquet('r.parquet')
    assert shell('train', '--csv', 'r.parquet', *LONGER, '--out', 'm.zip', '--force')[::2] == (0, '')
    code, out, err = shell('train', '--csv', 'u.data', '--read', 'headr', 'None', '--out', 'm.zip', '--force')
    assert code == 1 and 'headr' in err
