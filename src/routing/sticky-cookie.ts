import { createHmac } from 'node:crypto';
import { cookieValues } from '../http/cookies.ts';
import type { FieldView } from '../http/message.ts';
import type { Backend } from './backend.ts';
import { stateOf } from './balancing-state.ts';
import { backupsServe, isFree } from './choice.ts';
import type { BackendGroup } from './frontend.ts';
import { pathOf } from './patterns.ts';
import type { Asked, Selector } from './selector.ts';

/** Hexadecimal digits of a value. */
const valueChars = 16;

/** A cookie that names the backend of a client, by a value that tells nothing of it. */
export class StickyCookie {
  private readonly name: string;
  private readonly key: string;
  private readonly attributes: string | null;

  /** @param attributes those after the value; null for the usual ones. */
  constructor(name: string, key: string, attributes: string | null) {
    this.name = name;
    this.key = key;
    this.attributes = attributes;
  }

  /** The backend of the group that the request names; null for none. */
  backendOf(group: BackendGroup, request: FieldView): Backend | null {
    const values = cookieValues(request, this.name);
    if (values.length === 0) return null;
    const state = stateOf(group);
    if (state.byCookie?.key !== this.key) {
      const backends = new Map(group.backends.map((each) => [this.valueOf(group.pattern, each), each]));
      state.byCookie = { key: this.key, backends };
    }
    for (const value of values) {
      const backend = state.byCookie.backends.get(value);
      if (backend !== undefined) return backend;
    }
    return null;
  }

  /** The `Set-Cookie` that names the backend. @param isSecure whether the client uses https. */
  setCookie(group: BackendGroup, backend: Backend, isSecure: boolean): string {
    const path = pathOf(group.pattern) || '/';
    const attributes = this.attributes ?? `Path=${path}; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
    return `${this.name}=${this.valueOf(group.pattern, backend)}; ${attributes}`;
  }

  /** Computed once for each object of a backend. */
  private valueOf(pattern: string, backend: Backend): string {
    const { key } = this;
    if (backend.cookie === null || backend.cookie.key !== key) {
      const digest = createHmac('sha256', key).update(`${pattern} ${backend.url}`).digest('hex');
      backend.cookie = { key, value: digest.slice(0, valueChars) };
    }
    return backend.cookie.value;
  }
}

/** Chooses the backend that the client's cookie names, as long as it can be used. */
export class ByCookie implements Selector {
  readonly by: string;
  readonly isRepeatable: boolean;
  private readonly cookie: StickyCookie;
  private readonly otherwise: Selector;

  constructor(cookie: StickyCookie, otherwise: Selector) {
    this.cookie = cookie;
    this.otherwise = otherwise;
    this.by = `by its cookie, which names none; so ${otherwise.by}`;
    this.isRepeatable = otherwise.isRepeatable;
  }

  choose(group: BackendGroup, asked: Asked, tried: readonly Backend[] | null, nowMs: number): Backend | null {
    const named = this.cookie.backendOf(group, asked.request);
    if (named !== null && isFree(named, nowMs, tried) && named.isBackup === backupsServe(group, nowMs, tried)) {
      return named;
    }
    return this.otherwise.choose(group, asked, tried, nowMs);
  }
}
