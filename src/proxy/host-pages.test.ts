import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { testPolicy } from '../../test/helpers/test-proxy.ts';
import { errorPage } from '../policy/error-page.ts';
import type { WebRequest, WebResponse } from '../policy/web-fetch.ts';
import { HostPages } from './host-pages.ts';
import { localReplyFor } from './local-reply.ts';

/** A fetch that is under way. */
interface Fetch {
  readonly request: WebRequest;
  readonly resolve: (response: WebResponse) => void;
  readonly reject: (error: Error) => void;
}

const html = (body: string, type = 'text/html; charset=utf-8'): WebResponse => ({
  status: 200,
  fields: ['X', '1', 'Content-Type', type],
  body,
});

class PagesInTest {
  nowMs = 0;
  readonly fetches: Fetch[] = [];
  readonly warnings: string[] = [];
  private readonly pages = new HostPages({
    clock: { monotonicMs: () => this.nowMs, epochMs: () => 0 },
    fetch: (request) => {
      const { promise, reject, resolve } = Promise.withResolvers<WebResponse>();
      this.fetches.push({ request, resolve, reject });
      return promise;
    },
    onWarning: (what, fields) => void this.warnings.push(`${what} ${JSON.stringify(fields)}`),
    routes: { policyWithoutRoute: () => null } as never,
    version: 'test',
  });

  /** The page of the reply for an error; undefined if it is that of the instance. */
  page(option: string, code: 'BACKEND_NONE' | 'MAINTENANCE' | 'OVERLOADED' = 'OVERLOADED'): string | undefined {
    const page = errorPage.parse(option, []) ?? null;
    assert.notEqual(page, null, option);
    const policy = { ...testPolicy(), errorPage: page };
    return this.pages.with(localReplyFor(code), code, { frontend: {}, policy, host: 'a.test', requestId: '7' }).page
      ?.body;
  }

  async land(index: number, response: WebResponse | Error): Promise<void> {
    const { reject, resolve } = this.fetches[index] as Fetch;
    if (response instanceof Error) reject(response);
    else resolve(response);
    await turn();
  }
}

const url = 'https://pages.test/{status}/{code}.html?key=secret';

test('no reply waits for a page, and one fetch brings it', async () => {
  const pages = new PagesInTest();
  for (let i = 0; i < 3; i++) assert.equal(pages.page(url), undefined);
  assert.deepEqual(
    pages.fetches.map(({ request }) => [request.url, request.bodyBytesMax, request.timeoutMs]),
    [['https://pages.test/503/OVERLOADED.html?key=secret', 65_536, 5000]],
  );
  await pages.land(0, html('<p>{code} at {host}, {status}, {requestId} {color}'));
  assert.equal(pages.page(url), '<p>OVERLOADED at a.test, 503, 7 {color}');
  assert.equal(pages.page(url, 'BACKEND_NONE'), undefined);
  assert.equal(pages.fetches[1]?.request.url, 'https://pages.test/502/BACKEND_NONE.html?key=secret');
});

test('a page is fetched again after 60 s, and serves until that has succeeded', async () => {
  const pages = new PagesInTest();
  pages.page(url);
  await pages.land(0, html('one'));
  pages.nowMs = 59_999;
  assert.equal(pages.page(url), 'one');
  assert.equal(pages.fetches.length, 1);
  pages.nowMs = 60_000;
  assert.equal(pages.page(url), 'one');
  assert.equal(pages.fetches.length, 2);
  await pages.land(1, new Error('refused'));
  assert.equal(pages.page(url), 'one');
  assert.equal(pages.fetches.length, 2);
  pages.nowMs = 65_000;
  assert.equal(pages.page(url), 'one');
  await pages.land(2, html('two'));
  assert.equal(pages.page(url), 'two');
  assert.deepEqual(pages.warnings, [
    'an error page of a host cannot be fetched {"url":"https://pages.test/503/OVERLOADED.html","problem":"refused"}',
  ]);
});

test('what is no page is not served', async () => {
  const pages = new PagesInTest();
  const wrong = [
    { ...html('gone'), status: 404 },
    html('{}', 'application/json'),
    html('x', 'text/htmlx'),
    { status: 200, fields: [], body: 'untyped' },
  ];
  for (const [index, response] of wrong.entries()) {
    assert.equal(pages.page(url), undefined);
    await pages.land(index, response);
    assert.equal(pages.page(url), undefined);
    pages.nowMs += 5000;
  }
  assert.equal(pages.warnings.length, wrong.length);
});

test('1,000 pages are kept, and 50 are fetched at a time', async () => {
  const pages = new PagesInTest();
  const nth = (index: number): string => `http://pages-${index % 25}.test/${index}`;
  for (let i = 0; i < 60; i++) pages.page(nth(i));
  assert.equal(pages.fetches.length, 50);
  for (let i = 0; i < 50; i++) await pages.land(i, html(`page ${i}`));
  for (let i = 50; i < 1000; i++) {
    pages.page(nth(i));
    await pages.land(i, html(`page ${i}`));
  }
  // It has been used, so that another one leaves.
  assert.equal(pages.page(nth(0)), 'page 0');
  pages.page(nth(1000));
  await pages.land(1000, html('page 1000'));
  assert.equal(pages.page(nth(1000)), 'page 1000');
  assert.equal(pages.page(nth(0)), 'page 0');
  assert.equal(pages.page(nth(1)), undefined);
});

test('the values of the option', () => {
  const parse = (text: string): unknown => errorPage.parse(text, []);
  for (const text of [
    '',
    'sorry',
    'ftp://a.test/',
    'http://user:pass@a.test/',
    'https://{status}.test/',
    'https://a.test/#x',
  ]) {
    assert.equal(parse(text), undefined, text);
  }
  assert.deepEqual(parse('https://a.test/{status}.html'), { url: 'https://a.test/{status}.html' });
});
