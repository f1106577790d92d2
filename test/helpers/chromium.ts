import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { findProgram } from '../../scripts/servers.ts';
import { until } from './until.ts';

/** How long Chromium may take to start, in ms. */
const startMs = 50_000;

interface Reply {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}

type Params = Readonly<Record<string, unknown>>;

/** A real browser without a window, driven by the DevTools protocol. */
export class Chromium {
  private readonly socket: WebSocket;
  private readonly end: () => Promise<void>;
  private readonly waiting = new Map<number, (reply: Reply) => void>();
  private readonly pages = new Map<string, ChromiumPage>();
  private sent = 0;

  private constructor(socket: WebSocket, end: () => Promise<void>) {
    this.socket = socket;
    this.end = end;
    socket.on('message', (data: Buffer) => this.take(JSON.parse(data.toString()) as Reply));
  }

  static async start(): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), 'hipache-chromium-'));
    const child = spawn(
      findProgram('chromium') as string,
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
        ...['--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env: { ...process.env, HOME: profile } },
    );
    const ended = once(child, 'close');
    let log = '';
    child.stderr.on('data', (bytes: Buffer) => {
      log += bytes.toString();
    });
    const stop = async (): Promise<void> => {
      // Its many processes form one group.
      process.kill(-(child.pid as number), 'SIGKILL');
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    };
    try {
      const url = (): string | undefined => /DevTools listening on (ws:\S+)/.exec(log)?.[1];
      await until('Chromium', () => url() !== undefined || child.exitCode !== null, startMs);
      const socket = new WebSocket(url() ?? '');
      await once(socket, 'open');
      return new Chromium(socket, stop);
    } catch (error) {
      await stop();
      throw error;
    }
  }

  /** Opens a page in a context of its own, as a new window of another user would be. */
  async open(url: string): Promise<ChromiumPage> {
    const { browserContextId } = await this.send('Target.createBrowserContext', {});
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new ChromiumPage((method, params) => this.send(method, params, String(sessionId)));
    this.pages.set(String(sessionId), page);
    await page.begin();
    await page.go(url);
    return page;
  }

  async close(): Promise<void> {
    this.socket.close();
    await this.end();
  }

  private async send(method: string, params: Params, sessionId?: string): Promise<Params> {
    const id = ++this.sent;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.waiting.set(id, resolve);
    this.socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
    const { error, result = {} } = await promise;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  private take(reply: Reply): void {
    if (reply.id !== undefined) {
      this.waiting.get(reply.id)?.(reply);
      this.waiting.delete(reply.id);
    } else if (reply.method !== undefined) {
      this.pages.get(reply.sessionId ?? '')?.heard(reply.method, reply.params ?? {});
    }
  }
}

/** One page of a browser. */
export class ChromiumPage {
  /** Errors of its scripts, and what its security policy has blocked. */
  readonly problems: string[] = [];
  /** The URLs that it has asked for. */
  readonly requested: string[] = [];
  private readonly send: (method: string, params: Params) => Promise<Params>;

  constructor(send: ChromiumPage['send']) {
    this.send = send;
  }

  async begin(): Promise<void> {
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await this.send(`${domain}.enable`, {});
  }

  async go(url: string): Promise<void> {
    await this.send('Page.navigate', { url });
  }

