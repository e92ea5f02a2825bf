"""Bad input, each kind with its own row in nbs/bad_input.md. `python tests/test_input.py` writes that page from the rows below."""
import decimal, errno, os, re
from pathlib import Path

import pytest

from collab_course import download, files
from collab_course.all import *

PAGE = Path(__file__).parent.parent/'nbs'/'bad_input.md'

def table(n=20, **cols): return make_ratings(10, 10, n).assign(**cols)

def dls(df=None, **kwargs): return CollabDataLoaders.from_df(table() if df is None else df, **{'seed': 1, **kwargs})

def changed(col, row, val):
    df = table().astype({col: object})
    df.loc[row, col] = val
    return df

def learner(**kwargs): return collab_learner(dls(table(80)), y_range=(0, 5.5), **kwargs)

def keeps(df, user=None, **kwargs):
    "Do the loaders hold the ratings of `df`, and its users or those given?"
    got = dls(df, **kwargs)
    back = pd.concat([got.decode(dl.x, dl.y) for dl in got])
    want = list(df.user if user is None else user)
    return sorted(zip(map(str, back.user), back.rating)) == sorted(zip(map(str, want), df.rating.astype(float)))

def trains(df, **kwargs):
    "Does one epoch on `df` end with a finite loss?"
    learn = collab_learner(dls(df, **kwargs), y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    return all(np.isfinite(learn.recorder.values[0]))

abc = CategoryMap(['a', 'b', 'c'])
THERE = 'Pass user_name=, item_name= and rating_name= to say which columns to use.'
COUNT = 'give a whole number, 1 or more.'
CORRECT = 'Correct or drop those rows first.'
NAMING = 'Pass rating_name= to name the column with the ratings.'

# Rows: the input, how to meet it, what happens (an exception or, where it works, how), and the message, in which … stands for anything

FRAMES = [
    ('No table but a list, an array, a path', lambda: dls([(1, 2, 3.)]), TypeError, 'ratings is a list, not a DataFrame: pd.DataFrame makes one of lists, arrays and dicts, CollabDataLoaders.from_csv reads a file.'),
    ('A column is missing', lambda: dls(table().drop(columns='rating')), ValueError, f"column '(column 3)' is missing: the table has ['user', 'item']. {THERE}"),
    ('A column you name is missing', lambda: dls(rating_name='stars'), ValueError, f"column 'stars' is missing: the table has ['user', 'item', 'rating']. {THERE}"),
    ('A column is there twice', lambda: dls(table().set_axis(['user', 'user', 'rating'], axis=1)), ValueError, f"column 'user' is there 2 times: the table has ['user', 'user', 'rating']. {THERE}"),
    ('One column for users and items', lambda: dls(item_name='user'), ValueError, "users, items and ratings must be different columns, not ['user', 'user', 'rating']."),
    ('Columns that are numbered, not named', lambda: (lambda o: [*o.decode(*o.one_batch())] == [0, 1, 2])(dls(table().set_axis(range(3), axis=1), bs=4)), 'columns go by position', ''),
    ('No rows', lambda: dls(table().iloc[:0]), ValueError, "the table of ratings is empty: columns ['user', 'item', 'rating'], no rows."),
    ('One row', lambda: dls(table().iloc[:1]), ValueError, 'valid_pct=0.2 of 1 rows leaves nothing to validate on.'),
    ('One user only', lambda: trains(table(user='Ann')), 'a model of one user', ''),
    ('One item only', lambda: trains(table(item='Fargo')), 'a model of one item', ''),
    ('A rating is None', lambda: dls(changed('rating', 3, None)), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is None at row 3. {CORRECT}"),
    ('A rating is NaN', lambda: dls(changed('rating', 3, float('nan'))), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is nan at row 3. {CORRECT}"),
    ('A rating is infinite', lambda: dls(changed('rating', 4, float('inf'))), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is inf at row 4. {CORRECT}"),
    ('A rating is beyond float32', lambda: dls(changed('rating', 4, 1e300)), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is 1e+300 at row 4. {CORRECT}"),
    ('A rating is a word', lambda: dls(changed('rating', 5, 'good')), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is 'good' at row 5. {CORRECT}"),
    ('A rating is True', lambda: dls(changed('rating', 5, True)), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is True at row 5. {CORRECT}"),
    ('Ratings are numbers written as text', lambda: keeps(table().astype({'rating': str})), 'the numbers are read', ''),
    ('Ratings are decimals', lambda: keeps(table(rating=[decimal.Decimal('3.5')] * 20)), 'taken as they are', ''),
    ('Ratings are categories', lambda: keeps(table().astype({'rating': 'category'})), 'the numbers are taken', ''),
    ('Ratings are truth values', lambda: dls(table(rating=True)), ValueError, f"column 'rating' holds bool, not numbers. {NAMING}"),
    ('Ratings are dates', lambda: dls(table(rating=pd.Timestamp('1998-04-22'))), ValueError, f"column 'rating' holds datetime64…, not numbers. {NAMING}"),
    ('Ratings are spans of time', lambda: dls(table(rating=pd.Timedelta(1, 'D'))), ValueError, f"column 'rating' holds timedelta64…, not numbers. {NAMING}"),
    ('Ratings are complex numbers', lambda: dls(table(rating=1j)), ValueError, f"column 'rating' holds complex128, not numbers. {NAMING}"),
    ('All ratings are equal', lambda: trains(table(rating=3.)), 'the model learns that one number', ''),
    ('A user is missing', lambda: dls(changed('user', 6, None)), ValueError, "column 'user': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 6. Drop them first: ratings.dropna(subset=['user'])."),
    ('An item is missing', lambda: dls(changed('item', 7, float('nan'))), ValueError, "column 'item': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 7. Drop them first: ratings.dropna(subset=['item'])."),
    ("A user is called '#na#'", lambda: dls(changed('user', 2, '#na#')), ValueError, "column 'user': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 2. Drop them first: …"),
    ('A user is a list', lambda: dls(table(user=[[1]] * 20)), TypeError, "column 'user': …unhashable…. An id is a number, a text, or anything else that can be the key of a dict."),
    ('Ids of mixed types', lambda: keeps(changed('user', 2, 'Ann')), 'sorted by type, then by value', ''),
    ('Ids as floats', lambda: keeps(table().astype({'user': float})), '1.0 and 1 are one id', ''),
    ('Ids as categories', lambda: keeps(table().astype({'user': 'category'})), 'as what they stand for; unused categories get no row', ''),
    ('Ids as dates', lambda: keeps(table(user=pd.date_range('2000-01-01', periods=20)), pd.date_range('2000-01-01', periods=20)), 'taken as they are', ''),
    ('Ids as tuples, of any length', lambda: keeps(table(user=[(1, 2), (3,)] * 10)), 'taken as they are', ''),
    ("pandas' nullable types", lambda: keeps(table().astype({'user': 'Int64', 'rating': 'Float32'})), 'taken as they are', ''),
    ('A nullable id is missing', lambda: dls(table(user=pd.array([None] + [1] * 19, dtype='Int64'))), ValueError, "column 'user': 1 of 20 rows have no value, …the first at row 0. …"),
    ("pyarrow's types", lambda: keeps(table().astype({'user': 'int64[pyarrow]', 'rating': 'float[pyarrow]'})), 'taken as they are', ''),
    ('An index that is unsorted or has duplicates', lambda: keeps(table().set_axis([3, 1] * 10)), 'rows count by position', ''),
    ('A pair rated twice', lambda: keeps(pd.concat([table(), table()])), 'both rows stay: drop_duplicates() keeps the first', ''),
    ('A rating outside y_range', lambda: collab_learner(dls(), y_range=(0, 3)), ValueError, "column 'rating': the ratings run from 1 to 5, which is not inside y_range=(0, 3)."),
]

ARGUMENTS = [
    ('`bs` larger than the data', lambda: trains(table(), bs=64), 'one batch with all rows', ''),
    ('`bs=0`', lambda: dls(bs=0), ValueError, f'bs=0: {COUNT}'),
    ('`val_bs=-1`', lambda: dls(val_bs=-1), ValueError, f'val_bs=-1: {COUNT}'),
    ('`bs` that is no whole number', lambda: dls(bs='64'), ValueError, f"bs='64': {COUNT}"),
    ('`valid_pct=0`', lambda: dls(valid_pct=0), ValueError, 'valid_pct=0 is outside (0, 1): it is the share of rows to validate on.'),
    ('`valid_pct=20`, meant as percent', lambda: dls(valid_pct=20), ValueError, 'valid_pct=20 is outside (0, 1): it is the share of rows to validate on.'),
    ('`valid_pct` that leaves no row to validate on', lambda: dls(valid_pct=0.01), ValueError, 'valid_pct=0.01 of 20 rows leaves nothing to validate on.'),
    ('`valid_idx` with every row', lambda: dls(valid_idx=range(20)), ValueError, 'valid_idx holds all 20 rows and leaves nothing to train on.'),
    ('`valid_idx` past the end', lambda: dls(valid_idx=[3, 20]), ValueError, 'valid_idx: 1 of 2 positions are outside 0 to 19, the first is 20. Positions count rows from 0 whatever the index of the table.'),
    ('`seed` that is no number', lambda: dls(seed='abc'), ValueError, "seed='abc': give a whole number, 0 or more."),
    ('`device` that is not there', lambda: dls(device='gpu'), ValueError, "device='gpu' is not to be had here (…): 'cpu' always is."),
    ('An argument that does not exist', lambda: dls(batch_size=64), TypeError, "…from_df() got an unexpected keyword argument 'batch_size'"),
    ('No loaders but a table', lambda: collab_learner(table()), TypeError, 'dls is a DataFrame: CollabDataLoaders.from_df(ratings) makes what is asked for'),
    ('`y_range` upside down', lambda: collab_learner(dls(), y_range=(5.5, 0)), ValueError, 'y_range=(5.5, 0): the lowest prediction must be below the highest'),
    ('`y_range` of one number', lambda: collab_learner(dls(), y_range=5), ValueError, 'y_range=5: give two numbers, the lowest and the highest prediction'),
    ('`y_range` as text', lambda: collab_learner(dls(), y_range=('0', '5')), ValueError, "y_range=('0', '5'): give two numbers, the lowest and the highest prediction"),
    ('A range upside down, in any model', lambda: DotProduct(9, 9, 2, y_range=(5, 0))(torch.ones(1, 2).long()), ValueError, 'the range (5, 0) must run from a lower number to a higher one'),
    ('`n_factors=0`', lambda: collab_learner(dls(), n_factors=0), ValueError, f'nf=0: {COUNT}'),
    ('`layers` without `use_nn`', lambda: collab_learner(dls(), layers=[100]), ValueError, 'layers=[100] is for the network: pass use_nn=True as well'),
    ('`layers` that is no list', lambda: collab_learner(dls(), use_nn=True, layers=100), TypeError, 'layers=100: give the widths of the hidden layers as a list, such as [100, 50]'),
    ('A hidden layer of width 0', lambda: collab_learner(dls(), use_nn=True, layers=[0]), ValueError, f'layers=0: {COUNT}'),
    ('Fewer dropouts than hidden layers', lambda: TabularModel([(3, 3)], 0, 1, [4, 5], ps=[0.1]), ValueError, 'ps has 1 dropouts for 2 hidden layers: give one number for all, or one each'),
    ('An embedding with too few rows', lambda: collab_learner(dls(), use_nn=True, emb_szs=[(3, 3), (30, 3)]), ValueError, "emb_szs: 3 rows for column 'user', which has 9 values with '#na#'"),
    ('One embedding for two columns', lambda: collab_learner(dls(), use_nn=True, emb_szs=[(30, 3)]), ValueError, 'emb_szs=[(30, 3)]: give two pairs, for users and for items'),
    ('An embedding without columns', lambda: Embedding(5, 0), ValueError, f'nf=0: {COUNT}'),
    ('A negative standard deviation', lambda: Embedding(5, 2, std=-1), ValueError, 'std=-1: a standard deviation is above 0'),
    ('`create_params` of a number', lambda: create_params(3), TypeError, 'size=3: give the shape as a list, such as [3, 2]'),
    ('More ratings than pairs', lambda: make_ratings(2, 2, 5), ValueError, 'n_ratings=5: 2 users and 2 items make 4 pairs'),
    ('`crosstab` of a missing column', lambda: crosstab(table()), ValueError, "column 'title' is missing: the table has ['user', 'item', 'rating']. Pass user_name=, item_name= and rating_name= to say which columns to use."),
    ('`crosstab` of no rows or columns', lambda: crosstab(table(), n_users=0, item_name='item'), ValueError, f'n_users=0: {COUNT}'),
    ('`crosstab` of text', lambda: crosstab(table().astype({'rating': str}), item_name='item'), ValueError, "column 'rating' holds …, not numbers"),
    ('`one_hot` past the end', lambda: one_hot(3, 3), IndexError, 'index 3 is out of bounds for dimension 0 with size 3'),
    ('More principal components than columns', lambda: torch.randn(9, 3).pca(4), ValueError, 'k=4: a matrix of shape (9, 3) has no so many principal components'),
    ('Factors with NaN', lambda: torch.full((4, 3), float('nan')).pca(), ValueError, '12 of 12 values are no finite number'),
    ('`plot_pca` with too few labels', lambda: plot_pca(torch.randn(5, 3), ['a']), ValueError, "1 labels where 5 are needed, one for each row of factors, '' for none"),
    ('`nearest` by an unknown measure', lambda: nearest('a', torch.randn(4, 2), abc, by='near'), ValueError, "by='near': it is 'cosine', 'dot' or 'euclidean'"),
    ('`nearest` with factors of other items', lambda: nearest('a', torch.randn(3, 2), abc), ValueError, "3 rows of factors where 4 are needed, one for each item and one for '#na#'"),
    ('`bias_table` with biases of other items', lambda: bias_table(torch.randn(3), abc, table(), 'item'), ValueError, "3 biases where 4 are needed, one for each item and one for '#na#'"),
]

PREDICTIONS = [
    ('A user not seen in training', lambda: learner().predict({'user': 99, 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a value not seen in training, the first is 99 at row 0. Close to it: …. Pass unknown='na' to score such rows as '#na#'."),
    ('A misspelt item', lambda: nearest('aa', torch.randn(4, 2), abc), ValueError, "no item 'aa'. Close to it: ['a']."),
    ('The same, with unknown="na"', lambda: 0 <= learner().predict({'user': 99, 'item': 1}, unknown='na') <= 5.5, "scored as '#na#'", ''),
    ("A user '#na#'", lambda: learner().predict({'user': '#na#', 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a value not seen in training, the first is '#na#' at row 0. …unknown='na'…"),
    ('A user that is NaN', lambda: learner().predict({'user': float('nan'), 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a value not seen in training, the first is nan at row 0. …"),
    ('A number given as text', lambda: learner().predict({'user': '1', 'item': 1}), ValueError, "…the first is '1' at row 0. Close to it: [1, 10]. …"),
    ('`unknown` that is neither', lambda: learner().predict(table(), unknown='skip'), ValueError, "unknown='skip': it is 'raise' or 'na'."),
    ('A column is missing', lambda: learner().predict(table()[['user']]), ValueError, f"column 'item' is missing: the table has ['user']. {THERE}"),
    ('Columns in another order', lambda: (lambda o: (o.predict(table()) == o.predict(table()[['rating', 'item', 'user']])).all())(learner()), 'columns go by name', ''),
    ('A single row, as a dict or Series', lambda: (lambda o: o.predict({'user': 1, 'item': 1}) == o.predict(pd.Series({'item': 1, 'user': 1})))(learner()), 'a number', ''),
    ('No rows', lambda: learner().predict(table().iloc[:0]), ValueError, "the table of ratings is empty: columns ['user', 'item', 'rating'], no rows."),
    ('A rating beside it that is NaN', lambda: learner().predict(table(rating=np.nan)), ValueError, f"column 'rating': 20 of 20 ratings are no finite number, the first is nan at row 0. {CORRECT}"),
    ('Biases of an unknown item', lambda: learner().model.bias([99]), ValueError, "column 'item': 1 of 1 rows have a value not seen in training, the first is 99 at row 0. Close to it: …."),
]

def file(name, body=None, folder=Path('.')):
    "A file with `body`, in the folder that a test runs in"
    path = folder/name
    if body is not None: path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return path

def csv(body=None, name='ratings.csv', **kwargs): return CollabDataLoaders.from_csv(file(name, body), **kwargs)

def forbidden(f):
    "Call `f` as a user who may read nothing here"
    if os.geteuid(): file('ratings.csv', 'a,b,c').chmod(0)
    if os.geteuid(): return f()
    os.chmod('.', 0o700)
    os.seteuid(65534)
    try: return f()
    finally: os.seteuid(0)

def full_disk():
    "Write a spreadsheet over an older one while the disk has no room"
    ours, path = crosstab(table(), 3, 3, item_name='item'), file('table.xlsx', 'an older file')
    def fail(*args): raise OSError(errno.ENOSPC, 'No space left on device')
    with pytest.MonkeyPatch.context() as m:
        m.setattr(files.os, 'fsync', fail)
        try: crosstab_to_excel(ours, path)
        finally: assert os.listdir() == ['table.xlsx'] and path.read_text() == 'an older file'

def loads(body):
    "Load a saved learner whose file was changed by `body`"
    learn = learner()
    path = learn.save(Path('model'))
    path.write_bytes(body(path.read_bytes()))
    return learn.load(path)

def future():
    "A file of a format that does not exist yet"
    from collab_course import files
    learn = learner()
    with pytest.MonkeyPatch.context() as m:
        m.setattr(files, 'FORMAT', 99)
        learn.save(Path('model'))
    return learn.load(Path('model'))

FILES = [
    ('A CSV file that is not there', csv, FileNotFoundError, "…No such file or directory: 'ratings.csv'"),
    ('A CSV file in no folder', lambda: CollabDataLoaders.from_csv('nowhere/ratings.csv'), FileNotFoundError, "…No such file or directory: 'nowhere/ratings.csv'"),
    ('A CSV file without permission to read', lambda: forbidden(lambda: CollabDataLoaders.from_csv('ratings.csv')), PermissionError, "…Permission denied: 'ratings.csv'"),
    ('An empty CSV file', lambda: csv(''), ValueError, "ratings.csv cannot be read as a table with sep=',': No columns to parse from file"),
    ('A CSV file with a header and no rows', lambda: csv('user,item,rating\n'), ValueError, "the table of ratings is empty: columns ['user', 'item', 'rating'], no rows."),
    ('A CSV file with another separator', lambda: csv('user;item;rating\n1;2;3\n'), ValueError, "ratings.csv has one column, 'user;item;rating', with sep=',': pass the sep= that stands between its values."),
    ('A CSV file cut short in its last row', lambda: csv('user,item,rating\n' + '1,2,3\n' * 20 + '1,2'), ValueError, f"column 'rating': 1 of 21 ratings are no finite number, the first is nan at row 20. {CORRECT}"),
    ('A CSV file that is no text', lambda: csv(b'PK\x03\x04\xff\xfe\x00\x80' * 20), ValueError, "ratings.csv cannot be read as a table with sep=',': …"),
    ('A CSV file with a row too long', lambda: csv('user,item,rating\n1,2,3\n1,2,3,4,5\n'), ValueError, "ratings.csv cannot be read as a table with sep=',': …line 3, saw 5…"),
    ('An address where nobody answers', lambda: CollabDataLoaders.from_csv('http://127.0.0.1:9/ratings.csv'), ValueError, "http://127.0.0.1:9/ratings.csv cannot be read as a table with sep=',': …"),
    ('An unknown data set', lambda: untar_data('https://example.org/other.zip'), ValueError, "untar_data knows URLs.ML_100k only, not 'https://example.org/other.zip'"),
    ('A data folder that is not there', lambda: untar_data(path='nowhere'), FileNotFoundError, 'nowhere does not exist: give a folder or zip with MovieLens 100K'),
    ('A data folder with other things in it', lambda: untar_data(path='.'), ValueError, 'u.data is missing'),
    ('A data folder with a truncated file', lambda: load_ratings(file('u.data', '196\t242\t3\t881250949\n').parent), ValueError, 'u.data is truncated or altered: SHA-256 …, expected 06416e597f82...'),
    ('A data file that is no zip', lambda: untar_data(path=file('ml.zip', 'text')), OSError, 'MovieLens 100K could not be had. Tried:…ml.zip: File is not a zip file…Download … by hand, then call untar_data(path=...) with the zip, or set COLLAB_COURSE_DATA to its path.'),
    ('A spreadsheet into no folder', lambda: crosstab_to_excel(crosstab(table(), 3, 3, item_name='item'), 'nowhere/table.xlsx'), FileNotFoundError, 'nowhere/table.xlsx cannot be written: there is no folder nowhere.'),
    ('A spreadsheet with another ending', lambda: crosstab_to_excel(crosstab(table(), 3, 3, item_name='item'), 'table.csv'), ValueError, 'table.csv must end in .xlsx: spreadsheet programs go by the ending'),
    ('A spreadsheet onto a full disk', full_disk, OSError, '…No space left on device…'),
    ('A saved model that is not there', lambda: learner().load(Path('nowhere')), FileNotFoundError, "…'nowhere'"),
    ('A saved model that is empty', lambda: loads(lambda o: b''), ValueError, 'model is no file that learn.export or learn.save wrote.'),
    ('A saved model that is truncated', lambda: loads(lambda o: o[:-100]), ValueError, 'model is truncated or altered: its checksum does not fit. Get it again.'),
    ('A saved model with one byte changed', lambda: loads(lambda o: o[:500] + bytes([o[500] ^ 1]) + o[501:]), ValueError, 'model is truncated or altered: its checksum does not fit. Get it again.'),
    ('A pickle', lambda: loads(lambda o: b'\x80\x04N.' * 40), ValueError, 'model holds a pickle, which is a program: nothing in it was run. …'),
    ('A model saved by a later version', future, ValueError, 'model has format 99, and this version of collab_course reads formats up to 1. Upgrade it.'),
]

SECTIONS = {'Tables of ratings': FRAMES, 'Arguments': ARGUMENTS, 'Predictions': PREDICTIONS, 'Files': FILES}

def page():
    "nbs/bad_input.md"
    lines = ['# Bad input', '', 'What happens to data and arguments that are not as they should be. Each row is also a test of the package. '
             'An error comes before any training starts, and a file that was there stays as it was. In a message, … stands for anything.']
    for title, rows in SECTIONS.items():
        lines += ['', f'## {title}', '', '| input | what happens | message |', '|---|---|---|']
        for what, _, outcome, message in rows:
            shown = f'works: {outcome}' if isinstance(outcome, str) else f'`{outcome.__name__}`'
            lines.append(' | '.join([f'| {what}', shown, f"{f'`{message}`' if message else ''} |"]).replace('  |', ' |'))
    return '\n'.join(lines) + '\n'

def test_page_is_what_the_rows_say(): assert PAGE.read_text(encoding='utf-8') == page(), 'run python tests/test_input.py'

def test_no_row_twice():
    for rows in SECTIONS.values(): assert len({o[0] for o in rows}) == len(rows)
    assert sum(map(len, SECTIONS.values())) >= 40

@pytest.mark.filterwarnings('error::RuntimeWarning')
@pytest.mark.parametrize('row', [pytest.param(o, id=f'{title}: {o[0]}') for title, rows in SECTIONS.items() for o in rows])
def test_row(row, tmp_path, monkeypatch):
    what, call, outcome, message = row
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'cache'))
    monkeypatch.delenv('COLLAB_COURSE_DATA', raising=False)
    monkeypatch.setattr(download, 'SOURCES', {})
    if isinstance(outcome, str): assert call()
    else:
        with pytest.raises(outcome) as e: call()
        assert re.fullmatch(re.escape(message).replace('…', '.*'), str(e.value), re.S), f'{e.value}\n{message}'

def test_unknown_titles_of_movielens(ratings):
    "Close titles are offered, in tables of which some rows are known"
    titles = CategoryMap(ratings.title)
    rows = ['Kolya (1996)', 'Kolia (1996)', 'Kolia (1996)', 'Jackie Brown (1997)']
    with pytest.raises(ValueError, match=r"column 'title': 2 of 4 rows.*'Kolia \(1996\)' at row 1.*'Kolya \(1996\)'"): titles.check_known(rows, titles.encode(rows), 'title')

if __name__ == '__main__': PAGE.write_text(page(), encoding='utf-8')
