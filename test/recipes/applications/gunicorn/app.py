"""A plain WSGI application."""
import json


def app(environ, start_response):
    base = f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
    if environ['PATH_INFO'] == '/old':
        start_response('302 Found', [('Location', f'{base}/new')])
        return []
    if environ['PATH_INFO'] == '/upload':
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [str(len(environ['wsgi.input'].read())).encode()]
    address = environ.get('HTTP_X_REAL_IP', environ['REMOTE_ADDR'])
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps({'url': base + environ['PATH_INFO'], 'address': address}).encode()]
