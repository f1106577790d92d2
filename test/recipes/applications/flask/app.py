from flask import Flask, jsonify, redirect, request, url_for

app = Flask(__name__)


@app.get('/who')
def who():
    return jsonify(url=url_for('who', _external=True), address=request.remote_addr)


@app.get('/old')
def old():
    return redirect(url_for('new', _external=True))


@app.get('/new')
def new():
    return 'new'


@app.post('/upload')
def upload():
    return str(len(request.get_data()))
