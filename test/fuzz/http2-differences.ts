import { Flag, FrameType } from '../../src/http2/frame.ts';
import type { Heard, Http2Event } from '../helpers/python-h2.ts';
import type { Recorded } from '../helpers/recorded-session.ts';

/** A frame, and what each side made of it. */
export interface Step {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
  readonly ours: Recorded;
  /** Why our side has ended the connection; null if it has not. */
  readonly ended: string | null;
  readonly theirs: Heard;
  /** Streams that our side reset before. */
  readonly resetBefore: ReadonlySet<number>;
  /** Whether our side has no more interest in what comes on the stream. */
  readonly isUnwanted: boolean;
}

/** Where python3-h2 4.1 and we differ for a known reason. Without a mention of another RFC, clauses are of RFC 9113. */
interface KnownDifference {
  readonly clause: string;
  applies(step: Step): boolean;
}

/** What ends our connection, and is no matter to python3-h2. */
const endsOurs: readonly KnownDifference[] = [
  { clause: '3.4: SETTINGS come first', applies: ({ ended }) => ended === 'no settings first' },
  { clause: '6.4: RST_STREAM of an idle stream', applies: ({ ended }) => ended === 'RST_STREAM of an idle stream' },
  { clause: '6.5.3: each value of a setting counts, not the last one alone', applies: repeatsSetting },
  { clause: '6.5.2: a server that enables push', applies: ({ ended }) => ended === 'push of a server' },
  {
    clause: '8.4: a stream of a server that was not promised',
    applies: ({ ended, stream }) => ended === 'HEADERS on an idle stream' && stream % 2 === 0,
  },
  {
    clause: '6.10: CONTINUATION without HEADERS, on a stream that was reset',
    applies: ({ ended }) => ended === 'CONTINUATION without HEADERS',
  },
  {
    clause: '8.4: PUSH_PROMISE, even if its block continues',
    applies: ({ ended, flags }) => ended === 'PUSH_PROMISE' && (flags & Flag.END_HEADERS) === 0,
  },
  {
    clause: 'RFC 9218 section 7.1: PRIORITY_UPDATE, which python3-h2 does not know',
    applies: ({ type }) => type === FrameType.PRIORITY_UPDATE,
  },
  {
    clause: '6.2: padding that leaves no room for the priority',
    applies: ({ ended, type }) => type === FrameType.HEADERS && ended === 'padding longer than its frame',
  },
];

/** What ends the connection of python3-h2, and is no error to us. */
const endsTheirs: readonly KnownDifference[] = [
  {
    clause: '5.3.2: priorities are deprecated, also those of a stream that depends on itself',
    applies: ({ theirs }) => theirs.error?.endsWith('may not depend on itself') === true,
  },
  {
    clause: '5.1: what follows a reset of this side is passed over',
    applies: ({ resetBefore, stream }) => resetBefore.has(stream),
  },
  {
    clause: '8.1: the rest of a request whose response is complete is passed over',
    applies: ({ isUnwanted }) => isUnwanted,
  },
  {
    clause: '5.1: WINDOW_UPDATE of 0 on a stream that has ended',
    applies: ({ payload, type }) => type === FrameType.WINDOW_UPDATE && (payload.readUInt32BE(0) & 0x7fff_ffff) === 0,
  },
  {
    clause: '6.9: the reserved bit of a WINDOW_UPDATE is ignored',
    applies: ({ payload, type }) => type === FrameType.WINDOW_UPDATE && ((payload[0] as number) & 0x80) !== 0,
  },
  {
    clause: '6.2: a part of a header block may be empty, with padding behind it',
    applies: ({ flags, payload, type }) =>
      type === FrameType.HEADERS && (flags & Flag.PADDED) !== 0 && payload[0] === payload.length - 1,
  },
  {
    clause: '6.9.2: settings change the windows of open streams, and of no others',
    applies: ({ theirs, type }) => type === FrameType.SETTINGS && theirs.error?.includes('past 2147483647') === true,
  },
  {
    clause: 'RFC 9110 section 6.5.1: trailers have no content-length, and it is passed over',
    applies: ({ ours, theirs }) =>
      theirs.error?.startsWith('ProtocolError: Invalid content-length') === true && isTrailers(ours.events[0]),
  },
  {
    clause: '8.3.1: a request may be without :authority and host',
    applies: ({ theirs }) => theirs.error?.includes('does not have an :authority or Host header') === true,
  },
  {
    clause: '8.3.1: :authority and host are the same if one has the default port or upper case',
    applies: ({ theirs }) => theirs.error?.includes('mismatched :authority and Host') === true,
  },
];

