import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { makeAdminToken } from '../../src/operations/admin-token.ts';
import { Chromium, type ChromiumPage } from '../helpers/chromium.ts';
import { freePort } from '../helpers/free-port.ts';
import { HipacheHome, type HipacheProcess } from '../helpers/hipache.ts';
import { HttpBackend } from '../helpers/http-backend.ts';
import { ask } from '../helpers/http-client.ts';
import { ServerProcess } from '../helpers/server-process.ts';
import { until } from '../helpers/until.ts';
import { adminPid } from '../helpers/workers.ts';

/** Compressed. */
const scriptBytesMax = 90_000;

const axe = readFileSync(fileURLToPath(import.meta.resolve('axe-core')), 'utf8');

/** Pages of the documentation: with a long table, without a table of contents, and with a picture. */
const helpPages = ['options.html', 'maintenance.html', ''] as const;

/** Everything that an instance can be asked, and the beginning of the text that is there once it was. */
const pages: readonly (readonly [path: string, text: RegExp])[] = [
  ['/', /Busiest hosts[\s\S]*app\.test/],
  ['/hosts', /app\.test/],
  ['/hosts/app.test', /in use[\s\S]*BACKEND_CONNECT_REFUSED[\s\S]*requestsMax\s+200[\s\S]*Certificate\s+None/],
  ['/hosts/none.test', /There is no route of exactly this name/],
  ['/explain', /Explain a request/],
  ['/explain/?host=www.wild.test', /matches\s+\*\.wild\.test[\s\S]*chosen[\s\S]*In each worker now/],
  ['/explain/?host=none.test', /The client gets the page for unknown hosts/],
  ['/certificates', /Nothing waits to be ordered[\s\S]*There are none/],
  ['/fleet', /Revision of the store[\s\S]*current/],
  ['/changes', /Changes/],
  ['/nothing', /No such page/],
];

