import { FieldEdits, FieldLines } from '../http/field-lines.ts';
import { Field, fieldSet } from '../http/field-names.ts';
import { joinedValues, listElements, type RequestView } from '../http/message.ts';
import { type LocalReply, localReplyFor } from './local-reply.ts';
import type { LocalResponder } from './local-responder.ts';

/** The name of every Hipache in `CDN-Loop` (RFC 8586), which no client may change and every proxy passes on. */
const loopName = 'hipache';

/** Of a larger `Max-Forwards` this is the value that is counted (RFC 9110 section 7.6.2). */
const hopsMax = 1_000_000_000;

/** The line that each request gets on its way through. */
export const loopLine = `CDN-Loop: ${loopName}\r\n`;

const methodsLine = 'allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n';
const options: LocalReply = { status: 200, text: '', fields: new FieldLines(methodsLine) };

/**
 * Responds to requests that must not be passed on: those that come round again, and those whose `Max-Forwards` is used
 * up (RFC 9110 section 7.6.2).
 * @param passesMax how often one request may pass; 0: any number of times.
 */
export function hopResponder(passesMax: number): LocalResponder {
  return {
    isHealthCheck: false,
    respond: (request) => {
      if (passesMax > 0 && request.value(Field.CDN_LOOP) !== null && passesOf(request) >= passesMax) {
        return { ...localReplyFor('REQUEST_LOOP'), code: 'REQUEST_LOOP' };
      }
      if (maxForwards(request) !== 0) return null;
      return request.method === 'OPTIONS' ? options : { ...localReplyFor('REQUEST_METHOD'), code: 'REQUEST_METHOD' };
    },
  };
}

/** Counts the hop in a request whose hops are limited; the others stay as they are. */
export function countHop(request: RequestView, edits: FieldEdits): FieldEdits {
  const left = maxForwards(request);
  if (left === null) return edits;
  const line = `Max-Forwards: ${left - 1}\r\n`;
  return new FieldEdits(edits.dropped | fieldSet(Field.MAX_FORWARDS), edits.text + line);
}

function passesOf(request: RequestView): number {
  const elements = listElements(joinedValues(request, Field.CDN_LOOP) ?? '');
  return elements.filter((element) => /^[^; \t]*/.exec(element)?.[0] === loopName).length;
}

/** How often the request may be forwarded; null if that is not limited, or not of this method. */
function maxForwards(request: RequestView): number | null {
  if (request.method !== 'OPTIONS' && request.method !== 'TRACE') return null;
  const value = request.value(Field.MAX_FORWARDS);
  return value !== null && /^[0-9]+$/.test(value) ? Math.min(Number(value), hopsMax) : null;
}
