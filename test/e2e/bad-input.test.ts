import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Authority, type Issued } from '../helpers/authority.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { metricsUrl, scrape, untilSeries } from '../helpers/metrics.ts';
import { RedisServer } from '../helpers/redis-server.ts';
import { until } from '../helpers/until.ts';

const somewhere = { address: '127.0.0.1', port: 0 };
const isRoot = process.getuid?.() === 0;

describe('errors of an operator', () => {
  let authority: Authority;
  let good: Issued;
  let other: Issued;
  let expired: Issued;
  let encrypted: string;
  let home: HipacheHome;
  let backend: HttpBackend;
  let taken: Server;
  let takenPort: number;

  before(async () => {
    authority = new Authority();
    good = authority.issue(['a.example']);
    other = authority.issue(['b.example']);
    expired = authority.issue(['old.example'], { days: -3 });
    encrypted = authority.encrypt(good, 'open sesame');
    backend = await HttpBackend.start('one');
    taken = createServer();
    takenPort = await new Promise((resolve) =>
      taken.listen(0, '127.0.0.1', () => resolve((taken.address() as { port: number }).port)),
    );
  });

  after(async () => {
    authority.dispose();
    await backend.stop();
    taken.close();
  });

  beforeEach(() => {
    home = new HipacheHome();
  });

  afterEach(() => home.remove());

  /** The program's error lines for a configuration with which it cannot start. */
  async function refusal(config: Record<string, unknown>): Promise<string[]> {
    home.configure(config, { workers: 1 });
    const { code, stdout } = await home.run();
    assert.equal(code, 1, stdout);
    assert.doesNotMatch(stdout, /listening on|internal|\n +at /);
    return stdout.split('\n').filter((line) => / error /.test(line));
  }

  const secure = (options: Record<string, unknown>) => ({ https: { bind: [somewhere], ...options } });

  describe('prevent the start, each with its name:', () => {
    const cases: [what: string, config: () => Record<string, unknown>, says: RegExp][] = [
      [
        'a port in use',
        () => ({ http: { bind: [{ address: '127.0.0.1', port: takenPort }] } }),
        /cannot listen on 127\.0\.0\.1:\d+: another program listens there; stop it, or set another port code=LISTEN/,
      ],
      [
        'a port in use, for TLS',
        () => ({
          https: { bind: [{ address: '127.0.0.1', port: takenPort }], key: good.keyFile, cert: good.certificateFile },
        }),
        /cannot listen on 127\.0\.0\.1:\d+: another program listens there; stop it, or set another port code=LISTEN/,
      ],
      [
        'an invalid certificate',
        () => secure({ key: good.keyFile, cert: home.path('config.json') }),
        /https\.bind\[0\] \(.*config\.json, .*\.key\): the certificate has no "-----BEGIN CERTIFICATE-----": it is not PEM code=CERT/,
      ],
      [
        'a missing certificate',
        () => secure({ key: good.keyFile, cert: home.path('none.pem') }),
        /https\.bind\[0\]\.cert: .*none\.pem cannot be read: there is no such file code=CERT/,
      ],
      [
        'the key of another certificate',
        () => secure({ key: other.keyFile, cert: good.certificateFile }),
        /https\.bind\[0\] \(.*\.pem, .*\.key\): the key does not belong to the certificate; .* code=CERT/,
      ],
      [
        'a missing passphrase',
        () => secure({ key: encrypted, cert: good.certificateFile }),
        /https\.bind\[0\] \(.*\): the key is encrypted and has no passphrase; decrypt it .*, or set .*passphrase.* code=CERT/,
      ],
      [
        'another passphrase',
        () => secure({ key: encrypted, cert: good.certificateFile, passphrase: 'wrong' }),
        /https\.bind\[0\] \(.*\): the passphrase does not decrypt the key code=CERT/,
      ],
    ];
    for (const [what, config, says] of cases) {
      it(what, async () => {
        const errors = await refusal(config());
        assert.equal(errors.length, 1, errors.join('\n'));
        assert.match(errors[0] ?? '', says);
      });
    }

    it('a user or group that does not exist', { skip: !isRoot && 'only root changes its user' }, async () => {
      const [user] = await refusal({ user: 'nobody-at-all' });
      assert.match(user ?? '', /user: no user .*nobody-at-all.* on this machine; create it, or set .*code=PRIVILEGES/);
      const [group] = await refusal({ user: 'nobody', group: 'no-group' });
      assert.match(group ?? '', /group: no group .*no-group.* on this machine; create it, or .*code=PRIVILEGES/);
    });

    it('several at once', async () => {
      const errors = await refusal({
        ...secure({ key: other.keyFile, cert: good.certificateFile }),
        http: { bind: [{ address: '127.0.0.1', port: takenPort }, somewhere] },
        metrics: { port: backend.port },
        ...(isRoot ? { user: 'nobody-at-all' } : {}),
      });
      const text = errors.join('\n');
      assert.match(text, /https\.bind\[0\] .*: the key does not belong to the certificate/);
      for (const port of [takenPort, backend.port])
        assert.match(text, new RegExp(`cannot listen on 127.0.0.1:${port}: `));
      if (isRoot) assert.match(text, /no user .*nobody-at-all/);
      assert.equal(errors.length, isRoot ? 4 : 3, text);
    });
  });

  it('an expired certificate in the file is served, with a warning', async () => {
    home.configure(secure({ key: expired.keyFile, cert: expired.certificateFile }), { workers: 1 });
    const proxy = await home.serve();
    assert.match(proxy.output, /warn +https\.bind\[0\]: the certificate \S+ has expired on 20\S+; .*renew it/);
    assert.equal(await commonName(proxy, 'old.example'), 'old.example');
  });

  it('a store that is missing at the start is waited for, and the log says why', async () => {
    const server = await RedisServer.start();
    try {
      await server.kill();
      home.configure({ driver: server.url }, { workers: 2 });
      const proxy = await home.serve();
      assert.match(
        proxy.output,
        /warn +cannot connect to the store; requests get 503 until it is there .*no server runs there.*STORE_UNAVAILABLE/,
      );
      assert.deepEqual(await ask(proxy.port, '__ping__').then(({ status, body }) => [status, body]), [200, 'ok']);
      assert.equal((await ask(proxy.port, 'a.example')).status, 503);
      const command = await home.run('route', 'list');
      assert.deepEqual([command.code, command.stdout], [1, '']);
      assert.match(
        command.stderr,
        /^hipache: redis:\/\/127\.0\.0\.1:\d+: refuses the connection: no server runs there\n$/,
      );
      await server.start();
      await server.cli('rpush', 'frontend:a.example', 'app', backend.url);
      await until('both workers', () => proxy.output.split('connected to the store').length === 3);
      for (let count = 0; count < 20; count++) assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
    } finally {
      await server.remove();
    }
  });

  describe('in the store and the certificate directory affect nothing else:', () => {
    let server: RedisServer;
    let proxy: HipacheProcess;

    beforeEach(async () => {
      server = await RedisServer.start();
      await server.cli('rpush', 'frontend:a.example', 'app', backend.url);
      mkdirSync(home.path('certificates'));
      home.configure(
        {
          driver: server.url,
          metrics: { port: 0 },
          ...secure({ key: good.keyFile, cert: good.certificateFile, certificates: home.path('certificates') }),
        },
        { workers: 1 },
      );
      proxy = await home.serve();
    });

    afterEach(() => server.remove());

    /** The log lines about a name. */
    function told(name: string): string[] {
      return proxy.output.split('\n').filter((line) => line.includes(`${name}`) && / warn /.test(line));
    }

    async function untilTold(name: string, what: RegExp): Promise<void> {
      await until(`the log to report ${name}`, () => told(name).length > 0);
      assert.match(told(name).join('\n'), what);
      assert.equal(told(name).length, 1, 'said once');
    }

    it('keys of another type', async () => {
      await server.cli('set', 'frontend:text.example', 'not a list');
      await server.cli('rpush', 'frontend:marks.example', 'app', backend.url, 'http://127.0.0.1:1#weight=0');
      await server.cli('set', 'down:marks.example', 'not a hash');
      await server.cli('rpush', 'hipache:revision', 'not a number');
      for (let count = 0; count < 3; count++) {
        assert.equal((await ask(proxy.port, 'text.example')).status, 502);
        assert.equal((await ask(proxy.port, 'a.example')).body, 'one');
      }
      await untilTold('text.example', /the key frontend:text\.example is not a list; DEL it, or set the route anew/);
      const explained = await home.run('explain', 'text.example');
      assert.match(explained.stdout, /problems +the key frontend:text\.example is not a list; DEL it/);
      await home.route('set', 'text.example', backend.url);
      await until('the new route', async () => (await ask(proxy.port, 'text.example')).body === 'one');
      assert.match((await home.run('explain', 'marks.example')).stdout, /the key down:marks\.example is not a hash/);
    });

    it('options with values of the wrong form, each of which is skipped and counted', async () => {
      const wrong: [option: string, value: string, says: RegExp][] = [
        ['queueMax', '-1', /option queueMax: found "-1", allowed a whole number from 0 to 100000/],
        ['responseTimeout', '0', /option responseTimeout: found "0", allowed a time from 0s to 1d, with its unit/],
        ['requestBodyMax', '3 bytes', /option requestBodyMax: found "3 bytes", allowed a size such as 64k, 10m/],
        ['maintenance', 'yes', /option maintenance: found "yes", allowed on or off/],
        [
          'deny',
          '127.0.0.1/33 192.0.2.0/24',
          /option deny: "127\.0\.0\.1\/33" is not an address or a network .* skipped/,
        ],
        [
          'responseFields',
          'X-Kept: 1\nno field',
          /option responseFields: "no field": it is not "Name: value".*skipped/,
        ],
        ['balance', 'fastest', /option balance: found "fastest", allowed two-choices, /],
        ['maintenence', 'on', /there is no option "maintenence" \(did you mean maintenance\?\)/],
      ];
      const series = 'hipache_record_problems_total';
      const url = metricsUrl(proxy.output);
      await untilSeries(url, series, (value) => value === 0);
      await server.cli('hset', 'options:a.example', ...wrong.flatMap(([option, value]) => [option, value]));
      const post = () => ask(proxy.port, 'a.example', { method: 'POST', body: 'four' });
      await until('the options', async () => (await post()).headers['x-kept'] === '1');
      for (let count = 0; count < 3; count++) {
        const { body, status } = await post();
        assert.deepEqual([status, body], [200, 'one']);
      }
      await untilSeries(url, series, (value) => value === wrong.length);
      await until('the log', () => told('a.example').length === wrong.length);
      const { stdout } = await home.run('explain', 'a.example');
      for (const [option, , says] of wrong) {
        assert.match(told('a.example').join('\n'), says, option);
        assert.match(stdout, says, option);
      }
      // The same options with values that can be used are in force at once.
      await server.cli('hset', 'options:a.example', 'requestBodyMax', '3');
      await until('the size', async () => (await post()).status === 413);
      await server.cli('hset', 'options:a.example', 'maintenance', 'on');
      await until('maintenance', async () => (await post()).status === 503);
      await server.cli('hset', 'options:a.example', 'deny', '127.0.0.1/33 127.0.0.0/8');
      await until('the list', async () => (await post()).status === 403);
      await untilSeries(url, 'hipache_request_errors_total{code="ACCESS_DENIED"}', (value) => value > 0);
      assert.equal((await scrape(url)).get(series), wrong.length, 'each is counted once');
    });

    it('unusable certificates', async () => {
      const { certificate } = good;
      const encryptedKey = authority.encrypt(good, 'secret');
      const closed = readFileSync(encryptedKey, 'latin1');
      await server.cli('set', 'tls:type.example', 'not a hash');
      await server.cli('hset', 'tls:half.example', 'certificate', certificate);
      await server.cli('hset', 'tls:text.example', 'certificate', 'text', 'key', 'text');
      await server.cli('hset', 'tls:mixed.example', 'certificate', certificate, 'key', other.key);
      await server.cli('hset', 'tls:closed.example', 'certificate', certificate, 'key', closed);
      const file = (name: string, text: string) => writeFileSync(home.path(`certificates/${name}.pem`), text);
      file('text-file.example', 'text');
      file('mixed-file.example', certificate + other.key);
      file('closed-file.example', certificate + closed);
      const wanted: [name: string, says: RegExp][] = [
        ['type.example', /in the store: the key tls:type\.example is not a hash; "hipache cert set" replaces it/],
        ['half.example', /in the store: the key tls:half\.example has no field "key"/],
        ['text.example', /in the store: the certificate has no "-----BEGIN/],
        ['mixed.example', /in the store: the key does not belong to the certificate/],
        ['closed.example', /in the store: the key is encrypted and has no passphrase; decrypt it with "openssl pkey"/],
        ['text-file.example', /text-file\.example\.pem: the certificate has no "-----BEGIN/],
        ['mixed-file.example', /mixed-file\.example\.pem: the key does not belong to the certificate/],
        ['closed-file.example', /closed-file\.example\.pem: the key is encrypted and has no passphrase; decrypt it/],
      ];
      for (const [name, says] of wanted) {
        // The address's certificate is served instead. Two requests give one log line.
        for (let count = 0; count < 2; count++) assert.equal(await commonName(proxy, name), 'a.example', name);
        await untilTold(name, says);
        assert.doesNotMatch(told(name).join(), /PRIVATE/);
      }
      const list = await home.run('cert', 'list');
      assert.equal(list.code, 0);
      assert.equal(list.stdout.match(/^\S+ +cannot be used: /gm)?.length, 5, list.stdout);
    });

    it('expired certificates, which are served', async () => {
      await server.cli('hset', 'tls:stored.example', 'certificate', expired.certificate, 'key', expired.key);
      writeFileSync(home.path('certificates/filed.example.pem'), expired.certificate + expired.key);
      for (const name of ['stored.example', 'filed.example']) {
        assert.equal(await commonName(proxy, name), 'old.example');
        await untilTold(name, /has expired on 20\S+; it is still served, but clients reject it/);
      }
    });

    it('"cert set" names the files that do not fit, and writes nothing', async () => {
      for (const [cert, key, says] of [
        [good.certificateFile, other.keyFile, /\.pem, .*\.key: the key does not belong to the certificate/],
        [
          good.certificateFile,
          encrypted,
          /\.encrypted: the key is encrypted and has no passphrase; decrypt it with "openssl pkey"/,
        ],
        [home.path('none.pem'), good.keyFile, /--cert: there is no file .*none\.pem/],
      ] as const) {
        const { code, stderr } = await home.run('cert', 'set', 'a.example', '--cert', cert, '--key', key);
        assert.equal(code, 2);
        assert.match(stderr, says);
      }
      assert.equal(await server.cli('exists', 'tls:a.example'), '0');
    });
  });

  it('in a reloaded file change nothing, and all are named', async () => {
    const port = await freePort();
    home.configure({ http: { bind: [{ address: '127.0.0.1', port }] } }, { workers: 1 });
    await home.route('set', 'a.example', backend.url);
    const proxy = await home.serve();
    home.configure({
      ...secure({ key: encrypted, cert: good.certificateFile }),
      http: {
        bind: [
          { address: '127.0.0.1', port },
          { address: '127.0.0.1', port: takenPort },
        ],
      },
    });
    proxy.signal('SIGHUP');
    await until('the log to say so', () => /nothing is changed: cannot listen on/.test(proxy.output));
    assert.match(proxy.output, /nothing is changed: https\.bind\[0\] .*the key is encrypted/);
    // Addresses bound for a configuration that is rejected for another reason are closed again.
    const added = await freePort();
    home.configure({
      ...secure({ key: other.keyFile, cert: good.certificateFile }),
      http: {
        bind: [
          { address: '127.0.0.1', port },
          { address: '127.0.0.1', port: added },
        ],
      },
    });
    proxy.signal('SIGHUP');
    await until('the log to say so again', () => /nothing is changed: .*does not belong/.test(proxy.output));
    const another = createServer();
    await new Promise<void>((resolve, reject) => another.once('error', reject).listen(added, '127.0.0.1', resolve));
    another.close();
    assert.equal((await ask(port, 'a.example')).body, 'one');
  });
});

/** The name in the certificate for a server name, whoever has signed it. */
async function commonName(proxy: HipacheProcess, servername: string): Promise<string> {
  const port = await proxy.tlsPort();
  const socket = connectTls({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}
