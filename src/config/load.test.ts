import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HipacheError } from '../base/errors.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'hipache-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const env = { HOME: '/home/someone' };
let count = 0;

/** Loads a file with this content and extension, as a user other than root. */
function load(content: unknown, extension = 'json'): LoadedConfig {
  const file = join(folder, `${count++}.${extension}`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return loadConfig({ file, env, cwd: folder, isRoot: false });
}

/** The lines of the error message for `content`, except the first. */
function errorsOf(content: unknown, extension = 'json', code = 'CONFIG_INVALID'): readonly string[] {
  let caught: unknown;
  try {
    load(content, extension);
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof HipacheError, 'an error of the configuration');
  assert.equal(caught.code, code);
  return caught.message
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
}

describe('without a file', () => {
  test('the defaults are the embedded store, port 8080 and logs on the standard output', () => {
    const { config, file, notes, warnings } = loadConfig({ env, cwd: folder, isRoot: false });
    assert.equal(file, null);
    assert.deepEqual(config.http.bind, [
      { address: '127.0.0.1', port: 8080, proxyProtocol: false, halfClose: false, h2c: false },
    ]);
    assert.deepEqual(config.driver, ['sqlite:/home/someone/.local/state/hipache/routes.sqlite']);
    assert.equal(config.server.accessLog, '-');
    assert.equal(config.server.httpKeepAlive, true);
    assert.deepEqual([...notes, ...warnings], []);
  });

  test('the embedded store is in the state directory of the machine', () => {
    const driver = (more: NodeJS.ProcessEnv, isRoot: boolean) =>
      loadConfig({ env: { ...env, ...more }, cwd: folder, isRoot }).config.driver[0];
    assert.equal(driver({}, true), 'sqlite:/var/lib/hipache/routes.sqlite');
    assert.equal(driver({ XDG_STATE_HOME: '/state' }, false), 'sqlite:/state/hipache/routes.sqlite');
    assert.equal(driver({ XDG_STATE_HOME: 'state' }, false), 'sqlite:/home/someone/.local/state/hipache/routes.sqlite');
    assert.equal(driver({ STATE_DIRECTORY: '/var/lib/x:/y' }, false), 'sqlite:/var/lib/x/routes.sqlite');
    assert.throws(() => loadConfig({ env: {}, cwd: folder, isRoot: false }), /HOME/);
  });

  test('a given driver takes precedence', () => {
    const { config } = loadConfig({ env: {}, cwd: folder, isRoot: false, driver: 'sqlite:x' });
    assert.deepEqual(config.driver, ['sqlite:x']);
  });
});

describe('the file', () => {
  test('is config/config.json or that of SETTINGS_FLAVOR, unless one is named', () => {
    const cwd = mkdtempSync(join(folder, 'cwd-'));
    mkdirSync(join(cwd, 'config'));
    writeFileSync(join(cwd, 'config', 'config.json'), '{"http":{"port":1}}');
    writeFileSync(join(cwd, 'config', 'config_dev.json'), '{"http":{"port":2}}');
    const port = (flavor?: string) =>
      loadConfig({ env: { ...env, ...(flavor === undefined ? {} : { SETTINGS_FLAVOR: flavor }) }, cwd }).config.http
        .bind[0]?.port;
    assert.equal(port(), 1);
    assert.equal(port('dev'), 2);
    assert.throws(() => port('prod'), /config_prod\.json cannot be read: there is no such file/);
    assert.throws(() => port('../dev'), /SETTINGS_FLAVOR: found "\.\.\/dev"/);
  });

  test('of Hipache 0.4 works unchanged', () => {
    const { config, notes, warnings } = load({
      server: {
        accessLog: '/var/log/hipache/access.log',
        workers: 1,
        maxSockets: 50,
        deadBackendTTL: 10,
        tcpTimeout: 20,
        retryOnError: 1,
        deadBackendOn500: false,
        httpKeepAlive: true,
        lruCache: { size: 1000, ttl: 5 },
      },
      http: { port: 81, bind: ['127.0.0.1', { address: '::1', port: 82 }] },
      https: { port: 443, bind: [], key: '/etc/ssl/ssl.key', cert: '/etc/ssl/ssl.crt', ca: ['/etc/ssl/ca.crt'] },
      user: 'www-data',
      group: 'www-data',
      driver: 'sqlite:/tmp/x',
    });
    assert.equal(config.server.maxSockets, 50);
    assert.equal(config.limits.cacheEntriesMax, 1000);
    assert.deepEqual(config.http.bind, [
      { address: '127.0.0.1', port: 81, proxyProtocol: false, halfClose: false, h2c: false },
      { address: '::1', port: 82, proxyProtocol: false, halfClose: false, h2c: false },
    ]);
    assert.equal(config.group, 'www-data');
    assert.deepEqual(warnings, []);
    assert.equal(notes.length, 3);
  });

  test('can name the standard output by its path', () => {
    const accessLog = (path: string) => load({ server: { accessLog: path } }).config.server.accessLog;
    for (const path of ['-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']) assert.equal(accessLog(path), '-');
    assert.equal(accessLog('/dev/null'), '/dev/null');
  });

  test('without a driver gets the embedded store and a note', () => {
    const { config, notes, warnings } = load({ limits: { queueMax: 5 } });
    assert.match(config.driver[0], /^sqlite:/);
    assert.match(notes.join(), /no driver is given.*redis:/);
    assert.deepEqual(warnings, []);
    assert.equal(config.http.bind[0]?.port, 80);
    assert.equal(config.server.accessLog, '/var/log/hipache/access.log');
    assert.equal(config.server.httpKeepAlive, false);
  });

  test('of Hipache 0.3 or 0.4 without a driver gets a warning that says what 0.4 meant', () => {
    for (const content of [{}, { server: { workers: 2 } }, { server: { port: 81, address: ['::1'] } }]) {
      const { config, notes, warnings } = load(content);
      assert.match(config.driver[0], /^sqlite:/);
      assert.match(warnings.at(-1) ?? '', /^driver: not given; .*sqlite:.*set driver to "redis:"/);
      assert.deepEqual(notes, []);
    }
    assert.doesNotMatch(load({ driver: 'redis:' }).warnings.join(), /driver/);
  });

  test('can be YAML, be empty, have empty sections, or start with a byte order mark', () => {
    assert.equal(load('server:\n  maxSockets: 7\n', 'yaml').config.server.maxSockets, 7);
    assert.equal(load('', 'yml').config.server.maxSockets, 100);
    assert.equal(load('server:\nlimits:\n', 'yml').config.limits.headFieldsMax, 100);
    assert.equal(load('\uFEFF{"server":{"maxSockets":8}}').config.server.maxSockets, 8);
    assert.equal(load('\uFEFFserver: {maxSockets: 9}', 'yaml').config.server.maxSockets, 9);
  });

  test('must exist and be of a known kind', () => {
    const of = (file: string) => () => loadConfig({ file, env, cwd: folder });
    assert.throws(of('absent.json'), { code: 'CONFIG_UNREADABLE', message: /absent\.json .* no such file/ });
    assert.throws(of('config.toml'), { code: 'CONFIG_UNREADABLE', message: /\.json, \.yaml or \.yml/ });
    mkdirSync(join(folder, 'folder.json'));
    assert.throws(of('folder.json'), { code: 'CONFIG_UNREADABLE', message: /it is a directory/ });
    writeFileSync(join(folder, 'latin.json'), Buffer.from('{"user":"\xfc"}', 'latin1'));
    assert.throws(of('latin.json'), { code: 'CONFIG_UNREADABLE', message: /not UTF-8/ });
  });
});

describe('unreadable text', () => {
  test('is reported with line and column', () => {
    const of = (text: string, extension?: string) => errorsOf(text, extension, 'CONFIG_UNREADABLE');
    assert.deepEqual(of('{\n  "server": {\n    "debug": tru\n'), [
      'line 3, column 14: a value is expected here (a string is written in double quotes)',
    ]);
    assert.deepEqual(of('{"a": 1,}'), ['line 1, column 9: a key in double quotes is expected here']);
    assert.match(of('server: [1\n', 'yaml').join(), /^line 2, column 1: /);
    assert.match(of('a: 1\n---\nb: 2\n', 'yaml').join(), /a second document starts here/);
  });

  test('is reported with every duplicate key', () => {
    const of = (text: string, extension?: string) => errorsOf(text, extension, 'CONFIG_UNREADABLE');
    assert.deepEqual(of('{"http":{"port":1,\n"port":2},"http":{}}'), [
      'line 2, column 1: the key "port" is given twice',
      'line 2, column 11: the key "http" is given twice',
    ]);
    assert.deepEqual(of('http:\n  port: 1\n  port: 2\n', 'yaml'), ['line 3, column 3: the key port is given twice']);
  });

  test('is refused if aliases make it grow without limit', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let i = 1; i < 12; i++)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    assert.throws(() => load(lines.join('\n'), 'yaml'), { code: 'CONFIG_UNREADABLE' });
  });
});

