import { createHmac } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { HookTarget } from '../base/hook-target.ts';
import type { SetTimer } from '../base/timer.ts';
import type { NoteTexts } from '../stores/contract.ts';

/** Something that the platform behind a host has to know. */
export interface HostEvent {
  /** `wake`: requests wait for a backend. `idle`: nobody has used the host for the time that it says. */
  readonly event: 'wake' | 'idle';
  /** The pattern of the route. */
  readonly host: string;
  /** Of the instance that has sent it. */
  readonly instance: string;
  /** ISO 8601, UTC. */
  readonly at: string;
}

/** Delivers an event to a webhook. @throws if that has not taken it. */
export type SendEvent = (target: HookTarget & { readonly kind: 'webhook' }, event: HostEvent) => Promise<void>;

/** Totals. */
export interface HookCounters {
  /** Events that were delivered. */
  sent: number;
  /** Attempts to deliver one that failed. */
  failed: number;
  /** Events that were given up, because there are too many hosts. */
  dropped: number;
}

/** Shared by those that tell platforms of events. */
export interface HostEventsOptions {
  /** Opened when it is needed. */
  readonly notes: () => Promise<NoteTexts>;
  readonly instance: string;
  readonly send: SendEvent;
  readonly counters: HookCounters;
  readonly clock: Clock;
  readonly setTimer: SetTimer;
  readonly onProblem: (what: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** How long a webhook may take, in ms. */
const timeoutMs = 5000;

export function eventText(event: HostEvent): string {
  return JSON.stringify(event);
}

/**
 * Posts an event as JSON. A status of 200 to 299 takes it; redirects are not followed. With a key, the field
 * `x-hipache-signature` has the HMAC of the body: `sha256=` and hexadecimal digits.
 */
export function webhookSender(version: string): SendEvent {
  return async ({ key, url }, event) => {
    const body = eventText(event);
    const signature = key === '' ? {} : { 'x-hipache-signature': signatureOf(body, key) };
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': `hipache/${version}`, ...signature },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((error: Error) => {
      if (error.name === 'TimeoutError') throw new Error(`no response within ${timeoutMs} ms`);
      const cause = error.cause instanceof Error ? error.cause : error;
      throw new Error((cause as NodeJS.ErrnoException).code ?? cause.message);
    });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`status ${response.status}`);
  };
}

function signatureOf(body: string, key: string): string {
  return `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;
}
