"""Bad input, each kind with its own row in nbs/bad_input.md. `python tests/test_input.py` writes that page from the rows below."""
import decimal, errno, io, os, re, warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from collab_course import cli, download, files
from collab_course.all import *

PAGE = Path(__file__).parent.parent/'nbs'/'bad_input.md'

def table(n=20, **cols): return make_ratings(10, 10, n).assign(**cols)

def dls(df=None, **kwargs): return CollabDataLoaders.from_df(table() if df is None else df, **{'seed': 1, **kwargs})

def changed(col, row, val):
    df = table().astype({col: object})
    df.loc[row, col] = val
    return df

def merged():
    "The table of the classic lesson, in small"
    return table().rename(columns={'item': 'movie'}).assign(timestamp=range(881250949, 881250969), title=lambda df: 'film ' + df.movie.astype(str))

def wide(): return make_ratings(40, 10, 300).pivot_table('rating', 'user', 'item')

def takes(df, *names, said=True, **kwargs):
    "Are the columns `names` taken, and is that said once, or not at all?"
    with warnings.catch_warnings(record=True) as ws:
        warnings.simplefilter('always')
        got = dls(df, **kwargs)
    shown = 'columns taken: users {!r}, items {!r}, ratings {!r}. Pass user_name=, item_name= and rating_name= to choose others.'.format(*names)
    assert [str(o.message) for o in ws] == [shown] * said, ws
    back = pd.concat([got.decode(dl.x, dl.y) for dl in got])
    return [*back] == [*names] and sorted(map(tuple, back.to_numpy().tolist())) == sorted(map(tuple, df[[*names]].to_numpy().tolist()))

def likes(df, strength, n=None):
    "Does `df` give `n` pairs of one strength, with a warning where that is fewer than its rows?"
    with warnings.catch_warnings(record=True) as ws:
        warnings.simplefilter('always')
        got = dls(df, implicit=True)
    assert [str(o.message) for o in ws] == ([] if n in (None, len(df)) else [f'{len(df)} rows make {n} pairs, without what was not had and each pair once'])
    y = torch.cat([dl.y for dl in got])
    return got.implicit and len(y) == (n or len(df)) and (y == strength).all()

def learner(**kwargs): return collab_learner(dls(table(80)), y_range=(0, 5.5), **kwargs)

def keeps(df, user=None, **kwargs):
    "Do the loaders hold the ratings of `df`, and its users or those given?"
    got = dls(df, **kwargs)
    back = pd.concat([got.decode(dl.x, dl.y) for dl in got])
    want = list(df.user if user is None else user)
    return sorted(zip(map(str, back.user), back.rating)) == sorted(zip(map(str, want), df.rating.astype(float)))

def trains(df, **kwargs):
    "Does one epoch on `df` end with a finite loss?"
    return all(np.isfinite(quiet(collab_learner(dls(df, **kwargs), y_range=(0, 5.5)), 1, method='fit').recorder.values[0]))

abc = CategoryMap(['a', 'b', 'c'])
THERE = 'Pass user_name=, item_name= and rating_name= to say which columns to use.'
COUNT = 'give a whole number, 1 or more.'
CORRECT = 'Correct or drop those rows first.'
NAMING = 'Pass rating_name= to name the column with the ratings.'
NO_RATINGS = 'Pass rating_name= to name it, or implicit=True where there are no ratings, but counts, likes or nothing.'
LIKES = 'Pass implicit=True to learn from who had what.'
ONE = 'name one user or, of somebody new, pass the ratings: {item: stars}. recommend_all makes the lists of all users.'
OTHER = "has other values in column 'user' than the loaders: 1, such as …, are missing there and 1, such as …, are there alone, so that an index means another one. One from_df of all rows with valid_idx= gives both parts the same; dls.test_dl(df) takes another table; new users and items need a new learner, trained on all rows."
ASTRAY = 'are no number: the training went astray. Train a new learner at a smaller rate; lr_find shows which.'
MELT = "A table with a column for each item becomes one with a row for each rating by ratings.melt('user', var_name='item', value_name='rating').dropna(), where 'user' is its column of users."
KEEP = "If a name such as 'None' or 'NA' was read as none, read it with keep_default_na=False."

def warns(call, said):
    "Does `call` warn of `said`, once?"
    with pytest.warns(UserWarning) as ws: call()
    return [bool(fits(said, str(o.message))) for o in ws] == [True]

def stretched(loss, said):
    "Does training with `loss` warn of `said`, once?"
    loaders = dls(table(80))
    with pytest.warns(UserWarning) as ws: quiet(Learner(loaders, DotProduct(*map(len, loaders.classes.values()), 3), loss_func=loss), 1, 1e-5)
    return [bool(fits(said, str(o.message))) for o in ws if 'loss_func' in str(o.message)] == [True]

def fits(said, text): return re.fullmatch(re.escape(said).replace('…', '.*'), text, re.S)

def other(): return dls(table(80).replace({'user': {7: 70}}))

def quiet(learn, *args, method='fit_one_cycle', **kwargs):
    with learn.no_bar(), learn.no_logging(): getattr(learn, method)(*args, **kwargs)
    return learn

def trained(learn, epochs=5, lr=0.05): return quiet(learn, epochs, lr)

def near_mean(make, off=1e-6):
    "Is what `make` makes of loaders within `off` stars of their mean, where it knows neither user nor item?"
    loaders = dls(table(80))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        na = make(loaders).predict({'user': -1, 'item': -1}, unknown='na')
    return abs(na - loaders.train.y.mean()) <= off

def in_order(ds_idx=1, dl=None):
    "Are the predictions those of `dls.train.x`, row by row?"
    learn = learner()
    preds, targs = learn.get_preds(ds_idx=ds_idx, dl=dl if dl is None else learn.dls[dl])
    return torch.equal(targs, learn.dls.train.y.flatten()) and torch.equal(preds, learn.model(learn.dls.train.x.long()).detach())

def broken():
    learn = learner()
    with torch.no_grad(): learn.model.u_weight.weight[:] = torch.nan
    return learn

def named(item):
    "A learner whose column of items is called `item`"
    df = table().set_axis(pd.Index(['u', item, 'r'], tupleize_cols=False), axis=1)
    return collab_learner(CollabDataLoaders.from_df(df, user_name='u', item_name=item, rating_name='r', seed=1), 3)

def shell(*args):
    "Run the command; its exit code and what it said of it"
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
        try: code = cli.main([*map(str, args)])
        except SystemExit as e: code = e.code
    return code, err.getvalue().strip()

def csv_file(df):
    df.to_csv('ratings.csv', index=False)
    return 'ratings.csv'

def finds(*user):
    "Does the command line find a user whose id begins with a dash?"
    learn = collab_learner(dls(table(80, user=lambda df: df.user.map({1: '-x1aQ', 2: '-5', 3: '--n'}).fillna('-' + df.user.astype(str)))), 3)
    code, err = shell('recommend', '--model', learn.export(Path('model')), '-n', 1, '--min-ratings', 0, *user)
    return (code, err) if code else True

class Elsewhere: pass
class Sparse:
    def tocoo(self): return self
Elsewhere.__module__, Elsewhere.__qualname__ = 'fastai.collab', 'CollabDataLoaders'

@cache
def small_likes(): return CollabDataLoaders.from_df(make_ratings(30, 40, 800, seed=3).assign(rating=[1, 1, 1, 5] * 200), implicit=True, seed=3)

@cache
def small(): return CollabDataLoaders.from_df(make_ratings(30, 40, 800, seed=3), seed=3)

def tried(dls, **kwargs): return quiet(collab_learner(dls, y_range=(0, 5.5), **kwargs), 1, 0.05)

def file(name, body=None, folder=Path('.')):
    "A file with `body`, in the folder that a test runs in"
    path = folder/name
    if body is not None: path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return path

def csv(body=None, name='ratings.csv', **kwargs): return CollabDataLoaders.from_csv(file(name, body), **kwargs)

def parquet():
    table(90).to_parquet('ratings.csv')
    return Path('ratings.csv')

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

# Rows: the input, how to meet it, what happens (an exception, an exit code or, where it works, how), and the message, in which … stands for anything

