"""Bad input, each kind with its own row in nbs/bad_input.md. `python tests/test_input.py` writes that page from the rows below."""
import decimal, errno, os, re, warnings
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
    learn = collab_learner(dls(df, **kwargs), y_range=(0, 5.5))
    with learn.no_bar(), learn.no_logging(): learn.fit(1)
    return all(np.isfinite(learn.recorder.values[0]))

abc = CategoryMap(['a', 'b', 'c'])
THERE = 'Pass user_name=, item_name= and rating_name= to say which columns to use.'
COUNT = 'give a whole number, 1 or more.'
CORRECT = 'Correct or drop those rows first.'
NAMING = 'Pass rating_name= to name the column with the ratings.'
NO_RATINGS = 'Pass rating_name= to name it, or implicit=True where there are no ratings, but counts, likes or nothing.'
LIKES = 'Pass implicit=True to learn from who had what.'
MELT = "A table with a column for each item becomes one with a row for each rating by ratings.melt('user', var_name='item', value_name='rating').dropna(), where 'user' is its column of users."
KEEP = "If a name such as 'None' or 'NA' was read as none, read it with keep_default_na=False."

# Rows: the input, how to meet it, what happens (an exception or, where it works, how), and the message, in which … stands for anything

FRAMES = [
    ('No table but a list, an array, a path', lambda: dls([(1, 2, 3.)]), TypeError, 'ratings is a list, not a DataFrame: pd.DataFrame makes one of lists, arrays and dicts, CollabDataLoaders.from_csv reads a file.'),
    ('A column is missing', lambda: dls(table().drop(columns='rating')), ValueError, f"no column can be seen to hold the ratings: the table has ['user', 'item']. {NO_RATINGS}"),
    ('A column you name is missing', lambda: dls(rating_name='stars'), ValueError, f"column 'stars' is missing: the table has ['user', 'item', 'rating']. {THERE}"),
    ('A column is there twice', lambda: dls(table()[['user', 'user', 'item', 'rating']]), ValueError, f"column 'user' is there 2 times: the table has ['user', 'user', 'item', 'rating']. {THERE}"),
    ('One column for users and items', lambda: dls(user_name='user', item_name='user'), ValueError, "users, items and ratings must be different columns, not ['user', 'user', 'rating']."),
    ('Columns that are numbered, not named', lambda: takes(table().set_axis(range(3), axis=1), 0, 1, 2), 'columns go by position, and a warning says which', ''),
    ('Columns whose names say nothing', lambda: takes(table().set_axis([*'abc'], axis=1), *'abc'), 'columns go by position, and a warning says which', ''),
    ('Columns named user, movie, rating, timestamp, title', lambda: takes(merged(), 'user', 'movie', 'rating', said=False), 'the first three, as in fastai', ''),
    ("The same, with `item_name='title'`", lambda: takes(merged(), 'user', 'title', 'rating', said=False, item_name='title'), 'the titles', ''),
    ('The same, saved with its index', lambda: takes(merged().reset_index().rename(columns={'index': 'Unnamed: 0'}), 'user', 'movie', 'rating'), 'columns go by their names, and a warning says which', ''),
    ('Columns in another order: item, user, rating', lambda: takes(table()[['item', 'user', 'rating']], 'user', 'item', 'rating'), 'columns go by their names, and a warning says which', ''),
    ('The same: timestamp, user, item, rating', lambda: takes(table()[['rating', 'user', 'item', 'rating']].set_axis(['timestamp', 'user', 'item', 'rating'], axis=1), 'user', 'item', 'rating'), 'columns go by their names, and a warning says which', ''),
    ('The same: title, movieId, userId, score', lambda: takes(table()[['item', 'item', 'user', 'rating']].set_axis(['title', 'movieId', 'userId', 'score'], axis=1), 'userId', 'movieId', 'score'), 'columns go by their names, ids before titles, and a warning says which', ''),
    ('The same: User-ID, ISBN, Book-Title, Book-Rating', lambda: takes(table()[['user', 'item', 'item', 'rating']].set_axis(['User-ID', 'ISBN', 'Book-Title', 'Book-Rating'], axis=1), 'User-ID', 'ISBN', 'Book-Rating'), 'columns go by their names, and a warning says which', ''),
    ('Users that cannot be told: timestamp, who, item, rating', lambda: dls(table().assign(timestamp=1)[['timestamp', 'user', 'item', 'rating']].rename(columns={'user': 'who'})), ValueError, "no column can be seen to hold the users: the table has ['timestamp', 'who', 'item', 'rating']. Pass user_name= to name it."),
    ('Users by position beside items that moved: no, who, item, rating', lambda: dls(table().assign(no=1)[['no', 'user', 'item', 'rating']].rename(columns={'user': 'who'})), ValueError, "no column can be seen to hold the users: the table has ['no', 'who', 'item', 'rating']. Pass user_name= to name it."),
    ('Items that are named for another: who, rating, name', lambda: dls(table()[['user', 'rating', 'item']].set_axis(['who', 'rating', 'name'], axis=1)), ValueError, "no column can be seen to hold the items: the table has ['who', 'rating', 'name']. Pass item_name= to name it."),
    ('Users in the index', lambda: dls(table().set_index('user')), ValueError, "no column for the users, and the index is called ['user']: ratings.reset_index() makes columns of it."),
    ('Users and items in the index', lambda: dls(table().set_index(['user', 'item'])), ValueError, "no column for the users, and the index is called ['user', 'item']: ratings.reset_index() makes columns of it."),
    ('A row of data for a header', lambda: dls(table().set_axis(['196', '242', '3'], axis=1)), ValueError, "the column names ['196', '242', '3'] look like a row of data: pass header=None to read a file that begins without names."),
    ('The same, with users and items of letters', lambda: dls(table().set_axis(['A1YJEY40YUW4SE', 'B00004Y2UT', '3.0'], axis=1)), ValueError, "the column names ['A1YJEY40YUW4SE', 'B00004Y2UT', '3.0'] look like a row of data: …"),
    ('A saved index for users: Unnamed: 0, item, rating', lambda: dls(table()[['user', 'item', 'rating']].set_axis(['Unnamed: 0', 'item', 'rating'], axis=1)), ValueError, "no column can be seen to hold the users: the table has ['Unnamed: 0', 'item', 'rating']. Pass user_name= to name it."),
    ('A table with a column for each item, from pivot_table', lambda: dls(wide()), ValueError, f"no column for the users, and the index is called ['user']: ratings.reset_index() makes columns of it. {MELT}"),
    ('The same with users in a column', lambda: dls(wide().reset_index()), ValueError, f"column 'user', taken for the users, has another user in each of its 40 rows. {MELT} Else pass user_name=, item_name= and rating_name=."),
    ('The same without users', lambda: dls(pd.DataFrame(wide().to_numpy())), ValueError, f'all 10 columns run over about the same numbers, so that none looks like the users. {MELT} Else pass user_name=, item_name= and rating_name=.'),
    ('The same with 99 for none', lambda: dls(pd.DataFrame(wide().fillna(99).to_numpy())), ValueError, 'all 10 columns run over about the same numbers, …'),
    ('The same from a CSV file', lambda: csv(wide().to_csv()), ValueError, 'the column names …look like a row of data: pass header=None to read a file that begins without names. A table with a column for each item …'),
    ('As many users as rows, in columns that say nothing', lambda: dls(table(user=range(20)).set_axis([*'abc'], axis=1)), ValueError, "column 'a', taken for the users, has another user in each of its 20 rows. …"),
    ("A table of polars, of pyarrow, of another library", lambda: dls(__import__('pyarrow').Table.from_pandas(table())), TypeError, 'ratings is a pyarrow Table: pass ratings.to_pandas().'),
    ('A Series, as groupby(...).size() gives it', lambda: dls(table().groupby(['user', 'item']).size()), TypeError, "ratings is a Series, not a DataFrame: ratings.reset_index(name='count') makes one of it."),
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
    ('Ratings are truth values', lambda: dls(table(rating=True)), ValueError, "column 'rating' holds bool, not numbers. Pass rating_name= to name the column with the ratings, or implicit=True to learn from likes."),
    ('Ratings are dates', lambda: dls(table(rating=pd.Timestamp('1998-04-22'))), ValueError, f"column 'rating' holds datetime64…, not numbers. {NAMING}"),
    ('Ratings are spans of time', lambda: dls(table(rating=pd.Timedelta(1, 'D'))), ValueError, f"column 'rating' holds timedelta64…, not numbers. {NAMING}"),
    ('Ratings are complex numbers', lambda: dls(table(rating=1j)), ValueError, f"column 'rating' holds complex128, not numbers. {NAMING}"),
    ('All ratings are equal', lambda: trains(table(rating=3.)), 'the model learns that one number', ''),
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
    ('`implicit=True`: events, a pair more than once', lambda: likes(pd.concat([table()[['user', 'item']]] * 3), 3., n=20), 'one row a pair, with their number; a warning says how many are left', ''),
    ('`implicit=True`: counts below 0', lambda: dls(table(rating=[-1, 3] * 10), implicit=True), ValueError, "column 'rating': 10 of 20 counts are below 0."),
    ('`implicit=True`: nobody had anything', lambda: dls(table(rating=False), implicit=True), ValueError, "column 'rating': all 20 values are 0, so nobody had anything."),
    ('`implicit=True`: `valid_idx` where rows are left out', lambda: dls(table(rating=[True, False] * 10), implicit=True, valid_idx=[0]), ValueError, '20 rows make 10 pairs, without what was not had and each pair once, so that valid_idx, which counts rows, fits no more: make the pairs first.'),
    ('The same loaders for a model of ratings', lambda: collab_learner(dls(table(rating=1), implicit=True)), ValueError, "column 'rating' says who had what, and holds no ratings to predict: Learner(dls, EASE(dls)) makes lists, and so does collab_learner(ranking_dls(dls), loss_func=bpr_loss) after a training."),
    ('A user is missing', lambda: dls(changed('user', 6, None)), ValueError, "column 'user': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 6. Drop them first: ratings.dropna(subset=['user']). " + KEEP),
    ('An item is missing', lambda: dls(changed('item', 7, float('nan'))), ValueError, "column 'item': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 7. Drop them first: ratings.dropna(subset=['item']). " + KEEP),
    ("A user is called '#na#'", lambda: dls(changed('user', 2, '#na#')), ValueError, "column 'user': 1 of 20 rows have no value, or '#na#' which stands for none, the first at row 2. Drop them first: …"),
    ('A user is a list', lambda: dls(table(user=[[1]] * 20)), TypeError, "column 'user': …unhashable…. An id is a number, a text, or anything else that can be the key of a dict."),
    ('Ids of mixed types', lambda: keeps(changed('user', 2, 'Ann')), 'sorted by type, then by value', ''),
    ('An id as a number and as text', lambda: dls(changed('user', 2, '7').pipe(lambda df: df.assign(user=df.user.where(df.index != 3, 7)))), ValueError, "column 'user': 1 values stand as a number and as text, the first is 7, so one id would have two rows. Make all of them text: ratings['user'] = ratings['user'].astype(str)."),
    ('The same, the text with a decimal', lambda: dls(changed('user', 2, '7.0').pipe(lambda df: df.assign(user=df.user.where(df.index != 3, 7)))), ValueError, "column 'user': 1 values stand as a number and as text, the first is 7, …"),
    ('The same, the number a float', lambda: dls(table(item=[7.0, '7'] * 10)), ValueError, "column 'item': 1 values stand as a number and as text, the first is 7.0, …"),
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
    ('`valid_idx` that may be labels', lambda: dls(table()[::-1], valid_idx=table()[::-1].index[:3]), ValueError, "valid_idx is a pandas Index, and the table's own does not count its rows from 0, so it may hold labels. Positions are asked for: ratings.index.get_indexer(valid_idx) makes them of labels, and valid_idx.to_numpy() says that they are positions."),
    ('`time_name` of a column that is not there', lambda: dls(time_name='when'), ValueError, "column 'when' is missing: the table has ['user', 'item', 'rating']. time_name= names the column of times."),
    ('`seed` that is no number', lambda: dls(seed='abc'), ValueError, "seed='abc': give a whole number, 0 or more."),
    ('`device` that is not there', lambda: dls(device='gpu'), ValueError, "device='gpu' is not to be had here (…): 'cpu' always is."),
    ('An argument that does not exist', lambda: dls(batch_size=64), TypeError, "…from_df() got an unexpected keyword argument 'batch_size'"),
    ('No loaders but a table', lambda: collab_learner(table()), TypeError, 'dls is a pandas.…DataFrame: CollabDataLoaders.from_df(ratings) of collab_course makes what is asked for'),
    ('`y_range` upside down', lambda: collab_learner(dls(), y_range=(5.5, 0)), ValueError, 'y_range=(5.5, 0): the lowest prediction must be below the highest'),
    ('`y_range` of one number', lambda: collab_learner(dls(), y_range=5), ValueError, 'y_range=5: give two finite numbers, the lowest and the highest prediction'),
    ('`y_range` without an end', lambda: collab_learner(dls(), y_range=(0, float('inf'))), ValueError, 'y_range=(0, inf): give two finite numbers, the lowest and the highest prediction'),
    ('`y_range` as text', lambda: collab_learner(dls(), y_range=('0', '5')), ValueError, "y_range=('0', '5'): give two finite numbers, the lowest and the highest prediction"),
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
    ('A number given as text', lambda: learner().predict({'user': '1', 'item': 1}), ValueError, "column 'user': 1 of 1 rows have a known value as another type, the first is '1' at row 0, which the model knows as 1: df['user'] = df['user'].astype(int)."),
    ('`unknown` that is neither', lambda: learner().predict(table(), unknown='skip'), ValueError, "unknown='skip': it is 'raise' or 'na'."),
    ('A column is missing', lambda: learner().predict(table()[['user']]), ValueError, "column 'item' is missing: the table has ['user']. The model asks for it by this name: df.rename(columns={…}) gives it."),
    ('No row, but its values', lambda: learner().predict(1, 1), TypeError, "rows is a int: ask with a dict, {'user': ..., 'item': ...}, or with a table, pd.DataFrame([{'user': ..., 'item': ...}, ...])."),
    ('Dicts in a list', lambda: learner().predict([{'user': 1, 'item': 1}]), TypeError, "rows is a list: ask with a dict, …"),
    ('A table of strangers', lambda: learner().predict(table(user=-1, item=-1), unknown='na'), ValueError, "all 20 rows have a user and an item not seen in training: is it the table of another model? Columns ['user', 'item'], the first row [-1, -1]."),
    ('Columns in another order', lambda: (lambda o: (o.predict(table()) == o.predict(table()[['rating', 'item', 'user']])).all())(learner()), 'columns go by name', ''),
    ('A single row, as a dict or Series', lambda: (lambda o: o.predict({'user': 1, 'item': 1}) == o.predict(pd.Series({'item': 1, 'user': 1})))(learner()), 'a number', ''),
    ('No rows', lambda: learner().predict(table().iloc[:0]), ValueError, "the table of ratings is empty: columns ['user', 'item'], no rows."),
    ('A rating beside it that is NaN', lambda: (lambda o: (o.predict(table(rating=np.nan)) == o.predict(table())).all())(learner()), 'ratings are not looked at', ''),
    ('Validating without ratings', lambda: (lambda o: o.validate(dl=o.dls.test_dl(table()[['user', 'item']])))(learner()), ValueError, "20 of 20 rows have no rating to compare a prediction with. A table needs its column 'rating'; a file exported with rows=False holds no rows."),
    ('Biases of an unknown item', lambda: learner().model.bias([99]), ValueError, "column 'item': 1 of 1 rows have a value not seen in training, the first is 99 at row 0. Close to it: …."),
]

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