describe('wrong values', () => {
  test('are reported together, with their key, what was found and what is allowed', () => {
    const lines = errorsOf({
      server: {
        tcpTimeout: '30 s',
        httpKeepAlive: 'true',
        workers: 0,
        logLevel: 'loud',
        trustedProxies: ['10.0.0.0/8', '10.0.0.0/33'],
      },
      http: { bind: ['::1', { address: 'a b', port: 70_000 }, 5, { port: 3 }] },
      driver: [],
      group: '',
      limits: { headBytesMax: 1.5, queueMax: '5' },
    });
    assert.deepEqual(lines, [
      'server.logLevel: found "loud", allowed "trace", "debug", "info", "warn", "error", "fatal"',
      'server.workers: found 0, allowed a whole number from 1 to 1024, or "auto"',
      'server.tcpTimeout: found "30 s", allowed a number from 0 to 86400',
      'server.httpKeepAlive: found "true" (a string), allowed true or false',
      'server.trustedProxies[1]: found "10.0.0.0/33", allowed an IP address, a network such as "10.0.0.0/8", or a file of them, "file:/etc/hipache/networks.txt"',
      'http.bind[1].address: found "a b", allowed an IP address or a host name',
      'http.bind[1].port: found 70000, allowed a whole number from 0 to 65535',
      'http.bind[2]: found 5, allowed an IP address or a host name, or an object of address, port, proxyProtocol, halfClose, h2c',
      'http.bind[3].address: found nothing, allowed an IP address or a host name',
      'driver: found an empty array, allowed a URL such as "sqlite:/var/lib/hipache/routes.sqlite", or an array of URLs',
      'group: found "", allowed the name of a group, or null',
      'limits.headBytesMax: found 1.5, allowed a whole number from 1024 to 1048576',
      'limits.queueMax: found "5" (a string), allowed a whole number from 0 to 1000000',
    ]);
  });

  test('include the file as a whole and sections', () => {
    assert.throws(() => load('[]'), { code: 'CONFIG_INVALID', message: /found an empty array, allowed an object/ });
    assert.deepEqual(errorsOf({ server: 5, http: [] }), [
      'server: found 5, allowed an object of keys',
      'http: found an empty array, allowed an object of keys',
    ]);
  });

  test('never show a secret', () => {
    const text = errorsOf({ https: { passphrase: 4711 }, driver: [5, 'redis-//u:pw@h'], group: 'g', user: '' }).join();
    assert.match(text, /https\.passphrase: found a number/);
    assert.doesNotMatch(text, /4711/);
    const url = errorsOf({ http: { bind: 'redis://user:pa/ss@host' } }).join();
    assert.match(url, /found "redis:\/\/user:\*+@host"/);
  });

  test('are reported together with misspelt keys', () => {
    const lines = errorsOf({ server: { tcpTimout: 3, tcpTimeout: -1 } });
    assert.ok(lines.includes('server.tcpTimout: unknown key, not used; did you mean server.tcpTimeout?'));
  });

  test('include a duplicate listener and the lack of any', () => {
    assert.deepEqual(errorsOf({ http: { port: 81, bind: ['::1', { address: '::1', port: 81 }] }, driver: 'redis:' }), [
      'http.bind: found ::1 port 81 twice, allowed once',
    ]);
    assert.match(errorsOf({ http: { bind: [] } }).join(), /http\.bind: found an empty array/);
    assert.match(errorsOf({ http: { bind: [] }, metrics: { port: 9000 } }).join(), /http\.bind: found an empty array/);
  });
});