KINDS = {
    'Which columns are meant': [
        ('A column is missing', lambda: dls(table().drop(columns='rating')), ValueError, f"no column can be seen to hold the ratings: the table has ['user', 'item']. {NO_RATINGS}"),
        ('A column you name is missing', lambda: dls(rating_name='stars'), ValueError, f"column 'stars' is missing: the table has ['user', 'item', 'rating']. {THERE}"),
        ('A column is there twice', lambda: dls(table()[['user', 'user', 'item', 'rating']]), ValueError, f"column 'user' is there 2 times: the table has ['user', 'user', 'item', 'rating']. {THERE}"),
        ('One column for users and items', lambda: dls(user_name='user', item_name='user'), ValueError, "users, items and ratings must be different columns, not ['user', 'user', 'rating']."),
        ('Columns that are numbered, not named', lambda: takes(table().set_axis(range(3), axis=1), 0, 1, 2), 'columns go by position, and a warning says which', ''),
        ('Columns whose names say nothing', lambda: takes(table().set_axis([*'abc'], axis=1), *'abc'), 'columns go by position, and a warning says which', ''),
        ('Columns named user, movie, rating, timestamp, title', lambda: takes(merged(), 'user', 'movie', 'rating', said=False), 'the first three, as in fastai', ''),
        ("The same, with `item_name='title'`", lambda: takes(merged(), 'user', 'title', 'rating', said=False, item_name='title'), 'the titles', ''),
        ('Columns in another order: item, user, rating', lambda: takes(table()[['item', 'user', 'rating']], 'user', 'item', 'rating'), 'columns go by their names, and a warning says which', ''),
        ('The same: timestamp, user, item, rating', lambda: takes(table()[['rating', 'user', 'item', 'rating']].set_axis(['timestamp', 'user', 'item', 'rating'], axis=1), 'user', 'item', 'rating'), 'columns go by their names, and a warning says which', ''),
        ('The same: title, movieId, userId, score', lambda: takes(table()[['item', 'item', 'user', 'rating']].set_axis(['title', 'movieId', 'userId', 'score'], axis=1), 'userId', 'movieId', 'score'), 'columns go by their names, ids before titles, and a warning says which', ''),
        ('The same: User-ID, ISBN, Book-Title, Book-Rating', lambda: takes(table()[['user', 'item', 'item', 'rating']].set_axis(['User-ID', 'ISBN', 'Book-Title', 'Book-Rating'], axis=1), 'User-ID', 'ISBN', 'Book-Rating'), 'columns go by their names, and a warning says which', ''),
        ('Users that cannot be told: timestamp, who, item, rating', lambda: dls(table().assign(timestamp=1)[['timestamp', 'user', 'item', 'rating']].rename(columns={'user': 'who'})), ValueError, "no column can be seen to hold the users: the table has ['timestamp', 'who', 'item', 'rating']. Pass user_name= to name it."),
        ('Users by position beside items that moved: no, who, item, rating', lambda: dls(table().assign(no=1)[['no', 'user', 'item', 'rating']].rename(columns={'user': 'who'})), ValueError, "no column can be seen to hold the users: the table has ['no', 'who', 'item', 'rating']. Pass user_name= to name it."),
        ('Items that are named for another: who, rating, name', lambda: dls(table()[['user', 'rating', 'item']].set_axis(['who', 'rating', 'name'], axis=1)), ValueError, "no column can be seen to hold the items: the table has ['who', 'rating', 'name']. Pass item_name= to name it."),
        ('`time_name` of a column that is not there', lambda: dls(time_name='when'), ValueError, "column 'when' is missing: the table has ['user', 'item', 'rating']. time_name= names the column of times."),
    ],
    'A header, an index or a width that is none': [
        ('A row of data for a header', lambda: dls(table().set_axis(['196', '242', '3'], axis=1)), ValueError, "the column names ['196', '242', '3'] look like a row of data: pass header=None to read a file that begins without names."),
        ('The same, with users and items of letters', lambda: dls(table().set_axis(['A1YJEY40YUW4SE', 'B00004Y2UT', '3.0'], axis=1)), ValueError, "the column names ['A1YJEY40YUW4SE', 'B00004Y2UT', '3.0'] look like a row of data: …"),
        ('A CSV file without a header', lambda: csv('196\t242\t3\t881250949\n186\t302\t3\t891717742\n', sep='\t'), ValueError, "the column names ['196', '242', '3', '881250949'] look like a row of data: pass header=None to read a file that begins without names."),
        ('The same, with `header=None`', lambda: csv('1::2::3\n' * 9, sep='::', header=None).train.n == 8, 'columns are numbered from 0', ''),
        ('A saved index for users: Unnamed: 0, item, rating', lambda: dls(table()[['user', 'item', 'rating']].set_axis(['Unnamed: 0', 'item', 'rating'], axis=1)), ValueError, "no column can be seen to hold the users: the table has ['Unnamed: 0', 'item', 'rating']. Pass user_name= to name it."),
        ("The classic lesson's table, saved with its index", lambda: takes(merged().reset_index().rename(columns={'index': 'Unnamed: 0'}), 'user', 'movie', 'rating'), 'columns go by their names, and a warning says which', ''),
        ('Users in the index', lambda: dls(table().set_index('user')), ValueError, "no column for the users, and the index is called ['user']: ratings.reset_index() makes columns of it."),
        ('Users and items in the index', lambda: dls(table().set_index(['user', 'item'])), ValueError, "no column for the users, and the index is called ['user', 'item']: ratings.reset_index() makes columns of it."),
        ('A CSV file with a separator at the end of each line', lambda: csv('user,item,rating\n' + '1,2,3,\n' * 9), ValueError, "ratings.csv has more values in a row than the 3 names ['user', 'item', 'rating'], so that pandas takes the first as an index. Where each line ends with a separator, index_col=False leaves that out; else give every column a name in the header."),
        ('The same, with `index_col=False`', lambda: csv('user,item,rating\n' + '1,2,3,\n' * 9, index_col=False).classes['item'].items[1:] == [2], 'the columns under their names', ''),
        ('A table with a column for each item, from pivot_table', lambda: dls(wide()), ValueError, f"no column for the users, and the index is called ['user']: ratings.reset_index() makes columns of it. {MELT}"),
        ('The same with users in a column', lambda: dls(wide().reset_index()), ValueError, f"column 'user', taken for the users, has another user in each of its 40 rows. {MELT} Else pass user_name=, item_name= and rating_name=."),
        ('The same without users', lambda: dls(pd.DataFrame(wide().to_numpy())), ValueError, f'all 10 columns run over about the same numbers, so that none looks like the users. {MELT} Else pass user_name=, item_name= and rating_name=.'),
        ('The same with 99 for none', lambda: dls(pd.DataFrame(wide().fillna(99).to_numpy())), ValueError, 'all 10 columns run over about the same numbers, …'),
        ('The same from a CSV file', lambda: csv(wide().to_csv()), ValueError, 'the column names …look like a row of data: pass header=None to read a file that begins without names. A table with a column for each item …'),
        ('As many users as rows, in columns that say nothing', lambda: dls(table(user=range(20)).set_axis([*'abc'], axis=1)), ValueError, "column 'a', taken for the users, has another user in each of its 20 rows. …"),
    ],
    'Objects and calls of other libraries': [
        ('No table but a list, an array, a path', lambda: dls([(1, 2, 3.)]), TypeError, 'ratings is of type list, not a DataFrame: pd.DataFrame makes one of lists, arrays and dicts, CollabDataLoaders.from_csv reads a file.'),
        ("A table of polars, of pyarrow, of another library", lambda: dls(__import__('pyarrow').Table.from_pandas(table())), TypeError, 'ratings is a pyarrow Table: pass ratings.to_pandas().'),
        ('A table of polars to predict', lambda: learner().predict(__import__('pyarrow').Table.from_pandas(table())), TypeError, 'ratings is a pyarrow Table: pass ratings.to_pandas().'),
        ('The same, to fold in', lambda: fold_in(learner(), __import__('pyarrow').Table.from_pandas(table())), TypeError, 'ratings is a pyarrow Table: pass ratings.to_pandas().'),
        ('The same, to recommend for', lambda: recommend(learner(), __import__('pyarrow').Table.from_pandas(table())), TypeError, 'ratings is a pyarrow Table: pass ratings.to_pandas().'),
        ('A Series, as groupby(...).size() gives it', lambda: dls(table().groupby(['user', 'item']).size()), TypeError, "ratings is of type Series, not a DataFrame: ratings.reset_index(name='count') makes one of it."),
        ('A Series of ratings, from a table with users and items in its index', lambda: dls(table().set_index(['user', 'item']).rating), TypeError, "ratings is of type Series, not a DataFrame: ratings.reset_index(name='rating') makes one of it."),
        ('A sparse matrix of SciPy', lambda: dls(Sparse()), TypeError, "ratings is of type Sparse, not a DataFrame: with m = ratings.tocoo(), pd.DataFrame({'user': m.row, 'item': m.col, 'rating': m.data}) makes one of it."),
        ('A list of splits, `k_folds(ratings)`', lambda: cross_validate(table(80), {'mean': GlobalMean}, k_folds(table(80), 3)), TypeError, 'splits is of type list: give a dict by name, such as …dict(enumerate(k_folds(ratings))).'),
        ('A model without a name, `cross_validate(ratings, GlobalMean, ...)`', lambda: cross_validate(table(80), GlobalMean, {'a': random_split(table(80))}), TypeError, 'models is of type type: give a dict by name, such as {"mean": GlobalMean}, …'),
        ('No loaders but a table', lambda: collab_learner(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `GlobalMean(ratings)`', lambda: GlobalMean(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `Popularity(ratings)`', lambda: Popularity(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `ItemKNN(ratings)`', lambda: ItemKNN(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `EASE(ratings)`', lambda: EASE(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `BPMF(ratings)`', lambda: BPMF(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `ranking_dls(ratings)`', lambda: ranking_dls(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `rating_metrics(model, ratings)`', lambda: rating_metrics(GlobalMean(dls()), table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('The same, `ranking_metrics(model, ratings)`', lambda: ranking_metrics(GlobalMean(dls()), table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('A model made before the split', lambda: cross_validate(table(80), {'mean': GlobalMean(dls())}, {'a': random_split(table(80))}), TypeError, "models['mean'] is of type GlobalMean, which is there already: give a function of dls that makes one from the training rows of each split."),
        ('No learner but a model', lambda: recommend(Biases(dls()), 1), TypeError, 'learn is of type Biases: Learner(dls, model), with the loaders that a model was made from, knows its users and items.'),
        ('A table to train on, `learn.fit(ratings)`', lambda: learner().fit(table()), ValueError, 'n_epoch is of type DataFrame: give a whole number, 0 or more.'),
        ('A table to `get_preds` or `validate`', lambda: learner().validate(table()), TypeError, 'batches are asked for, not a table: dls.test_dl(df) makes them of its rows, and learn.predict(df) predicts these.'),
        ('No row, but its values', lambda: learner().predict(1, 1), TypeError, "rows is of type int: ask with a dict, {'user': ..., 'item': ...}, or with a table, pd.DataFrame([{'user': ..., 'item': ...}, ...])."),
        ('Dicts in a list', lambda: learner().predict([{'user': 1, 'item': 1}]), TypeError, "rows is of type list: ask with a dict, …"),
        ('A list of items for a model of stars', lambda: recommend(learner(), [1, 2]), TypeError, 'EmbeddingDotBias learned from stars: of somebody new, pass {item: stars}. LikesKNN, EASE and IALS take a list of items.'),
        ('A Series or an array of users to recommend for', lambda: recommend(learner(), np.array([1, 2])), TypeError, f'user is of type ndarray: {ONE}'),
        ('One item to leave out, in place of a list', lambda: recommend(learner(), 1, exclude=3), TypeError, 'exclude=3: give a list.'),
        ('A table of candidates', lambda: recommend(learner(), 1, items=table()), TypeError, 'items is of type DataFrame: give a list.'),
        ('A list of items that others shall be like', lambda: similar_items(learner(), [1, 2], min_ratings=0), TypeError, 'item is of type list: name one item at a time.'),
        ("Users under another library's name in `user_split`", lambda: user_split(table().rename(columns={'user': 'userId'})), ValueError, f"column 'user' is missing: the table has ['userId', 'item', 'rating']. {THERE}"),
        ('A table where loaders are asked for', lambda: get_emb_sz(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('A model to find a batch size for', lambda: bs_find(learner().model), TypeError, 'learn is of type EmbeddingDotBias: Learner(dls, model), with the loaders that a model was made from, knows its users and items.'),
        ('A table in place of the vocabularies', lambda: EmbeddingDotBias.from_classes(5, table()), TypeError, 'classes is of type DataFrame: it is dls.classes.'),
        ('A table in place of a file', lambda: CollabDataLoaders.from_csv(table()), TypeError, 'csv is a table already: from_df takes it.'),
        ('One user where several are listed', lambda: recommend_all(learner(), users=1), TypeError, 'users=1: give a list.'),
        ('One seed where several are listed', lambda: cross_validate(table(80), {'mean': GlobalMean}, {'a': random_split(table(80))}, seeds=3), TypeError, 'seeds=3: give a list.'),
        ('A loss, an optimiser by its name', lambda: collab_learner(dls(), opt_func='adam'), TypeError, "opt_func='adam': give a function, or a class."),
        ('A set of batches by its name', lambda: learner().get_preds('valid'), ValueError, "ds_idx='valid': it is 0 for the training rows, 1 for the validation rows; other batches go to dl=."),
    ],
    'Calls of notebooks for fastai': [
        ('`emb_szs` by column', lambda: [e.weight.shape[1] for e in collab_learner(small(), use_nn=True, emb_szs={'item': 7}).model.embeds] == [emb_sz_rule(31), 7], 'that column gets this width, the other its own', ''),
        ('`config=tabular_config(...)`', lambda: isinstance(collab_learner(small(), use_nn=True, config=tabular_config(ps=[0.1], embed_p=0.05)).model.layers[3], nn.Dropout), 'the dropouts are those asked for', ''),
        ('`y_range` in `config`', lambda: collab_learner(small(), use_nn=True, config=tabular_config(y_range=(0, 5.5))).model.layers[-1].hi == 5.5, 'the range is taken', ''),
        ('`loss_func=L1LossFlat()`', lambda: float(tried(small(), loss_func=L1LossFlat()).validate()[0]) < 1.2, 'it trains by the mean absolute error', ''),
        ('`metrics=partial(...)`', lambda: tried(small(), metrics=partial(rmse)).recorder.metric_names[3] == 'rmse', 'shown under the name of the function', ''),
        ('`fit_flat_cos`', lambda: np.array(quiet(collab_learner(small()), 4, 0.1, method='fit_flat_cos').recorder.lrs)[[0, 29, 35]].tolist() == pytest.approx([0.1, 0.1, 0.05], rel=1e-4), 'the rate stays, then falls along a cosine', ''),
        ('`dls.device`, `dls.bs`, `dls.one_batch()`', lambda: (small().device, small().bs, len(small().one_batch())) == (torch.device('cpu'), 64, 2), 'what they say in fastai', ''),
        ('`learn.dls.valid`, `learn.dls[1]`', lambda: small().valid is small()[1], 'the loader of the validation rows', ''),
        ('`learn.recorder.metric_names`', lambda: list(tried(small()).recorder.metric_names) == ['epoch', 'train_loss', 'valid_loss', 'time'], 'the columns of the table that training shows', ''),
        ('`from_df(path=...)`', lambda: CollabDataLoaders.from_df(make_ratings(), path='.'), TypeError, 'CollabDataLoaders.from_df has no argument path: a table is read already; CollabDataLoaders.from_csv takes the path of a file.'),
        ('`from_df(shuffle=...)`', lambda: CollabDataLoaders.from_df(make_ratings(), shuffle=True), TypeError, 'CollabDataLoaders.from_df has no argument shuffle: shuffle_train=False keeps the rows in order.'),
        ('`from_df(num_workers=...)`', lambda: CollabDataLoaders.from_df(make_ratings(), num_workers=0), TypeError, 'CollabDataLoaders.from_df has no argument num_workers: batches are cut from memory, by no other process.'),
        ('`collab_learner(path=...)`', lambda: collab_learner(small(), path='.'), TypeError, "Learner.__init__ has no argument path: learn.save and learn.export take a file's whole path."),
        ('`collab_learner(splitter=...)`', lambda: collab_learner(small(), splitter=0), TypeError, 'Learner.__init__ has no argument splitter: p.requires_grad_(False) keeps a parameter from being trained.'),
        ('`collab_learner(dls)` with loaders of fastai', lambda: collab_learner(Elsewhere()), TypeError, 'dls is a fastai.collab.CollabDataLoaders: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('`Learner(dls)` with loaders of fastai', lambda: Learner(Elsewhere(), nn.Linear(2, 1)), TypeError, 'dls is a fastai.collab.CollabDataLoaders: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
        ('`config=tabular_config(bn_final=...)`', lambda: collab_learner(small(), use_nn=True, config=tabular_config(bn_final=True)), TypeError, 'TabularModel.__init__ has no argument bn_final: the last layer is not normalised.'),
        ('`act_cls=nn.ReLU()`', lambda: collab_learner(small(), use_nn=True, config=tabular_config(act_cls=nn.ReLU())), TypeError, 'act_cls=ReLU(): give the class, such as nn.ReLU'),
        ('`emb_szs` for another column', lambda: collab_learner(small(), use_nn=True, emb_szs={'film': 7}), ValueError, "emb_szs={'film': 7}: the columns are ['user', 'item']"),
        ('`n_factors` beside `layers`', lambda: collab_learner(small(), 30, use_nn=True, layers=[100]), ValueError, 'n_factors=30 has no effect beside layers=[100]: emb_szs sets the widths of the embeddings, layers those of the hidden layers'),
        ('`bs=1` and a network', lambda: collab_learner(CollabDataLoaders.from_df(make_ratings(), bs=1), use_nn=True), ValueError, 'bs=1: the network normalises over the rows of a batch, so it needs two: from_df(..., bs=2), or config=tabular_config(use_bn=False)'),
        ('`freeze()`', lambda: learner().freeze(), AttributeError, "'CollabLearner' object has no attribute 'freeze': nothing here was trained before: fit_one_cycle trains all of it, p.requires_grad_(False) keeps a parameter as it is."),
        ('`unfreeze()`', lambda: learner().unfreeze(), AttributeError, "'CollabLearner' object has no attribute 'unfreeze': nothing here was trained before: fit_one_cycle trains all of it, p.requires_grad_(False) keeps a parameter as it is."),
        ('`fine_tune(1)`', lambda: learner().fine_tune(1), AttributeError, "'CollabLearner' object has no attribute 'fine_tune': nothing here was trained before: fit_one_cycle trains all of it, p.requires_grad_(False) keeps a parameter as it is."),
        ('`fit_sgdr(1, 1)`', lambda: learner().fit_sgdr(1, 1), AttributeError, "'CollabLearner' object has no attribute 'fit_sgdr': fit_one_cycle lets the rate rise and fall once; call it again for another time."),
        ('`summary()`', lambda: learner().summary(), AttributeError, "'CollabLearner' object has no attribute 'summary': print(learn.model) shows its layers."),
        ('`learn.path`', lambda: learner().path, AttributeError, "'CollabLearner' object has no attribute 'path': learn.save and learn.export take a file's whole path."),
        ('`add_cb(...)`', lambda: learner().add_cb(0), AttributeError, "'CollabLearner' object has no attribute 'add_cb': learn.cbs is the list of callbacks, and fit(..., cbs=...) takes more for one training."),
        ('`to_fp16()`', lambda: learner().to_fp16(), AttributeError, "'CollabLearner' object has no attribute 'to_fp16': models are small, and train in float32."),
        ('`lr_find(suggest_funcs=...)`', lambda: learner().lr_find(suggest_funcs=()), TypeError, 'Learner.lr_find has no argument suggest_funcs: the valley is suggested; learn.recorder.lrs and .losses hold what was tried.'),
        ('`fit(reset_opt=True)`', lambda: learner().fit(1, reset_opt=True), TypeError, 'Learner.fit has no argument reset_opt: learn.create_opt() makes a new optimiser.'),
        ('`get_preds(with_decoded=True)`', lambda: learner().get_preds(with_decoded=True), TypeError, 'Learner.get_preds has no argument with_decoded: predictions are ratings already.'),
        ('`get_preds(with_input=True)`', lambda: learner().get_preds(with_input=True), TypeError, 'Learner.get_preds has no argument with_input: dls.decode(dl.x) names the users and items.'),
        ('`get_preds(with_loss=True)`', lambda: learner().get_preds(with_loss=True), TypeError, "Learner.get_preds has no argument with_loss: F.mse_loss(preds, targs, reduction='none') is the loss of each row."),
        ('`predict(with_input=True)`', lambda: learner().predict({}, with_input=True), TypeError, 'Learner.predict has no argument with_input: the rows keep their index.'),
        ('`show_results(ds_idx=0)`', lambda: learner().show_results(ds_idx=0), TypeError, 'Learner.show_results has no argument ds_idx: learn.predict(df) predicts the rows of a table.'),
        ('`cbs=Checkpoint`', lambda: learner().fit(1, cbs=Checkpoint), TypeError, 'cbs holds the class Checkpoint: pass an object, Checkpoint(...).'),
        ("A callback of fastai's", lambda: learner().fit(1, cbs=Elsewhere()), TypeError, 'cbs holds a fastai.collab.Elsewhere: derive it from Callback of collab_course.'),
        ("`metrics='rmse'`", lambda: quiet(collab_learner(small(), metrics='rmse'), 1), TypeError, "metrics holds 'rmse': give functions of predictions and ratings."),
        ('`dls.train_ds`', lambda: small().train_ds, AttributeError, "'CollabDataLoaders' object has no attribute 'train_ds': the training rows are dls.train.x and dls.train.y."),
        ('`dls.valid_ds`', lambda: small().valid_ds, AttributeError, "'CollabDataLoaders' object has no attribute 'valid_ds': the validation rows are dls.valid.x and dls.valid.y."),
        ('`dls.c`', lambda: small().c, AttributeError, "'CollabDataLoaders' object has no attribute 'c': a model has one output, the rating; len(dls.classes[name]) counts users or items."),
        ('`dls.vocab`', lambda: small().vocab, AttributeError, "'CollabDataLoaders' object has no attribute 'vocab': dls.classes has the users and the items."),
        ('`dls.items`', lambda: small().items, AttributeError, "'CollabDataLoaders' object has no attribute 'items': dls.decode(dls.train.x, dls.train.y) makes a table of the rows."),
        ('`dls.cuda()`', lambda: small().cuda(), AttributeError, "'CollabDataLoaders' object has no attribute 'cuda': pass device= to from_df, such as device='cuda'."),
        ('`SaveModelCallback(every_epoch=True)`', lambda: SaveModelCallback(every_epoch=True), TypeError, 'SaveModelCallback.__init__ has no argument every_epoch: Checkpoint(path) saves after each epoch.'),
        ("`EarlyStoppingCallback('accuracy')`", lambda: learner().fit(1, cbs=EarlyStoppingCallback('accuracy')), ValueError, "monitor='accuracy': this learner records ['train_loss', 'valid_loss']."),
    ],
    'Next to nothing in the table': [
        ('No rows', lambda: dls(table().iloc[:0]), ValueError, "the table of ratings is empty: columns ['user', 'item', 'rating'], no rows."),
        ('One row', lambda: dls(table().iloc[:1]), ValueError, 'valid_pct=0.2 of 1 rows leaves nothing to validate on.'),
        ('One user only', lambda: trains(table(user='Ann')), 'a model of one user', ''),
        ('One item only', lambda: trains(table(item='Fargo')), 'a model of one item', ''),
        ('All ratings are equal', lambda: trains(table(rating=3.)), 'the model learns that one number', ''),
        ('`bs` larger than the data', lambda: trains(table(), bs=64), 'one batch with all rows', ''),
        ('No rows to predict', lambda: learner().predict(table().iloc[:0]), ValueError, "the table of ratings is empty: columns ['user', 'item'], no rows."),
        ('A CSV file with a header and no rows', lambda: csv('user,item,rating\n'), ValueError, "the table of ratings is empty: columns ['user', 'item', 'rating'], no rows."),
    ],
    'Ratings that are no numbers': [
        ('A rating is None', lambda: dls(changed('rating', 3, None)), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is None at row 3. {CORRECT}"),
        ('A rating is NaN', lambda: dls(changed('rating', 3, float('nan'))), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is nan at row 3. {CORRECT}"),
        ('A rating is infinite', lambda: dls(changed('rating', 4, float('inf'))), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is inf at row 4. {CORRECT}"),
        ('A rating is beyond float32', lambda: dls(changed('rating', 4, 1e300)), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is 1e+300 at row 4. {CORRECT}"),
        ('A rating is a word', lambda: dls(changed('rating', 5, 'good')), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is 'good' at row 5. {CORRECT}"),
        ('A rating is True', lambda: dls(changed('rating', 5, True)), ValueError, f"column 'rating': 1 of 20 ratings are no finite number, the first is True at row 5. {CORRECT}"),
        ('Ratings are numbers written as text', lambda: keeps(table().astype({'rating': str})), 'the numbers are read', ''),
        ('Ratings are decimals', lambda: keeps(table(rating=[decimal.Decimal('3.5')] * 20)), 'taken as they are', ''),
        ('Ratings are categories', lambda: keeps(table().astype({'rating': 'category'})), 'the numbers are taken', ''),
        ('Ratings are dates', lambda: dls(table(rating=pd.Timestamp('1998-04-22'))), ValueError, f"column 'rating' holds datetime64…, not numbers. {NAMING}"),
        ('Ratings are spans of time', lambda: dls(table(rating=pd.Timedelta(1, 'D'))), ValueError, f"column 'rating' holds timedelta64…, not numbers. {NAMING}"),
        ('Ratings are complex numbers', lambda: dls(table(rating=1j)), ValueError, f"column 'rating' holds complex128, not numbers. {NAMING}"),
        ('A CSV file cut short in its last row', lambda: csv('user,item,rating\n' + '1,2,3\n' * 20 + '1,2'), ValueError, f"column 'rating': 1 of 21 ratings are no finite number, the first is nan at row 20. {CORRECT}"),
        ('A CSV file of decimals with a comma', lambda: csv('user;item;rating\n' + '1;2;3,5\n' * 9, sep=';'), ValueError, "column 'rating': 9 of 9 ratings are no finite number, the first is '3,5' at row 0. Read it with decimal=','."),
        ('The same, with `decimal=","`', lambda: csv('user;item;rating\n' + '1;2;3,5\n' * 9, sep=';', decimal=',').train.y.unique().item() == 3.5, 'the numbers are read', ''),
    ],
    'Likes and counts in place of stars': [
        ('Ratings are truth values', lambda: dls(table(rating=True)), ValueError, "column 'rating' holds bool, not numbers. Pass rating_name= to name the column with the ratings, or implicit=True to learn from likes."),
        ('All ratings are 1', lambda: dls(table(rating=1)), ValueError, f"column 'rating' holds nothing but 1: likes, no ratings. {LIKES}"),
        ('Ratings are 0 and 1', lambda: dls(table(rating=[0, 1] * 10)), ValueError, f"column 'rating' holds nothing but 0 and 1: likes, no ratings. {LIKES}"),
        ('Ratings are counts', lambda: dls(table(rating=range(1, 2001, 100))), ValueError, "column 'rating' runs from 1 to 1901, which is no scale of ratings. If it counts something, pass implicit=True to learn from who had what. Else pass rating_name= to name the column with the ratings."),
        ('Ratings are timestamps', lambda: dls(merged(), rating_name='timestamp'), ValueError, "column 'timestamp' runs from 881250944 to …, which is no scale of ratings. …"),
        ('A column of counts and none of ratings', lambda: dls(table().rename(columns={'rating': 'plays'})), ValueError, f"no column can be seen to hold the ratings: the table has ['user', 'item', 'plays']. {NO_RATINGS}"),
        ('Zeros beside a scale of 1 to 10', lambda: dls(table(rating=[0, 7, 10, 0] * 5)), ValueError, "column 'rating': 10 of 20 ratings are 0, beside a scale of 1 to 10. Where 0 stands for no rating, drop those rows, ratings[ratings['rating'] > 0], or pass implicit=True to learn from who had what. Where it is the lowest rating, add 1 to all."),
        ('Zeros on a scale of half stars', lambda: keeps(table(rating=[0, 0.5, 5, 3.5] * 5)), 'taken as they are', ''),
        ('`implicit=True`: no third column', lambda: likes(table()[['user', 'item']], 1.), 'each row counts 1', ''),
        ('`implicit=True`: truth values', lambda: likes(table(rating=[True, False] * 10), 1., n=10), 'the rows with True count 1; a warning says how many are left', ''),
        ('`implicit=True`: truth values and gaps', lambda: dls(table(rating=[True, None] * 10), implicit=True), ValueError, f"column 'rating': 10 of 20 ratings are no finite number, the first is <NA> at row 1. {CORRECT}"),
        ('`implicit=True`: all ones', lambda: likes(table(rating=1), 1.), 'each row counts 1', ''),
        ('`implicit=True`: counts', lambda: likes(table(rating=[0, 2000] * 10).rename(columns={'rating': 'plays'}), 2000., n=10), 'a count is a strength; rows with 0 are left out, and a warning says how many are left', ''),
        ('`implicit=True`: stars with zeros', lambda: likes(table(rating=[0, 9] * 10), 1.), 'each row counts 1, whatever its stars', ''),
        ('`implicit=True`: events, a pair more than once', lambda: likes(pd.concat([table()[['user', 'item']]] * 3), 3., n=20), 'one row per pair, with their number; a warning says how many are left', ''),
        ('`implicit=True`: counts below 0', lambda: dls(table(rating=[-1, 3] * 10), implicit=True), ValueError, "column 'rating': 10 of 20 counts are below 0, the first is -1 at row 0. Where that gives back what another row took, add up each pair first: ratings.groupby([user, item], as_index=False)[['rating']].sum(), and keep what is above 0."),
        ('`implicit=True`: `at_least` of a metric not given', lambda: ranking_metrics(Popularity(small_likes()), small_likes()) == ranking_metrics(Popularity(small_likes()), small_likes(), at_least=0), 'whatever was had is relevant', ''),
        ('`implicit=True`: nobody had anything', lambda: dls(table(rating=False), implicit=True), ValueError, "column 'rating': all 20 values are 0, so nobody had anything."),
        ('`implicit=True`: `valid_idx` where rows are left out', lambda: dls(table(rating=[True, False] * 10), implicit=True, valid_idx=[0]), ValueError, '20 rows make 10 pairs, without what was not had and each pair once, so that valid_idx, which counts rows, fits no more: make the pairs first.'),
        ('The same loaders for a model of ratings', lambda: collab_learner(dls(table(rating=1), implicit=True)), ValueError, "column 'rating' says who had what, and holds no ratings to predict: Learner(dls, EASE(dls)) makes lists, and so does collab_learner(ranking_dls(dls), loss_func=bpr_loss) after a training."),
    ],
    'Missing users and items': [
        ('A user is missing', lambda: dls(changed('user', 6, None)), ValueError, "column 'user': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 6. Drop them first: ratings.dropna(subset=['user']). " + KEEP),
        ('An item is missing', lambda: dls(changed('item', 7, float('nan'))), ValueError, "column 'item': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 7. Drop them first: ratings.dropna(subset=['item']). " + KEEP),
        ('A nullable id is missing', lambda: dls(table(user=pd.array([None] + [1] * 19, dtype='Int64'))), ValueError, "column 'user': 1 of 20 rows have no value, …the first at row 0. …"),
        ("A user is called '#na#'", lambda: dls(changed('user', 2, '#na#')), ValueError, "column 'user': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 2. Drop them first: …"),
        ("A user '#na#'", lambda: learner().predict({'user': '#na#', 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a value not seen in training, the first is '#na#' at row 0. …unknown='na'…"),
        ('A user that is NaN', lambda: learner().predict({'user': float('nan'), 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a value not seen in training, the first is nan at row 0. …"),
        ("A CSV file with a title 'None'", lambda: csv('user,title,rating\n' + '1,None,3\n1,Up,3\n' * 9), ValueError, f"column 'title': 9 of 18 rows have no value, or '#na#' which stands for none, the first at row 0. Drop them first: ratings.dropna(subset=['title']). {KEEP}"),
        ('The same, with `keep_default_na=False`', lambda: csv('user,title,rating\n' + '1,None,3\n1,Up,3\n' * 9, keep_default_na=False).classes['title'].items[1:] == ['None', 'Up'], 'the titles as they stand', ''),
        ('A CSV file with its own word for none, with `na_values`', lambda: csv('user,title,rating\n' + '1,?,3\n1,Up,3\n' * 9, na_values='?'), ValueError, "column 'title': 9 of 18 rows have no value, …"),
    ],
    'One id in two types, and ids of any type': [
        ('An id as a number and as text', lambda: dls(changed('user', 2, '7').pipe(lambda df: df.assign(user=df.user.where(df.index != 3, 7)))), ValueError, "column 'user': 1 values stand as a number and as text, the first is 7, so one id would have two rows. Make all of them text: ratings['user'] = ratings['user'].astype(str)."),
        ('The same, the text with a decimal', lambda: dls(changed('user', 2, '7.0').pipe(lambda df: df.assign(user=df.user.where(df.index != 3, 7)))), ValueError, "column 'user': 1 values stand as a number and as text, the first is 7, …"),
        ('The same, the number a float', lambda: dls(table(item=[7.0, '7'] * 10)), ValueError, "column 'item': 1 values stand as a number and as text, the first is 7.0, …"),
        ('A CSV file of ids that are numbers until late in the file', lambda: csv('user,isbn,rating\n' + '1,345045,3\n' * 300_000 + '1,34545X,3\n').classes['isbn'].items[1:] == ['345045', '34545X'], 'one type a column: text', ''),
        ('A number given as text', lambda: learner().predict({'user': '1', 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a known value as another type, the first is '1' at row 0, which the model knows as 1: df['user'] = df['user'].astype(int)."),
        ('A CSV file of ids with zeros in front', lambda: csv('user,upc,rating\n' + '1,007,3\n1,7,3\n' * 9), ValueError, "ratings.csv: column 'upc' holds '007', which as a number is 7. Pass dtype={'upc': 'str'} to keep it as it stands, or dtype={'upc': 'int'}."),
        ('The same, with `dtype=str`', lambda: csv('user,upc,rating\n' + '1,007,3\n1,7,3\n' * 9, dtype=str).classes['upc'].items[1:] == ['007', '7'], 'the ids as they stand; ratings are read as numbers all the same', ''),
        ('Ids of mixed types', lambda: keeps(changed('user', 2, 'Ann')), 'sorted by type, then by value', ''),
        ('Ids as floats', lambda: keeps(table().astype({'user': float})), '1.0 and 1 are one id', ''),
        ('Ids as categories', lambda: keeps(table().astype({'user': 'category'})), 'as what they stand for; unused categories get no row', ''),
        ('Ids as dates', lambda: keeps(table(user=pd.date_range('2000-01-01', periods=20)), pd.date_range('2000-01-01', periods=20)), 'taken as they are', ''),
        ('Ids as tuples, of any length', lambda: keeps(table(user=[(1, 2), (3,)] * 10)), 'taken as they are', ''),
        ("pandas' nullable types", lambda: keeps(table().astype({'user': 'Int64', 'rating': 'Float32'})), 'taken as they are', ''),
        ("pyarrow's types", lambda: keeps(table().astype({'user': 'int64[pyarrow]', 'rating': 'float[pyarrow]'})), 'taken as they are', ''),
        ('A user is a list', lambda: dls(table(user=[[1]] * 20)), TypeError, "column 'user': …unhashable…. An id is a number, a text, or anything else that can be the key of a dict."),
    ],
    'Users and items that nobody knows': [
        ('A user not seen in training', lambda: learner().predict({'user': 99, 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a value not seen in training, the first is 99 at row 0. Close to it: …. Pass unknown='na' to score such rows as '#na#'."),
        ('A misspelt item', lambda: nearest('aa', torch.randn(4, 2), abc), ValueError, "no item 'aa'. Close to it: ['a']."),
        ('The same, with unknown="na"', lambda: 0 <= learner().predict({'user': 99, 'item': 1}, unknown='na') <= 5.5, "scored as '#na#'", ''),
        ('`unknown` that is neither', lambda: learner().predict(table(), unknown='skip'), ValueError, "unknown='skip': it is 'raise' or 'na'."),
        ('A user to recommend for', lambda: recommend(learner(), 99), ValueError, 'no user 99. Close to it: [9]. Of somebody new, pass the ratings: {item: stars}.'),
        ('An item that others shall be like', lambda: similar_items(learner(), 99, min_ratings=0), ValueError, 'no item 99. Close to it: [9].'),
        ('An item that somebody new has rated', lambda: warns(lambda: fold_in(learner(), {99: 5, 1: 3}), '1 of 2 ratings are left out, as their item was not seen in training: 99, close to it: [9]'), 'it is left out, and a warning names it', ''),
        ('Biases of an unknown item', lambda: learner().model.bias([99]), ValueError, "column 'item': 1 of 1 rows have a value not seen in training, the first is 99 at row 0. Close to it: …."),
    ],
    'Loaders, tables and files of other users': [
        ('A table of strangers', lambda: learner().predict(table(user=-1, item=-1), unknown='na'), ValueError, "all 20 rows have a user and an item not seen in training: is it the table of another model? Columns ['user', 'item'], the first row [-1, -1]."),
        ('`learn.validate` on them', lambda: learner().validate(dl=other().valid), ValueError, f'the loader {OTHER}'),
        ('`rating_metrics` of a learner', lambda: rating_metrics(learner(), other()), ValueError, f'the CollabLearner {OTHER}'),
        ('`ranking_metrics` of a learner', lambda: ranking_metrics(learner(), other()), ValueError, f'the CollabLearner {OTHER}'),
        ('`rating_metrics` of a baseline', lambda: rating_metrics(Biases(dls(table(80))), other()), ValueError, f'the Biases {OTHER}'),
        ('`learn.dls = ...`', lambda: setattr(learner(), 'dls', other()), ValueError, f'the CollabLearner {OTHER}'),
        ('`Learner(dls, model)` with a trained model', lambda: Learner(other(), learner().model), ValueError, f'the EmbeddingDotBias {OTHER}'),
        ('Weights that were saved', lambda: collab_learner(other(), y_range=(0, 5.5)).load(learner().save(Path('model'))), ValueError, 'model: its weights were learned for other users or items than those of this learner, so that the rows would be mixed up. Make the learner from the same ratings, or train a new one on all of them to take in new users and items; fold_in welcomes somebody new until then.'),
        ('A learner that was exported', lambda: collab_learner(other(), y_range=(0, 5.5)).load(learner().export(Path('model'))), ValueError, f'model {OTHER}'),
        ('A column is missing', lambda: learner().predict(table()[['user']]), ValueError, "column 'item' is missing: the table has ['user']. The model asks for it by this name: df.rename(columns={…}) gives it."),
    ],
    'Which row a prediction belongs to': [
        ('`get_preds(ds_idx=0)`, the training rows', lambda: in_order(ds_idx=0), 'complete, in the order of `dls.train.x`', ''),
        ('`get_preds(dl=dls.train)`', lambda: in_order(dl=0), 'complete, in the order of `dls.train.x`', ''),
        ('`validate(ds_idx=0)`', lambda: collab_learner(dls(table(80)), metrics=lambda preds, targs: len(preds)).validate(ds_idx=0)[1] == 64, 'on all training rows', ''),
        ('A table with an index of its own', lambda: learner().predict(table().iloc[::-1]).index.tolist() == [*range(19, -1, -1)], 'each prediction stands under the index of its row', ''),
        ('An index that is unsorted or has duplicates', lambda: keeps(table().set_axis([3, 1] * 10)), 'rows count by position', ''),
        ('A pair rated twice', lambda: keeps(pd.concat([table(), table()])), 'both rows stay: drop_duplicates() keeps the first', ''),
        ('`valid_idx` that may be labels', lambda: dls(table()[::-1], valid_idx=table()[::-1].index[:3]), ValueError, "valid_idx is a pandas Index, and the table's own does not count its rows from 0, so it may hold labels. Positions are asked for: ratings.index.get_indexer(valid_idx) makes them of labels, and valid_idx.to_numpy() says that they are positions."),
        ('Columns in another order', lambda: (lambda o: (o.predict(table()) == o.predict(table()[['rating', 'item', 'user']])).all())(learner()), 'columns go by name', ''),
        ('A single row, as a dict or Series', lambda: (lambda o: o.predict({'user': 1, 'item': 1}) == o.predict(pd.Series({'item': 1, 'user': 1})))(learner()), 'a number', ''),
        ('A rating beside it that is NaN', lambda: (lambda o: (o.predict(table(rating=np.nan)) == o.predict(table())).all())(learner()), 'ratings are not looked at', ''),
    ],
    'Worse than a guess': [
        ('A training that ends worse than the mean', lambda: warns(lambda: trained(collab_learner(dls(table(80)), 3), lr=1e-4), 'the validation loss is …. Always saying 3.48, the mean of the training ratings, has 0.9097: train for longer, or at another rate (lr_find), with a y_range or with more wd.'), 'a warning says so, and what to try', ''),
        ('`loss_func` that takes every prediction from every rating', lambda: stretched(lambda pred, targ: (pred - targ).square().mean(), 'loss_func gives … for 16 validation rows, and the same when their predictions change places: with predictions of shape (16,) and ratings of (16, 1) it compares each with all. Let it begin with pred, targ = pred.flatten(), targ.flatten().'), 'a warning says so, and what to do', ''),
        ('The same, flat', lambda: not stretched(lambda pred, targ: (pred.flatten() - targ.flatten()).square().mean(), 'loss_func…'), 'no warning', ''),
        ('An unknown user and item, asked of `collab_learner`', lambda: near_mean(lambda dls: trained(collab_learner(dls))), 'near the mean of the training ratings', ''),
        ('The same, with a `y_range`', lambda: near_mean(lambda dls: trained(collab_learner(dls, y_range=(0, 5.5)))), 'near the mean of the training ratings', ''),
        ('The same of a network', lambda: near_mean(lambda dls: trained(collab_learner(dls, use_nn=True, y_range=(0, 5.5)), epochs=20), 0.4), 'near the mean of the training ratings', ''),
        ('The same of biases', lambda: near_mean(lambda dls: Learner(dls, Biases(dls))), 'the mean of the training ratings', ''),
        ('The same of Bayesian factors', lambda: near_mean(lambda dls: Learner(dls, BPMF(dls, 2, 40)), 0.4), 'near the mean of the training ratings', ''),
        ('The same of a file', lambda: near_mean(lambda dls: load_learner(trained(collab_learner(dls)).export(Path('model')))), 'near the mean of the training ratings', ''),
    ],
    'Results that are no number': [
        ('An interval of nothing', lambda: bootstrap([float('nan')]), ValueError, 'values hold no number: there is nothing to draw from.'),
        ('A training at a rate far too high', lambda: trained(learner(), lr=1e30), FloatingPointError, '…no number: the training went astray. Train a new learner at a smaller rate; lr_find shows which.'),
        ('Validating without ratings', lambda: (lambda o: o.validate(dl=o.dls.test_dl(table()[['user', 'item']])))(learner()), ValueError, "20 of 20 rows have no rating to compare a prediction with. A table needs its column 'rating'; a file exported with rows=False holds no rows."),
        ('The same, its ratings under another name', lambda: (lambda o: o.validate(dl=o.dls.test_dl(table().rename(columns={'rating': 'stars'}))))(learner()), ValueError, "20 of 20 rows have no rating to compare a prediction with. A table needs its column 'rating'; …"),
        ('The same on the command line', lambda: shell('evaluate', '--model', learner().export(Path('model')), '--csv', csv_file(table().rename(columns={'rating': 'stars'}))), 1, "…column 'rating' is missing…--rating…"),
        ('Validating a learner exported with `rows=False`', lambda: load_learner(learner().export(Path('model'), rows=False)).validate(), ValueError, '…no rating to compare a prediction with. …a file exported with rows=False holds no rows.'),
        ('A prediction of a model whose weights are NaN', lambda: broken().predict({'user': 1, 'item': 1}), FloatingPointError, f'1 of 1 predictions {ASTRAY}'),
        ('A list of it', lambda: recommend(broken(), 1), FloatingPointError, f'550 of 561 weights {ASTRAY}'),
        ('Its RMSE', lambda: (lambda o: rating_metrics(o, o.dls))(broken()), FloatingPointError, f'16 of 16 predictions {ASTRAY}'),
        ('Its NDCG', lambda: (lambda o: ranking_metrics(o, o.dls))(broken()), FloatingPointError, f'550 of 561 weights {ASTRAY}'),
    ],
    'Batches, splits, seeds and devices': [
        ('`bs=0`', lambda: dls(bs=0), ValueError, f'bs=0: {COUNT}'),
        ('`val_bs=-1`', lambda: dls(val_bs=-1), ValueError, f'val_bs=-1: {COUNT}'),
        ('`bs` that is no whole number', lambda: dls(bs='64'), ValueError, f"bs='64': {COUNT}"),
        ('`valid_pct=0`', lambda: dls(valid_pct=0), ValueError, 'valid_pct=0 is outside (0, 1): it is the share of rows to validate on.'),
        ('`valid_pct=20`, meant as percent', lambda: dls(valid_pct=20), ValueError, 'valid_pct=20 is outside (0, 1): it is the share of rows to validate on.'),
        ('Columns in the place of `valid_pct`', lambda: CollabDataLoaders.from_df(table(), 'user', 'item', 'rating', valid_idx=[0]), ValueError, "valid_pct='user' is outside (0, 1): it is the share of rows to validate on."),
        ('`valid_pct` that leaves no row to validate on', lambda: dls(valid_pct=0.01), ValueError, 'valid_pct=0.01 of 20 rows leaves nothing to validate on.'),
        ('`valid_idx` with every row', lambda: dls(valid_idx=range(20)), ValueError, 'valid_idx holds all 20 rows and leaves nothing to train on.'),
        ('`valid_idx` past the end', lambda: dls(valid_idx=[3, 20]), ValueError, 'valid_idx: 1 of 2 positions are outside 0 to 19, the first is 20. Positions count rows from 0 whatever the index of the table.'),
        ('`seed` that is no number', lambda: dls(seed='abc'), ValueError, "seed='abc': give a whole number, 0 or more."),
        ('`device` that is not there', lambda: dls(device='gpu'), ValueError, "device='gpu' is not to be had here (…): 'cpu' always is."),
    ],
    'Ranges of predictions': [
        ('A rating outside y_range', lambda: collab_learner(dls(), y_range=(0, 3)), ValueError, "column 'rating': the ratings run from 1 to 5, which is not inside y_range=(0, 3)."),
        ('`y_range` upside down', lambda: collab_learner(dls(), y_range=(5.5, 0)), ValueError, 'y_range=(5.5, 0): the lowest prediction must be below the highest'),
        ('`y_range` of one number', lambda: collab_learner(dls(), y_range=5), ValueError, 'y_range=5: give two finite numbers, the lowest and the highest prediction'),
        ('`y_range` without an end', lambda: collab_learner(dls(), y_range=(0, float('inf'))), ValueError, 'y_range=(0, inf): give two finite numbers, the lowest and the highest prediction'),
        ('`y_range` as text', lambda: collab_learner(dls(), y_range=('0', '5')), ValueError, "y_range=('0', '5'): give two finite numbers, the lowest and the highest prediction"),
        ('A range upside down, in any model', lambda: DotProduct(9, 9, 2, y_range=(5, 0))(torch.ones(1, 2).long()), ValueError, 'the range (5, 0) must run from a lower number to a higher one'),
    ],
    'Sizes of models': [
        ('`n_factors=0`', lambda: collab_learner(dls(), n_factors=0), ValueError, f'n_factors=0: {COUNT}'),
        ('`layers` without `use_nn`', lambda: collab_learner(dls(), layers=[100]), ValueError, 'layers=[100] is for the network: pass use_nn=True as well'),
        ('`layers` that is no list', lambda: collab_learner(dls(), use_nn=True, layers=100), TypeError, 'layers=100: give the widths of the hidden layers as a list, such as [100, 50]'),
        ('A hidden layer of width 0', lambda: collab_learner(dls(), use_nn=True, layers=[0]), ValueError, f'layers[0]=0: {COUNT}'),
        ('Fewer dropouts than hidden layers', lambda: TabularModel([(3, 3)], 0, 1, [4, 5], ps=[0.1]), ValueError, 'ps has 1 dropouts for 2 hidden layers: give one number for all, or one each'),
        ('An embedding with too few rows', lambda: collab_learner(dls(), use_nn=True, emb_szs=[(3, 3), (30, 3)]), ValueError, "emb_szs: 3 rows for column 'user', which has 9 values with '#na#'"),
        ('One embedding for two columns', lambda: collab_learner(dls(), use_nn=True, emb_szs=[(30, 3)]), ValueError, 'emb_szs=[(30, 3)]: give two pairs, for users and for items'),
        ('An embedding without columns', lambda: Embedding(5, 0), ValueError, f'nf=0: {COUNT}'),
        ('A negative standard deviation', lambda: Embedding(5, 2, std=-1), ValueError, 'std=-1: a standard deviation is above 0'),
        ('`create_params` of a number', lambda: create_params(3), TypeError, 'size=3: give the shape as a list, such as [3, 2]'),
        ('More ratings than pairs', lambda: make_ratings(2, 2, 5), ValueError, 'n_ratings=5: 2 users and 2 items make 4 pairs'),
    ],
    'Tables and pictures to look at': [
        ('`crosstab` of a missing column', lambda: crosstab(table()), ValueError, "column 'title' is missing: the table has ['user', 'item', 'rating']. Pass user_name=, item_name= and rating_name= to say which columns to use."),
        ('`crosstab` of no rows or columns', lambda: crosstab(table(), n_users=0, item_name='item'), ValueError, f'n_users=0: {COUNT}'),
        ('`crosstab` of text', lambda: crosstab(table().astype({'rating': str}), item_name='item'), ValueError, "column 'rating' holds …, not numbers"),
        ('`one_hot` past the end', lambda: one_hot(3, 3), IndexError, 'index 3 is out of bounds for dimension 0 with size 3'),
        ('More principal components than columns', lambda: torch.randn(9, 3).pca(4), ValueError, 'k=4: a matrix of shape (9, 3) has at most 3 principal components'),
        ('Factors with NaN', lambda: torch.full((4, 3), float('nan')).pca(), ValueError, '12 of 12 values are no finite number'),
        ('`plot_pca` with too few labels', lambda: plot_pca(torch.randn(5, 3), ['a']), ValueError, "1 labels where 5 are needed, one for each row of factors, '' for none"),
        ('`nearest` by an unknown measure', lambda: nearest('a', torch.randn(4, 2), abc, by='near'), ValueError, "by='near': it is 'cosine', 'dot' or 'euclidean'"),
        ('`nearest` with factors of other items', lambda: nearest('a', torch.randn(3, 2), abc), ValueError, "3 rows of factors where 4 are needed, one for each item and one for '#na#'"),
        ('`bias_table` with biases of other items', lambda: bias_table(torch.randn(3), abc, table(), 'item'), ValueError, "3 biases where 4 are needed, one for each item and one for '#na#'"),
    ],
    'Files that are not the table': [
        ('A CSV file that is not there', csv, FileNotFoundError, "…No such file or directory: 'ratings.csv'"),
        ('A CSV file in no folder', lambda: CollabDataLoaders.from_csv('nowhere/ratings.csv'), FileNotFoundError, "…No such file or directory: 'nowhere/ratings.csv'"),
        ('A CSV file without permission to read', lambda: forbidden(lambda: CollabDataLoaders.from_csv('ratings.csv')), PermissionError, "…Permission denied: 'ratings.csv'"),
        ('An empty CSV file', lambda: csv(''), ValueError, "ratings.csv cannot be read as a table with sep=',': No columns to parse from file"),
        ('A CSV file of one column', lambda: csv('user\n1\n'), ValueError, "ratings.csv has one column, 'user', with sep=',': pass the sep= that stands between its values."),
        ('A Parquet file for a CSV file', lambda: CollabDataLoaders.from_csv(parquet()), ValueError, "ratings.csv cannot be read as a table with sep=',': …. It looks like another kind of file: pd.read_parquet reads it for from_df"),
        ('A CSV file that is no text', lambda: csv(b'PK\x03\x04\xff\xfe\x00\x80' * 20), ValueError, "ratings.csv cannot be read as a table with sep=',': …"),
        ('A CSV file with a row too long', lambda: csv('user,item,rating\n1,2,3\n1,2,3,4,5\n'), ValueError, "ratings.csv cannot be read as a table with sep=',': …line 3, saw 5…"),
        ('An address where nobody answers', lambda: CollabDataLoaders.from_csv('http://127.0.0.1:9/ratings.csv'), ValueError, "http://127.0.0.1:9/ratings.csv cannot be read as a table with sep=',': …"),
    ],
    'How a file is written': [
        ('A CSV file with another separator', lambda: csv('user;item;rating\n1;2;3\n'), ValueError, "ratings.csv has one column, 'user;item;rating', with sep=',': pass sep=';'."),
        ('The same, tabs', lambda: csv('user\titem\trating\n1\t2\t3\n'), ValueError, "ratings.csv has one column, …, with sep=',': pass sep='\\t'."),
        ('The same, ::, without a header', lambda: csv('1::2::3\n1::3::4\n', header=None), ValueError, "ratings.csv has one column, '1::2::3', with sep=',': pass sep='::'."),
        ('The same, decimals with a comma', lambda: csv('user;item;rating\n1;2;3,5\n'), ValueError, "ratings.csv has one column, 'user;item;rating', with sep=',': pass sep=';'."),
        ('A CSV file in another encoding', lambda: csv('user,item,rating\n1,Café,3\n'.encode('latin-1')), ValueError, "ratings.csv cannot be read as a table with sep=',': 'utf-8' codec can't decode byte 0xe9…. Pass the encoding= of the file, often encoding='latin-1'"),
        ('The same, with `encoding="latin-1"`', lambda: 'Café' in csv(('user,item,rating\n' + '1,Café,3\n' * 9).encode('latin-1'), encoding='latin-1').classes['item'].o2i, 'the names are read', ''),
    ],
    'Sets of data': [
        ('An unknown data set', lambda: untar_data('https://example.org/other.zip'), ValueError, "untar_data knows URLs.ML_100k, URLs.ML_latest_small, …, not 'https://example.org/other.zip'"),
        ('A data folder that is not there', lambda: untar_data(path='nowhere'), FileNotFoundError, 'nowhere does not exist: give a folder or zip with MovieLens 100K'),
        ('A data folder with other things in it', lambda: untar_data(path='.'), ValueError, 'u.data is missing'),
        ('A data folder with a truncated file', lambda: load_ratings(file('u.data', '196\t242\t3\t881250949\n').parent), ValueError, 'u.data is truncated or altered: SHA-256 …, expected 06416e597f82...'),
        ('A data file that is no zip', lambda: untar_data(path=file('ml.zip', 'text')), OSError, 'MovieLens 100K could not be had. Tried:…ml.zip: File is not a zip file…Download … by hand, then call untar_data(path=...) with the zip, or set COLLAB_COURSE_DATA to its path.'),
    ],
    'Files that cannot be trusted or written': [
        ('A saved model that is not there', lambda: learner().load(Path('nowhere')), FileNotFoundError, "…'nowhere'"),
        ('A saved model that is empty', lambda: loads(lambda o: b''), ValueError, 'model is no file that learn.export or learn.save wrote.'),
        ('A saved model that is truncated', lambda: loads(lambda o: o[:-100]), ValueError, 'model is truncated or altered: its checksum does not fit. Get it again.'),
        ('A saved model with one byte changed', lambda: loads(lambda o: o[:500] + bytes([o[500] ^ 1]) + o[501:]), ValueError, 'model is truncated or altered: its checksum does not fit. Get it again.'),
        ('A pickle', lambda: loads(lambda o: b'\x80\x04N.' * 40), ValueError, 'model holds a pickle, which is a program: nothing in it was run. …'),
        ('A model saved by a later version', future, ValueError, 'model has format 99, and this version of collab_course reads formats up to 1. Upgrade it.'),
        ('A spreadsheet into no folder', lambda: crosstab_to_excel(crosstab(table(), 3, 3, item_name='item'), 'nowhere/table.xlsx'), FileNotFoundError, 'nowhere/table.xlsx cannot be written: there is no folder nowhere.'),
        ('A spreadsheet with another ending', lambda: crosstab_to_excel(crosstab(table(), 3, 3, item_name='item'), 'table.csv'), ValueError, 'table.csv must end in .xlsx: spreadsheet programs go by the ending'),
        ('A spreadsheet onto a full disk', full_disk, OSError, '…No space left on device…'),
    ],
    'Names that no file can keep': [
        ('Users that are dates', lambda: collab_learner(dls(table(user=pd.Timestamp('2020')))).export(Path('model')), ValueError, "column 'user': 1 of 1 values are not text or finite numbers, the first is Timestamp('2020-01-01 00:00:00') (Timestamp). Train on text instead: ratings['user'] = ratings['user'].astype(str)."),
        ('Users that are tuples', lambda: collab_learner(dls(table(user=[(1, 2)] * 20))).export(Path('model')), ValueError, "column 'user': 1 of 1 values are not text or finite numbers, the first is (1, 2) (tuple). …"),
        ('A user that is infinite', lambda: collab_learner(dls(table(user=np.inf))).export(Path('model')), ValueError, "column 'user': 1 of 1 values are not text or finite numbers, the first is inf (float). …"),
        ('A column named by a date', lambda: named(pd.Timestamp('2020')).export(Path('model')), ValueError, "column Timestamp('2020-01-01 00:00:00'): its name is a Timestamp, and a file keeps text and numbers. Rename it: ratings.columns = [\"user\", ...]."),
        ('Columns named on two levels', lambda: named(('id', 'i')).export(Path('model')), ValueError, "column ('id', 'i'): its name is a tuple, and a file keeps text and numbers. …"),
    ],
    'Ids that look like options': [
        ('`--user -x1aQ`', lambda: finds('--user', '-x1aQ'), 'the user is found', ''),
        ('`--user=-x1aQ`', lambda: finds('--user=-x1aQ'), 'the user is found', ''),
        ('`--user -5`', lambda: finds('--user', '-5'), 'the user is found', ''),
        ('`--user=--n`, which is an option as well', lambda: finds('--user=--n'), 'the user is found', ''),
        ('`--user --n`', lambda: finds('--user', '--n'), 2, '…expected one argument…'),
        ('`--user -n 3`, a user forgotten', lambda: finds('--user', '-n', '3'), 2, '…expected one argument…'),
    ],
    'What is not there': [
        ('An argument that does not exist', lambda: dls(batch_size=64), TypeError, "…from_df() got an unexpected keyword argument 'batch_size'"),
        ('An option that neither we nor pandas know', lambda: csv('user,item,rating\n', seperator=';'), TypeError, "from_csv() got an unexpected keyword argument 'seperator': neither from_df nor pandas.read_csv has one of that name"),
        ('Weights for rows, `weight_name=`', lambda: dls(weight_name='w'), TypeError, 'CollabDataLoaders.from_df has no argument weight_name: ratings have no weights; a row that is there twice counts twice.'),
        ('Training a learner exported with `rows=False`', lambda: load_learner(learner().export(Path('model'), rows=False)).fit(1), ValueError, 'there are no rows to train on: a file that was exported with rows=False holds none.'),
        ('What users have seen, in the same', lambda: recommend(load_learner(learner().export(Path('model'), rows=False)), 1), ValueError, 'this learner does not know what its users have rated: it comes from a file that was exported with rows=False. Pass exclude_seen=False, or export with the rows.'),
        ('Folding in with a network', lambda: fold_in(collab_learner(dls(), use_nn=True), {1: 5}), TypeError, 'EmbeddingNN has no factors to fold in, compare or explain with. An EmbeddingDotBias has: collab_learner makes one unless use_nn=True.'),
        ('Reasons from popularity', lambda: explain(Learner(dls(implicit=True), Popularity(dls(implicit=True))), 1, 2), TypeError, 'Popularity has no factors to fold in, compare or explain with. …'),
    ],
}

def page():
    "nbs/bad_input.md"
    lines = ['# Bad input', '', 'What happens to data and calls that are not as they should be, by kind. Each row is also a test of the package. '
             'An error comes before any training starts, and a file that was there stays as it was. In a message, … stands for anything.',
             '', '| kind | inputs tried | refused, with the way out | understood |', '|---|---|---|---|']
    for kind, rows in KINDS.items():
        works = sum(isinstance(o[2], str) for o in rows)
        lines.append(f'| [{kind}](#{kind.lower().replace(",", "").replace(" ", "-")}) | {len(rows)} | {len(rows) - works} | {works} |')
    for kind, rows in KINDS.items():
        lines += ['', f'## {kind}', '', '| input | what happens | message |', '|---|---|---|']
        for what, _, outcome, message in rows:
            shown = f'works: {outcome}' if isinstance(outcome, str) else f'exit code {outcome}' if isinstance(outcome, int) else f'`{outcome.__name__}`'
            lines.append(' | '.join([f'| {what}', shown, f"{f'`{message}`' if message else ''} |"]).replace('  |', ' |'))
    return '\n'.join(lines) + '\n'

def test_page_is_what_the_rows_say(): assert PAGE.read_text(encoding='utf-8') == page(), 'run python tests/test_input.py'

def test_five_of_each_kind_and_none_twice():
    for kind, rows in KINDS.items(): assert len({o[0] for o in rows}) == len(rows) >= 5, kind

@pytest.mark.filterwarnings('error::RuntimeWarning')
@pytest.mark.parametrize('row', [pytest.param(o, id=f'{kind}: {o[0]}') for kind, rows in KINDS.items() for o in rows])
def test_row(row, tmp_path, monkeypatch):
    what, call, outcome, message = row
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'cache'))
    monkeypatch.delenv('COLLAB_COURSE_DATA', raising=False)
    monkeypatch.setattr(download, 'SOURCES', {})
    if isinstance(outcome, str): assert call()
    elif isinstance(outcome, int):
        code, said = call()
        assert code == outcome and fits(message, said), said
    else:
        with pytest.raises(outcome) as e: call()
        assert fits(message, str(e.value)), f'{e.value}\n{message}'

def test_unknown_titles_of_movielens(ratings):
    "Close titles are offered, in tables of which some rows are known"
    titles = CategoryMap(ratings.title)
    rows = ['Kolya (1996)', 'Kolia (1996)', 'Kolia (1996)', 'Jackie Brown (1997)']
    with pytest.raises(ValueError, match=r"column 'title': 2 of 4 rows.*'Kolia \(1996\)' at row 1.*'Kolya \(1996\)'"): titles.check_known(rows, titles.encode(rows), 'title')

if __name__ == '__main__': PAGE.write_text(page(), encoding='utf-8')