FILES = [
    ('A CSV file that is not there', csv, FileNotFoundError, "…No such file or directory: 'ratings.csv'"),
    ('A CSV file in no folder', lambda: CollabDataLoaders.from_csv('nowhere/ratings.csv'), FileNotFoundError, "…No such file or directory: 'nowhere/ratings.csv'"),
    ('A CSV file without permission to read', lambda: forbidden(lambda: CollabDataLoaders.from_csv('ratings.csv')), PermissionError, "…Permission denied: 'ratings.csv'"),
    ('An empty CSV file', lambda: csv(''), ValueError, "ratings.csv cannot be read as a table with sep=',': No columns to parse from file"),
    ('A CSV file with a header and no rows', lambda: csv('user,item,rating\n'), ValueError, "the table of ratings is empty: columns ['user', 'item', 'rating'], no rows."),
    ('A CSV file with another separator', lambda: csv('user;item;rating\n1;2;3\n'), ValueError, "ratings.csv has one column, 'user;item;rating', with sep=',': pass sep=';'."),
    ('The same, tabs', lambda: csv('user\titem\trating\n1\t2\t3\n'), ValueError, "ratings.csv has one column, …, with sep=',': pass sep='\\t'."),
    ('The same, ::, without a header', lambda: csv('1::2::3\n1::3::4\n', header=None), ValueError, "ratings.csv has one column, '1::2::3', with sep=',': pass sep='::'."),
    ('The same, decimals with a comma', lambda: csv('user;item;rating\n1;2;3,5\n'), ValueError, "ratings.csv has one column, 'user;item;rating', with sep=',': pass sep=';'."),
    ('A CSV file of one column', lambda: csv('user\n1\n'), ValueError, "ratings.csv has one column, 'user', with sep=',': pass the sep= that stands between its values."),
    ('A CSV file of decimals with a comma', lambda: csv('user;item;rating\n' + '1;2;3,5\n' * 9, sep=';'), ValueError, "column 'rating': 9 of 9 ratings are no finite number, the first is '3,5' at row 0. Read it with decimal=','."),
    ('The same, with `decimal=","`', lambda: csv('user;item;rating\n' + '1;2;3,5\n' * 9, sep=';', decimal=',').train.y.unique().item() == 3.5, 'the numbers are read', ''),
    ('A CSV file in another encoding', lambda: csv('user,item,rating\n1,Café,3\n'.encode('latin-1')), ValueError, "ratings.csv cannot be read as a table with sep=',': 'utf-8' codec can't decode byte 0xe9…. Pass the encoding= of the file, often encoding='latin-1'"),
    ('The same, with `encoding="latin-1"`', lambda: 'Café' in csv(('user,item,rating\n' + '1,Café,3\n' * 9).encode('latin-1'), encoding='latin-1').classes['item'].o2i, 'the names are read', ''),
    ('A CSV file without a header', lambda: csv('196\t242\t3\t881250949\n186\t302\t3\t891717742\n', sep='\t'), ValueError, "the column names ['196', '242', '3', '881250949'] look like a row of data: pass header=None to read a file that begins without names."),
    ('The same, with `header=None`', lambda: csv('1::2::3\n' * 9, sep='::', header=None).train.n == 8, 'columns are numbered from 0', ''),
    ('A CSV file with a separator at the end of each line', lambda: csv('user,item,rating\n' + '1,2,3,\n' * 9), ValueError, "ratings.csv has more values in a row than the 3 names ['user', 'item', 'rating'], so that pandas takes the first as an index. Where each line ends with a separator, index_col=False leaves that out; else give every column a name in the header."),
    ('The same, with `index_col=False`', lambda: csv('user,item,rating\n' + '1,2,3,\n' * 9, index_col=False).classes['item'].items[1:] == [2], 'the columns under their names', ''),
    ('A CSV file of ids with zeros in front', lambda: csv('user,upc,rating\n' + '1,007,3\n1,7,3\n' * 9), ValueError, "ratings.csv: column 'upc' holds '007', which as a number is 7. Pass dtype={'upc': 'str'} to keep it as it stands, or dtype={'upc': 'int'}."),
    ('The same, with `dtype=str`', lambda: csv('user,upc,rating\n' + '1,007,3\n1,7,3\n' * 9, dtype=str).classes['upc'].items[1:] == ['007', '7'], 'the ids as they stand; ratings are read as numbers all the same', ''),
    ('A CSV file of ids that are numbers until late in the file', lambda: csv('user,isbn,rating\n' + '1,345045,3\n' * 300_000 + '1,34545X,3\n').classes['isbn'].items[1:] == ['345045', '34545X'], 'one type a column: text', ''),
    ("A CSV file with a title 'None'", lambda: csv('user,title,rating\n' + '1,None,3\n1,Up,3\n' * 9), ValueError, f"column 'title': 9 of 18 rows have no value, or '#na#' which stands for none, the first at row 0. Drop them first: ratings.dropna(subset=['title']). {KEEP}"),
    ('The same, with `keep_default_na=False`', lambda: csv('user,title,rating\n' + '1,None,3\n1,Up,3\n' * 9, keep_default_na=False).classes['title'].items[1:] == ['None', 'Up'], 'the titles as they stand', ''),
    ('A CSV file with its own word for none, with `na_values`', lambda: csv('user,title,rating\n' + '1,?,3\n1,Up,3\n' * 9, na_values='?'), ValueError, "column 'title': 9 of 18 rows have no value, …"),
    ('An option that neither we nor pandas know', lambda: csv('user,item,rating\n', seperator=';'), TypeError, "from_csv() got an unexpected keyword argument 'seperator': neither from_df nor pandas.read_csv has one of that name"),
    ('A Parquet file for a CSV file', lambda: CollabDataLoaders.from_csv(parquet()), ValueError, "ratings.csv cannot be read as a table with sep=',': …. It looks like another kind of file: pd.read_parquet reads it for from_df"),
    ('A CSV file cut short in its last row', lambda: csv('user,item,rating\n' + '1,2,3\n' * 20 + '1,2'), ValueError, f"column 'rating': 1 of 21 ratings are no finite number, the first is nan at row 20. {CORRECT}"),
    ('A CSV file that is no text', lambda: csv(b'PK\x03\x04\xff\xfe\x00\x80' * 20), ValueError, "ratings.csv cannot be read as a table with sep=',': …"),
    ('A CSV file with a row too long', lambda: csv('user,item,rating\n1,2,3\n1,2,3,4,5\n'), ValueError, "ratings.csv cannot be read as a table with sep=',': …line 3, saw 5…"),
    ('An address where nobody answers', lambda: CollabDataLoaders.from_csv('http://127.0.0.1:9/ratings.csv'), ValueError, "http://127.0.0.1:9/ratings.csv cannot be read as a table with sep=',': …"),
    ('An unknown data set', lambda: untar_data('https://example.org/other.zip'), ValueError, "untar_data knows URLs.ML_100k, URLs.ML_latest_small, …, not 'https://example.org/other.zip'"),
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