/** Messages that we refuse as malformed, and python3-h2 takes. */
const refused: readonly (readonly [RegExp, string])[] = [
  [/^:method$/, 'RFC 9110 section 9.1: a method is a token'],
  [/^(:scheme|no scheme)$/, '8.3.1: a scheme that we serve'],
  [/^(:path|no path)$/, '8.3.1: a path, or the asterisk of OPTIONS'],
  [/^:authority$/, '8.3.1: an authority without user information'],
  [/^method$/, '8.5: CONNECT'],
  [/^:protocol/, 'RFC 8441 section 4: of CONNECT, and one that we know'],
  [/^websocket/, 'RFC 8441 section 5: a stream, and no body'],
  [/^(trailers|byte in field name|control byte in field value|blank around field value)$/, '8.2.1: bytes of fields'],
  [/^content length$/, 'RFC 9110 section 8.6: one number'],
  [/^content length without a body$/, '8.1.1: a body of its length'],
  [/^two hosts$/, 'RFC 9110 section 7.2: one host'],
  [/^response$/, '8.3.2: :status alone before the other fields, and none in trailers'],
  [/^expectation$/, 'RFC 9110 section 10.1.1: expectations that we know'],
  [/^alias of a framing field$/, 'what backends may take for the length or the coding of a body'],
];

export type Verdict =
  /** The next frame can be compared as well. */
  | { readonly kind: 'same' }
  /** Both have ended the connection, or one for a known reason: no more can be compared. */
  | { readonly kind: 'over'; readonly clause: string }
  | { readonly kind: 'different'; readonly why: string };

const same: Verdict = { kind: 'same' };

/** Compares what both sides made of a frame. */
export function compare(step: Step): Verdict {
  const { ended, isUnwanted, ours, resetBefore, theirs } = step;
  if (theirs.error?.startsWith('crash')) return different(theirs.error);
  if (ended !== null && theirs.error !== null) return { kind: 'over', clause: 'both' };
  if (ended !== null) return known(endsOurs, step, `only our side ended: ${ended}`);
  const errors = ours.actions.flatMap((action) => (action[0] === 'reset' && isError(action[2]) ? [action[1]] : []));
  if (theirs.error !== null) {
    // An endpoint may treat any error of a stream as one of the connection.
    if (errors.length > 0 || ours.refusals.length > 0) return { kind: 'over', clause: '5.4.1' };
    return known(endsTheirs, step, `only python3-h2 ended: ${theirs.error}`);
  }
  const [refusal] = ours.refusals;
  if (refusal !== undefined) {
    return refused.some(([why]) => why.test(refusal)) ? same : different(`only our side refused: ${refusal}`);
  }
  // 8.1.1: python3-h2 looks at the length of a body when there is data.
  if (isShortBody(step)) return same;
  // 5.1: it resets a stream once more where we pass over what follows a reset.
  const theirErrors = theirs.resets.filter((id) => !resetBefore.has(id));
  if (errors.join() !== theirErrors.join()) return different(`resets of ${errors} and of ${theirErrors}`);
  if (isUnwanted) return same;
  const all = [...ours.events, ...ours.pings.map((payload) => ['ping', payload] as const)];
  const [a, b] = [shown(all), shown(theirs.events)];
  return a === b ? same : different(`events\n${a}\n${b}`);
}

/** The test resets streams by NO_ERROR and CANCEL only. */
function isError(code: number): boolean {
  return code !== 0 && code !== 8;
}

function repeatsSetting({ payload, type }: Step): boolean {
  if (type !== FrameType.SETTINGS) return false;
  const settings = Array.from({ length: payload.length / 6 }, (_, i) => payload.readUInt16BE(i * 6));
  return new Set(settings).size < settings.length;
}

function isTrailers(event: Http2Event | undefined): boolean {
  return event?.[0] === 'headers' && !event[2].some(([name]) => name.startsWith(':'));
}

function isShortBody({ ours, theirs }: Step): boolean {
  const [headers, end] = theirs.events;
  if (headers?.[0] !== 'headers' || end?.[0] !== 'end' || theirs.events.length !== 2) return false;
  return ours.actions.some(([kind, stream, code]) => kind === 'reset' && stream === end[1] && code === 1);
}

function known(list: readonly KnownDifference[], step: Step, why: string): Verdict {
  const found = list.find(({ applies }) => applies(step));
  return found === undefined ? different(why) : { kind: 'over', clause: found.clause };
}

function different(why: string): Verdict {
  return { kind: 'different', why };
}

/** Without empty data. */
function shown(events: readonly Http2Event[]): string {
  return JSON.stringify(events.filter((event) => event[0] !== 'data' || event[2] !== ''));
}