describe('the address of the metrics', () => {
  test('must differ from those of the traffic', () => {
    assert.deepEqual(errorsOf({ http: { port: 81, bind: '127.0.0.1' }, metrics: { port: 81 } }), [
      'metrics.bind: found 127.0.0.1 port 81 twice, allowed once',
    ]);
    load({ http: { port: 81, bind: '127.0.0.1' }, metrics: { port: 81, bind: '127.0.0.2' } });
    load({ http: { port: 0, bind: '127.0.0.1' }, metrics: { port: 0 } });
  });
});

describe('TLS addresses', () => {
  test('use the values of the section unless they have their own', () => {
    const { config } = load({
      https: {
        port: 8443,
        key: 'k',
        cert: 'c',
        ca: 'chain',
        ciphers: 'HIGH',
        bind: ['::1', { address: '::2', port: 1, key: 'k2', cert: 'c2', passphrase: 'p', proxyProtocol: true }],
      },
    });
    const common = {
      ca: ['chain'],
      ciphers: 'HIGH',
      honorCipherOrder: null,
      secureProtocol: null,
      secureOptions: null,
    };
    assert.deepEqual(config.https.bind, [
      {
        address: '::1',
        port: 8443,
        proxyProtocol: false,
        halfClose: false,
        alpn: ['h2', 'http/1.1'],
        key: 'k',
        cert: 'c',
        passphrase: null,
        ...common,
      },
      {
        address: '::2',
        port: 1,
        proxyProtocol: true,
        halfClose: false,
        alpn: ['h2', 'http/1.1'],
        key: 'k2',
        cert: 'c2',
        passphrase: 'p',
        ...common,
      },
    ]);
  });

  test('are also read from a 0.3 file', () => {
    const { config } = load({ server: { https: { port: 443, key: 'k', cert: 'c' } } });
    assert.deepEqual([config.https.bind[0]?.port, config.https.bind[0]?.key], [443, 'k']);
  });

  test('need a key with a certificate, and certificates from somewhere', () => {
    const of = (https: object) => errorsOf({ https: { bind: '::1', ...https } });
    assert.match(
      of({ cert: 'c' })[0] ?? '',
      /^https\.bind\[0\]\.key: found nothing, allowed a path, because cert is given/,
    );
    assert.match(of({ key: 'k' })[0] ?? '', /^https\.bind\[0\]\.cert: found nothing/);
    assert.match(of({ storeCertificates: false })[0] ?? '', /neither https\.certificates nor the store/);
    assert.match(load({ https: { bind: '::1' } }).notes.join(), /https\.bind\[0\]: has no key and cert/);
  });

  test('can be the only ones, and must differ from plain ones', () => {
    assert.deepEqual(load({ http: { bind: [] }, https: { bind: '::1' } }).config.http.bind, []);
    assert.deepEqual(
      errorsOf({
        http: { port: 1, bind: '::1' },
        https: { port: 1, bind: '::1', key: 'k', cert: 'c' },
        driver: 'redis:',
      }),
      ['https.bind: found ::1 port 1 twice, allowed once'],
    );
  });
});

