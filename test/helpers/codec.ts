import { BodyReader, type BodySink } from '../../src/http1/body.ts';
import { type Framing, type Head, type HeadLimits, NEED_MORE, REFUSED } from '../../src/http1/head.ts';
import { RequestHead } from '../../src/http1/request-head.ts';
import { ResponseHead } from '../../src/http1/response-head.ts';

/** The codec's view of one message, comparable with `deepEqual`. */
export interface Read {
  /** `message`: complete; `more`: the input ended too early; `refused`. */
  readonly kind: 'message' | 'more' | 'refused';
  readonly refusal: string;
  readonly startLine: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly framing: Framing | null;
  readonly body: string;
  /** Forwardable lines of the trailer section. */
  readonly trailers: string;
  readonly headLength: number;
  readonly length: number;
}

const wideLimits: HeadLimits = { headBytesMax: 1 << 20, headFieldsMax: 1000, targetBytesMax: 1 << 20 };

/** Reads the first request of the concatenated pieces, as a connection would. */
export function readRequestPieces(pieces: readonly string[], limits = wideLimits): Read {
  const head = new RequestHead();
  return readPieces(head, pieces, limits, () => [head.framing, head.contentLength]);
}

/** Reads the first response of the concatenated pieces. */
export function readResponsePieces(pieces: readonly string[], toHead = false, limits = wideLimits): Read {
  const head = new ResponseHead();
  head.toHead = toHead;
  return readPieces(head, pieces, limits, () => [head.framing, head.contentLength]);
}

/** The fields of a head, in order. */
export function fieldsOf(head: Head): [string, string][] {
  return Array.from({ length: head.fieldCount }, (_, at) => [head.fieldName(at), head.fieldValue(at)]);
}

function readPieces(head: Head, pieces: readonly string[], limits: HeadLimits, framing: () => [Framing, number]): Read {
  const sink = new Collector();
  const body = new BodyReader(limits.headBytesMax, head instanceof ResponseHead);
  let held = '';
  let headLength = 0;
  let length = 0;
  const result = (kind: Read['kind'], refusal = ''): Read => ({
    kind,
    refusal,
    startLine: headLength > 0 ? head.text.trimStart().slice(0, head.text.trimStart().indexOf('\r\n')) : '',
    fields: headLength > 0 ? fieldsOf(head) : [],
    framing: headLength > 0 ? framing()[0] : null,
    body: sink.text,
    trailers: kind === 'message' ? (body.trailers?.forwardable ?? '') : '',
    headLength,
    length,
  });
  for (const piece of pieces) {
    // The bytes are somewhere in a buffer, surrounded by others that must not be read.
    let bytes = Buffer.from(`\n\0${held}${piece}\r\n\r\n`, 'latin1');
    let start = 2;
    let end = bytes.length - 4;
    if (headLength === 0) {
      const read = head.read(bytes, start, end, limits);
      if (read === REFUSED) return result('refused', head.refusal);
      if (read === NEED_MORE) {
        held += piece;
        continue;
      }
      headLength = read;
      length = read;
      body.start(...framing());
      start += read;
    } else {
      bytes = Buffer.from(`0\r\n${piece}0\r\n`, 'latin1');
      start = 3;
      end = bytes.length - 3;
    }
    const stop = body.read(bytes, start, end, sink);
    length += stop - start;
    // A view is valid only during the call.
    bytes.fill(0);
    if (body.refusal !== '') return result('refused', body.refusal);
    if (body.done) return result('message');
  }
  return result('more');
}

class Collector implements BodySink {
  text = '';

  onBodyData(bytes: Buffer, start: number, end: number): void {
    if (end <= start) throw new Error('data of no bytes');
    this.text += bytes.latin1Slice(start, end);
  }
}
