import type { HookTarget } from '../base/hook-target.ts';
import type { OptionValues } from './option-schema.ts';
import type { OptionType } from './option-type.ts';
import { durationMs } from './option-type.ts';

/** How requests wait while no backend of their host can serve them. */
export interface HoldPolicy {
  /** How long a request waits, in ms. */
  readonly forMs: number;
  /** Requests that wait, in one worker. */
  readonly requestsMax: number;
  /** Bytes of their bodies that have come already, in one worker. */
  readonly bytesMax: number;
  /** How many go on per second once there is a backend, in one worker; Infinity: all that it has connections for. */
  readonly releasePerSecond: number;
}

/** How requests wait for a place among those in progress. */
export interface QueuePolicy {
  /** Requests that wait, in one worker. */
  readonly requestsMax: number;
  /** How long a request waits, in ms. */
  readonly forMs: number;
}

/** Values of options where nobody sets them. */
export const holdDefaults = {
  /** Of a paused host. */
  hold: '30s',
  holdMax: 1000,
  holdBytesMax: '16m',
  queueTimeout: '5s',
} as const;

const bytesDefault = 16 * 1024 ** 2;
const urlCharsMax = 2048;

/** `event`, or the URL of a webhook. */
export const wakeTarget: OptionType<'event' | { readonly url: string }> = {
  allowed: 'event, or an http or https URL without user and password',
  parse(text) {
    if (text === 'event') return text;
    const url =
      text.length <= urlCharsMax && /^https?:\/\/[!-~]+$/i.test(text) && URL.canParse(text) ? new URL(text) : null;
    if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return undefined;
    return { url: url.href };
  },
};

/** Null if requests do not wait. Those of a paused host always do. */
export function holdPolicyOf(values: OptionValues): HoldPolicy | null {
  const { hold = null, pause = false } = values;
  if (hold === null && !pause) return null;
  return {
    forMs: hold ?? durationMs(holdDefaults.hold),
    requestsMax: values.holdMax ?? holdDefaults.holdMax,
    bytesMax: values.holdBytesMax ?? bytesDefault,
    releasePerSecond: values.releasePerSecond ?? Number.POSITIVE_INFINITY,
  };
}

/** Null if requests do not wait. */
export function queuePolicyOf({ queueMax = 0, queueTimeout }: OptionValues): QueuePolicy | null {
  if (queueMax === 0) return null;
  return { requestsMax: queueMax, forMs: queueTimeout ?? durationMs(holdDefaults.queueTimeout) };
}

/** Null if nobody hears of it. */
export function wakeTargetOf({ wake = null, wakeKey = '' }: OptionValues): HookTarget | null {
  if (wake === null) return null;
  return wake === 'event' ? { kind: 'event' } : { kind: 'webhook', url: wake.url, key: wakeKey };
}