describe('name servers', () => {
  test('have defaults', () => {
    assert.deepEqual(load({}).config.dns, { servers: [], ttlSecondsMin: 1, ttlSecondsMax: 60, timeoutSeconds: 5 });
    assert.deepEqual(load({ dns: { servers: ['::1', '10.0.0.1:5353'] } }).config.dns.servers, ['::1', '10.0.0.1:5353']);
  });

  test('and lifetimes that cannot be used are named', () => {
    assert.deepEqual(errorsOf({ dns: { servers: ['::1', 'ns.example.com'], ttlSecondsMin: 0, timeoutSeconds: '5' } }), [
      'dns.servers[1]: found "ns.example.com", allowed an IP address, alone or with a port: "10.0.0.1", "10.0.0.1:5353", "[::1]:5353"',
      'dns.ttlSecondsMin: found 0, allowed a number from 0.1 to 3600',
      'dns.timeoutSeconds: found "5" (a string), allowed a number from 0.1 to 600',
    ]);
    assert.deepEqual(errorsOf({ dns: { servers: '::1' } }), [
      'dns.servers: found "::1", allowed an array of up to 16 IP addresses, each alone or with a port, such as "10.0.0.1:5353"',
    ]);
    assert.deepEqual(errorsOf({ dns: { ttlSecondsMin: 5, ttlSecondsMax: 2 } }), [
      'dns.ttlSecondsMax: found 2, allowed dns.ttlSecondsMin, which is 5, or more',
    ]);
  });
});