describe('the dashboard', { timeout: 170_000 }, () => {
  const home = new HipacheHome();
  const writer = makeAdminToken('operator', 'write');
  const reader = makeAdminToken('wall', 'read');
  let one: HttpBackend;
  let two: HttpBackend;
  let proxy: HipacheProcess;
  let browser: Chromium;
  let url: string;

  before(async () => {
    one = await HttpBackend.start('one');
    two = await HttpBackend.start('two');
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    home.configure({ admin: { bind: `127.0.0.1:${port}`, tokens: [writer.entry, reader.entry] } }, { workers: 1 });
    proxy = await home.serve();
    browser = await Chromium.start();
  });

  after(async () => {
    await browser?.close();
    await home.remove();
    await one.stop();
    await two.stop();
  });

  beforeEach(async () => {
    await home.route('set', 'app.test', one.url);
    await home.route('set', '*.wild.test', one.url);
    await home.run('option', 'set', 'app.test', 'requestsMax', '200');
  });

  const open = (token: string): Promise<ChromiumPage> => browser.open(`${url}#token=${token}`);
  const bodyOf = async (host: string): Promise<string> => (await ask(proxy.port, host)).body;

  it('asks for a token, and says why it takes one not', async () => {
    const page = await browser.open(url);
    await page.untilText(/Token of the admin API/);
    assert.deepEqual(await findings(page), []);
    await page.fill('Token of', 'wrong');
    await page.press('Enter');
    await page.untilText(/this token is not among admin\.tokens/);
    await page.fill('Token of', writer.token);
    await page.press('Enter');
    await page.untilText(/Overview[\s\S]*live/);
    await page.click('button', 'Sign out');
    await page.untilText(/Token of the admin API/);
    const outside = page.requested.filter((one) => !one.startsWith(url) || one.includes('oken'));
    assert.deepEqual([outside, page.problems], [[], []]);
  });

  it('is served with what protects it, without a token', async () => {
    const response = await fetch(url, { headers: { 'accept-encoding': 'gzip' } });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'self'; /);
    assert.equal(response.headers.get('content-encoding'), 'gzip');
    const etag = response.headers.get('etag') ?? '';
    await response.text();
    assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304);
    assert.equal((await fetch(`${url}assets/none.js`)).status, 404);
    assert.equal((await fetch(`${url}assets/..%2findex.html`)).status, 404);
    const script = await (await fetch(`${url}assets/app.js`)).text();
    assert.ok(gzipSync(script, { level: 9 }).length < scriptBytesMax);
  });

  it('shows everything, for all kinds of users, in light and dark', async () => {
    await home.route('add', 'app.test', 'http://127.0.0.1:1');
    await until('a mark', async () => {
      await ask(proxy.port, 'app.test');
      return /dead/.test((await home.run('explain', 'app.test')).stdout);
    });
    const page = await open(reader.token);
    await page.untilText(/live/);
    // The fragment, with the token, is gone from the address.
    assert.equal(await page.evaluate('location.hash'), '#/');
    await until('the first windows', () => page.evaluate<boolean>("document.querySelectorAll('canvas').length === 6"));
    for (const [path, text] of pages) {
      await page.evaluate(`location.hash = ${JSON.stringify(path)}`);
      await page.untilText(text);
      for (const scheme of ['light', 'dark'] as const) {
        await page.colorScheme(scheme);
        assert.deepEqual(await findings(page), [], `${path} in ${scheme}`);
      }
      await page.resize(390, 844, true);
      const wide = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';
      assert.equal(await page.evaluate(wide), false, `${path} fits a telephone`);
      await page.resize(1280, 800);
    }
    assert.deepEqual(page.problems, []);
  });

  it('follows the requests of a host, and explains one that failed', async () => {
    const page = await open(reader.token);
    await page.untilText(/live/);
    await page.evaluate("location.hash = '/'");
    await page.click('button', 'Follow requests');
    await page.untilText(/None yet/);
    await until('the requests', async () => {
      await ask(proxy.port, 'app.test', { path: '/good' });
      await ask(proxy.port, 'unknown.test', { path: '/bad?x=1' });
      return /GET \/bad\?x=1[\s\S]*GET \/good/.test(await page.text());
    });
    await page.evaluate("document.querySelector('.check input').click()");
    await until('the errors', async () => {
      await ask(proxy.port, 'app.test', { path: '/good' });
      await ask(proxy.port, 'unknown.test', { path: '/bad?x=1' });
      return /^(?![\s\S]*\/good)[\s\S]*\/bad\?x=1\s+400 ROUTE_NOT_FOUND/.test(await page.text());
    });
    assert.deepEqual(await findings(page), []);
    await page.click('a', 'explain');
    await page.untilText(/The client gets the page for unknown hosts/);
    assert.deepEqual(page.problems, []);
  });

  it('finds hosts while somebody types, with the keyboard alone', async () => {
    const page = await open(reader.token);
    await page.untilText(/live/);
    await page.evaluate("location.hash = '/hosts'");
    await page.untilText(/Type to search/);
    await page.press('/');
    for (const letter of 'app.t') await page.press(letter);
    await page.untilText(/1 found/);
    await home.route('set', 'app.test2', one.url);
    await page.untilText(/app\.test2[\s\S]*2 found/);
    for (const letter of 'est2') await page.press(letter);
    await page.untilText(/1 found/);
    await page.press('Enter');
    await page.untilText(/app\.test2\s+Explain a request/);
    await home.route('remove', 'app.test2');
    await page.untilText(/There is no route of exactly this name/);
  });

  it('serves the documentation as its help, without a token', async () => {
    const response = await fetch(`${url}help`, { headers: { 'accept-encoding': 'gzip' } });
    assert.deepEqual([response.status, response.url], [200, `${url}help/`]);
    assert.match(response.headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'self'; /);
    assert.equal(response.headers.get('content-encoding'), 'gzip');
    assert.match(await response.text(), /<h1>Hipache<\/h1>/);
    const etag = response.headers.get('etag') ?? '';
    assert.equal((await fetch(`${url}help/`, { headers: { 'if-none-match': etag } })).status, 304);
    const types = { 'store.html': 'text/html; charset=utf-8', 'openapi.json': 'application/json' };
    for (const [name, type] of Object.entries(types)) {
      assert.equal((await fetch(`${url}help/${name}`)).headers.get('content-type'), type);
    }
    const host = new URL(url).host;
    const statusOf = async (path: string): Promise<number> =>
      (await ask(Number(new URL(url).port), host, { path })).status;
    for (const name of [
      'none.html',
      'assets',
      'assets/',
      '..%2fmain.js',
      '..%5cmain.js',
      '/main.js',
      'store.html%00',
    ]) {
      assert.equal(await statusOf(`/help/${name}`), 404, name);
    }
    // Not below /help/, and only what is there has no secrets.
    for (const path of ['/help/../main.js', '/help/%2e%2e/main.js']) assert.equal(await statusOf(path), 401, path);
  });

  it('has a help that can be searched with the keyboard, for all kinds of users, in light and dark', async () => {
    const page = await open(reader.token);
    await page.untilText(/live/);
    await page.click('a', 'Help');
    await page.untilText(/Try it[\s\S]*Install it/);
    for (const path of helpPages) {
      await page.go(`${url}help/${path}`);
      await until(path, () =>
        page.evaluate(`location.pathname === '/help/${path}' && document.readyState === 'complete'`),
      );
      for (const scheme of ['light', 'dark'] as const) {
        await page.colorScheme(scheme);
        assert.deepEqual(await findings(page), [], `${path} in ${scheme}`);
      }
      await page.resize(390, 844, true);
      const wide = 'document.documentElement.scrollWidth > document.documentElement.clientWidth';
      assert.equal(await page.evaluate(wide), false, `${path} fits a telephone`);
      await page.resize(1280, 800);
    }
    await page.press('/');
    for (const letter of 'wipe guard') await page.press(letter);
    await page.untilText(/sections:[\s\S]*When the store is wiped/);
    assert.deepEqual(await findings(page), []);
    await page.fill('Search', 'zzzz');
    await page.untilText(/Nothing found for “zzzz”/);
    await page.fill('Search', 'when the store is wiped');
    await page.untilText(/sections:[\s\S]*When the store is wiped/);
    await page.press('ArrowDown');
    assert.equal(await page.evaluate("document.activeElement.closest('li') !== null"), true);
    await page.press('Escape');
    await page.fill('Search', 'when the store is wiped');
    await page.untilText(/sections:/);
    await page.press('Enter');
    await until('the section', () =>
      page.evaluate("location.href.endsWith('/help/outages.html#when-the-store-is-wiped')"),
    );
    assert.deepEqual(page.problems, []);
  });

  it('makes a change after a look at it, and takes it back', async () => {
    const page = await open(writer.token);
    await page.untilText(/live/);
    await page.evaluate("location.hash = '/hosts/app.test'");
    await page.click('button', 'Change backends');
    await page.fill('Backends, one URL a line', 'nonsense');
    await page.click('button', 'Preview');
    await page.untilText(/nonsense.*(not|no) /);
    await page.fill('Backends, one URL a line', `${two.url}#weight=3`);
    await page.click('button', 'Preview');
    await page.untilText(new RegExp(`− ${one.url}\\s+\\+ ${two.url}#weight=3`));
    assert.equal(await bodyOf('app.test'), 'one');
    await page.click('button', 'Make the change');
    await until('the other backend', async () => (await bodyOf('app.test')) === 'two');
    await page.untilText(/app\.test has other backends/);
    await page.untilText(/setRoute by operator from 127\.0\.0\.1: done/);
    await page.click('button', 'Undo');
    await until('the former backend', async () => (await bodyOf('app.test')) === 'one');
    // Somebody else is faster.
    await page.click('button', 'Change backends');
    await page.fill('Backends, one URL a line', two.url);
    await home.route('set', 'app.test', `${one.url}#weight=2`);
    await page.untilText(/Somebody has changed the route since this form was opened/);
    assert.equal(await page.evaluate("document.querySelector('.edit button').disabled"), true);
    await page.click('button', 'Cancel');
    await limitRequests(page);
    await page.untilText(/requestsMax\s+7\s/);
    await page.click('button', 'Undo');
    await page.untilText(/requestsMax\s+200\s/);
    assert.deepEqual(page.problems, []);
  });

  it('is not all that can be built on the API: the panel of the example serves customers', async () => {
    const path = fileURLToPath(new URL('../../examples/panel/panel.js', import.meta.url));
    const env = { ...process.env, HIPACHE_ADMIN: url, HIPACHE_TOKEN: writer.token };
    const panel = new ServerProcess([process.execPath, path, '--customer', 'shop.test', '--port', '0'], { env });
    try {
      const address = (): string => /http:\S+/.exec(panel.output)?.[0] ?? '';
      await panel.ready(() => address() !== '');
      const page = await browser.open(address());
      await page.untilText(/Applications of shop\.test/);
      await page.fill('Host', 'new.shop.test');
      await page.fill('Backend', one.url);
      await page.click('button', 'Create');
      await page.untilText(/new\.shop\.test[\s\S]*Done: live on every instance/);
      assert.equal(await bodyOf('new.shop.test'), 'one');
      await page.fill('Backend', two.url);
      await page.click('button', 'Deploy');
      await until('the deploy', async () => (await bodyOf('new.shop.test')) === 'two');
      await home.route('set', 'other.shop.test', one.url);
      await page.untilText(/other\.shop\.test/);
      await page.fill('Host', 'app.test');
      await page.click('button', 'Create');
      await page.untilText(/app\.test is not below shop\.test/);
      assert.deepEqual(page.problems, []);
      assert.ok(readFileSync(path, 'utf8').split('\n').length < 200);
    } finally {
      await panel.stop();
    }
  });

  it('says that a token may only read', async () => {
    const page = await open(reader.token);
    await page.untilText(/live/);
    await page.evaluate("location.hash = '/hosts/app.test'");
    await limitRequests(page);
    await page.untilText(/wall may read only/);
    assert.doesNotMatch((await home.run('option', 'list', 'app.test')).stdout, /requestsMax +7/);
  });

  it('comes back after a lost connection, with what has changed meanwhile', async () => {
    const page = await open(reader.token);
    await page.untilText(/live/);
    await page.evaluate("location.hash = '/hosts/late.test'");
    await page.untilText(/There is no route of exactly this name/);
    process.kill(adminPid(proxy.pid) as number, 'SIGKILL');
    await page.untilText(/connection lost/);
    await home.route('set', 'late.test', one.url);
    await page.untilText(/live[\s\S]*in use/);
    assert.deepEqual(page.problems, []);
  });
});

/** Sets an option of the host that a page shows. */
async function limitRequests(page: ChromiumPage): Promise<void> {
  await page.click('button', 'Change an option');
  await page.choose('Option', 'requestsMax');
  await page.fill('Value', '7');
  await page.click('button', 'Set requestsMax to 7');
}

/** What axe finds on a page: the rule, and the elements. */
async function findings(page: ChromiumPage): Promise<readonly string[]> {
  if (!(await page.evaluate<boolean>("typeof axe === 'object'"))) await page.evaluate(`${axe}; true`);
  return page.evaluate(
    `axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html.slice(0, 200)).join(' | ')))`,
  );
}