  /** The value of an expression, or of the promise that it is. @throws Error as the page does. */
  async evaluate<Value>(expression: string): Promise<Value> {
    const { exceptionDetails, result } = (await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    })) as {
      exceptionDetails?: { exception?: { description?: string } };
      result: { value: Value };
    };
    if (exceptionDetails !== undefined) throw new Error(exceptionDetails.exception?.description ?? 'an exception');
    return result.value;
  }

  /** The text that a user sees. */
  text(): Promise<string> {
    return this.evaluate('document.body?.innerText ?? ""');
  }

  /** Waits until the text that a user sees matches. */
  async untilText(pattern: RegExp): Promise<void> {
    let text = '';
    await until(`the text ${pattern}`, async () => {
      // A page that is being left has none.
      text = await this.text().catch(() => '');
      return pattern.test(text);
    }).catch((error: Error) => {
      throw new Error(`${error.message}; the page has: ${text.slice(0, 1500)}; problems: ${this.problems.join('; ')}`);
    });
  }

  /** Clicks the first element of a kind with this text, once nothing is in front of it. */
  async click(selector: string, text: string): Promise<void> {
    const found = `[...document.querySelectorAll(${JSON.stringify(selector)})].find((one) => one.textContent.trim() === ${JSON.stringify(text)})`;
    // In one step: a page that is still loading moves what it has.
    const click = `((one) => {
      if (one === undefined) return false;
      one.scrollIntoView({ block: 'center' });
      const { left, top, width, height } = one.getBoundingClientRect();
      if (!one.contains(document.elementFromPoint(left + width / 2, top + height / 2))) return false;
      one.focus();
      // After this call, which a new page would cut off.
      setTimeout(() => one.click());
      return true;
    })(${found})`;
    await until(`${selector} ${text}`, () => this.evaluate<boolean>(click));
  }

  /** Replaces the text of the field with this label, as the keyboard does. */
  async fill(label: string, text: string): Promise<void> {
    const find = controlOf(label);
    await until(`the field ${label}`, () => this.evaluate<boolean>(`${find} !== undefined && ${find} !== null`));
    await this.evaluate(`${find}.focus(); ${find}.select?.()`);
    await this.send('Input.insertText', { text });
  }

  /** Chooses a value from the list with this label. */
  async choose(label: string, value: string): Promise<void> {
    const list = controlOf(label);
    const has = `[...(${list}?.options ?? [])].some((one) => one.value === ${JSON.stringify(value)})`;
    await until(`${value} in the list ${label}`, () => this.evaluate<boolean>(has));
    const choose = `list.value = ${JSON.stringify(value)}; list.dispatchEvent(new Event('change', { bubbles: true }))`;
    await this.evaluate(`((list) => { ${choose} })(${list})`);
  }

  /** Presses one key. @param key as `KeyboardEvent.key` has it. */
  async press(key: string): Promise<void> {
    const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined;
    const code = key === 'Enter' ? 13 : key === 'Tab' ? 9 : 0;
    const params = { key, ...(text === undefined ? {} : { text }), windowsVirtualKeyCode: code };
    await this.send('Input.dispatchKeyEvent', { type: text === undefined ? 'rawKeyDown' : 'keyDown', ...params });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...params });
  }

  /** The size of the window in pixels, and whether it is that of a telephone. */
  async resize(width: number, height: number, mobile = false): Promise<void> {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile });
  }

  async colorScheme(value: 'light' | 'dark'): Promise<void> {
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value }] });
  }

  /** A picture of the whole page, PNG. */
  async picture(): Promise<Buffer> {
    const { data } = await this.send('Page.captureScreenshot', { captureBeyondViewport: true });
    return Buffer.from(String(data), 'base64');
  }

  heard(method: string, params: Params): void {
    if (method === 'Runtime.exceptionThrown') {
      const { exceptionDetails } = params as {
        exceptionDetails: { text: string; exception?: { description?: string } };
      };
      this.problems.push(exceptionDetails.exception?.description ?? exceptionDetails.text);
    } else if (method === 'Log.entryAdded') {
      const { entry } = params as { entry: { level: string; source: string; text: string } };
      // Responses that are errors are the business of each test.
      if (entry.level === 'error' && entry.source !== 'network') this.problems.push(entry.text);
    } else if (method === 'Network.requestWillBeSent') {
      this.requested.push((params as { request: { url: string } }).request.url);
    }
  }
}

/** An expression for the field whose label begins like this. */
function controlOf(label: string): string {
  const begins = `one.textContent.trim().startsWith(${JSON.stringify(label)})`;
  return `[...document.querySelectorAll('label')].find((one) => ${begins})?.control`;
}