describe('workers', () => {
  test('the number of workers is a number or "auto", the default', () => {
    assert.equal(load({ server: { workers: 10 } }).config.server.workers, 10);
    assert.equal(load({ server: { workers: 'auto' } }).config.server.workers, 'auto');
    assert.equal(load({}).config.server.workers, 'auto');
    assert.throws(() => load({ server: { workers: 'all' } }), /server\.workers: found "all", allowed a whole number/);
  });
});

describe('unknown keys', () => {
  test('get a warning with the nearest known name, at any depth', () => {
    const { config, warnings } = load({
      sever: {},
      server: { tcpTimout: 1, lruCache: { sise: 1 }, banana: 1 },
      http: { bind: [{ address: '::1', prot: 5 }] },
      maxSockets: 5,
      driver: 'redis:',
    });
    assert.deepEqual(warnings, [
      'sever: unknown key, not used; did you mean server?',
      'server.tcpTimout: unknown key, not used; did you mean server.tcpTimeout?',
      'server.lruCache.sise: unknown key, not used; did you mean server.lruCache.size?',
      'server.banana: unknown key, not used',
      'http.bind[0].prot: unknown key, not used; did you mean http.bind[0].port?',
      'maxSockets: unknown key, not used; did you mean server.maxSockets?',
    ]);
    assert.equal(config.server.tcpTimeout, 30);
  });

  test('can have the names of JavaScript object members', () => {
    const { warnings, config } = load(
      '{"__proto__":{"debug":true},"constructor":{},"server":{"__proto__":1,"a\\nb":1},"driver":"redis:"}',
    );
    assert.deepEqual(warnings, [
      '__proto__: unknown key, not used',
      'constructor: unknown key, not used',
      'server.__proto__: unknown key, not used',
      'server."a\\nb": unknown key, not used',
    ]);
    assert.equal(config.server.debug, false);
    assert.equal(Object.getPrototypeOf(config.server), Object.prototype);
    assert.deepEqual(load('__proto__: {x: 1}\ntoString: 1\ndriver: "redis:"\n', 'yaml').warnings, [
      '__proto__: unknown key, not used',
      'toString: unknown key, not used',
    ]);
  });
});

describe('keys of Hipache 0.3', () => {
  test('are moved, with a warning that gives the new name', () => {
    const { config, warnings } = load({ server: { port: 81, address: ['::1'] }, redisHost: 'r', redisPort: 6380 });
    assert.deepEqual(config.http.bind, [
      { address: '::1', port: 81, proxyProtocol: false, halfClose: false, h2c: false },
    ]);
    assert.deepEqual(config.driver, ['redis://r:6380/0']);
    assert.deepEqual(warnings, [
      'server.port: a key of Hipache 0.3; its name is http.port now',
      'server.address: a key of Hipache 0.3; its name is http.bind now',
      'redisHost, redisPort: keys of Hipache 0.3; the name is driver now, as a URL: redis://:password@host:port/database',
    ]);
  });

  test('without an address listen on all addresses, as in 0.3, with a warning', () => {
    const { config, warnings } = load({ server: { port: 81, https: { port: 444, key: 'k', cert: 'c' } } });
    const places = [...config.http.bind, ...config.https.bind].map(({ address, port }) => [address, port]);
    assert.deepEqual(places, [
      ['::', 81],
      ['::', 444],
    ]);
    for (const key of ['http.bind', 'https.bind']) {
      const line = `${key}: not given; "::", all addresses, is used, as in Hipache 0.3; set ${key} to those to listen on`;
      assert.ok(warnings.includes(line), warnings.join('\n'));
    }
    const addresses = (content: object) =>
      load({ driver: 'redis:', ...content }).config.http.bind.map((b) => b.address);
    assert.deepEqual(addresses({ server: { workers: 2 }, redisHost: 'h' }), ['::']);
    assert.deepEqual(addresses({ redisHost: 'h' }), ['::']);
    assert.deepEqual(addresses({ server: { port: 81, address: null } }), ['::']);
    assert.deepEqual(addresses({ server: { port: 81, trustedProxies: ['::1'] } }), ['::']);
    assert.deepEqual(addresses({ server: { port: 81, address: ['::1'] } }), ['::1']);
  });

  test('beside the sections of 0.4 listen on the loopback address, as in 0.4', () => {
    const { config, warnings } = load({
      server: { port: 81, https: { key: 'k', cert: 'c' } },
      http: {},
      driver: 'redis:',
    });
    assert.deepEqual(
      [...config.http.bind, ...config.https.bind].map(({ address }) => address),
      ['127.0.0.1', '127.0.0.1'],
    );
    assert.doesNotMatch(warnings.join(), /all addresses/);
    assert.equal(load({ server: { workers: 2 }, driver: 'redis:' }).config.http.bind[0]?.address, '127.0.0.1');
  });

  test('for a Redis primary give a pair of URLs, with the password escaped and not shown', () => {
    const { config, warnings } = load({ redisPassword: 'p@:/', redisMasterHost: 'm', redisMasterDatabase: 2 });
    assert.deepEqual(config.driver, ['redis://:p%40%3A%2F@127.0.0.1:6379/0', 'redis://m:6379/2']);
    assert.doesNotMatch(warnings.join(), /p@/);
  });

  test('do not take precedence over new keys', () => {
    const { config, warnings } = load({ server: { port: 81 }, http: { port: 82 }, redisPort: 1, driver: 'sqlite:x' });
    assert.equal(config.http.bind[0]?.port, 82);
    assert.deepEqual(config.driver, ['sqlite:x']);
    assert.deepEqual(warnings, [
      'server.port: a key of Hipache 0.3, not used: http.port is given as well',
      'redisPort: a key of Hipache 0.3, not used: driver is given as well',
    ]);
  });

  test('with wrong values are reported under the new name', () => {
    assert.deepEqual(
      errorsOf({ server: { port: 'web' } })[0],
      'http.port: found "web", allowed a whole number from 0 to 65535',
    );
  });
});

test('debug means level debug, unless a level is given', () => {
  assert.equal(load({ server: { debug: true } }).config.server.logLevel, 'debug');
  assert.equal(load({ server: { debug: true, logLevel: 'warn' } }).config.server.logLevel, 'warn');
  assert.equal(load({}).config.server.logLevel, 'info');
});

test('limits.cacheEntriesMax takes precedence over lruCache.size', () => {
  const { config, notes } = load({
    server: { lruCache: { size: 5 } },
    limits: { cacheEntriesMax: 10 },
    driver: 'sqlite:x',
  });
  assert.equal(config.limits.cacheEntriesMax, 10);
  assert.deepEqual(notes, ['server.lruCache.size: not used, limits.cacheEntriesMax is given as well']);
  assert.equal(load({ server: { lruCache: false } }).config.limits.cacheEntriesMax, 200_000);
});
