import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldEdits } from '../http/field-lines.ts';
import { Field, fieldSet } from '../http/field-names.ts';
import type { FieldView, RequestView, ResponseView } from '../http/message.ts';
import { requestHeadText } from './forward-request.ts';
import { clientFraming, responseHeadText } from './forward-response.ts';
import { Framing, type Head } from './head.ts';
import { RequestHead } from './request-head.ts';
import { ResponseHead } from './response-head.ts';

const limits = { headBytesMax: 10_000, headFieldsMax: 100, targetBytesMax: 1000 };

function read<Kind extends Head>(head: Kind, ...lines: readonly string[]): Kind {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  assert.equal(head.read(bytes, 0, bytes.length, limits), bytes.length, head.refusal);
  return head;
}

/** The same fields, visible only through the interface: as a codec of another protocol shows them. */
function fieldsOf(view: FieldView): FieldView {
  return {
    fieldCount: view.fieldCount,
    nominated: view.nominated,
    fieldNumber: (field) => view.fieldNumber(field),
    fieldName: (field) => view.fieldName(field),
    fieldValue: (field) => view.fieldValue(field),
  };
}

/**
 * The lines of a head without the reason phrase, which only HTTP/1 has; sorted, because their order does not matter.
 */
function linesOf(text: string): string[] {
  const [start = '', ...fields] = text.split('\r\n');
  return [start.replace(/^(HTTP\/1\.[01] \d{3}) .*/, '$1 '), ...fields.sort()];
}

const epochMs = Date.UTC(2026, 10, 27);
const edits = new FieldEdits(fieldSet(Field.X_FORWARDED_FOR), 'X-Forwarded-For: 192.0.2.1\r\n');

test('a request of another protocol has the same head as in HTTP/1', () => {
  const cases: readonly (readonly string[])[] = [
    ['GET /a?b HTTP/1.1', 'Host: a.test', 'X: 1', 'X-Forwarded-For: 6.6.6.6', 'Connection: keep-alive', 'Cookie: a'],
    ['POST / HTTP/1.1', 'Host: a.test', 'Content-Length: 5', 'X_Forwarded_For: 6.6.6.6', 'Keep-Alive: 5'],
    ['PUT / HTTP/1.1', 'Host: a.test', 'Transfer-Encoding: chunked', 'Expect: 100-continue'],
    ['GET / HTTP/1.1', 'Host: a.test', 'Connection: x-hop', 'X-Hop: 1', 'X: 2'],
    ['GET / HTTP/1.1', 'Host: a.test', 'Connection: TE', 'TE: trailers', 'X: 2'],
  ];
  for (const lines of cases) {
    const head = read(new RequestHead(), ...lines);
    const { version, method, target, path, authority, protocol, bodyLength, authenticatesConnection } = head;
    const { takesTrailers } = head;
    const value = (number: number): string | null => head.value(number);
    const view: RequestView = {
      ...{ version, method, target, path, authority, protocol, bodyLength, authenticatesConnection, value },
      ...{ offersProtocols: false, takesTrailers },
      ...fieldsOf(head),
    };
    for (const keepAlive of [true, false]) {
      assert.deepEqual(
        linesOf(requestHeadText(view, edits, keepAlive)),
        linesOf(requestHeadText(head, edits, keepAlive)),
      );
    }
  }
});

test('a response of another protocol has the same head as in HTTP/1', () => {
  const cases: readonly (readonly string[])[] = [
    ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: keep-alive', 'X: 1'],
    ['HTTP/1.1 204 No Content', 'Content-Length: 5', 'Set-Cookie: a', 'Set-Cookie: b'],
    ['HTTP/1.1 502 Bad', 'Transfer-Encoding: chunked', 'Retry-After: 5'],
    ['HTTP/1.1 200 Until the end', 'X: 1'],
    ['HTTP/1.1 200 OK', 'Content-Length: 5', 'Connection: x-hop', 'X-Hop: 1', 'X: 2'],
    ['HTTP/1.1 200 OK', 'Date: Fri, 27 Nov 2026 18:00:00 GMT', 'Content-Length: 5'],
    ['HTTP/1.1 426 Upgrade Required', 'Upgrade: TLS/1.3', 'Connection: upgrade', 'Content-Length: 5'],
  ];
  for (const lines of cases) {
    const head = read(new ResponseHead(), ...lines);
    const { version, status, bodyLength, hasDate, hasRetryAfter, authenticatesConnection, source } = head;
    const view: ResponseView = {
      ...{ version, status, bodyLength, hasDate, hasRetryAfter, authenticatesConnection, source },
      ...fieldsOf(head),
    };
    for (const versionMinor of [0, 1]) {
      const framing = clientFraming(head, versionMinor);
      assert.equal(clientFraming(view, versionMinor), framing);
      const shape = { versionMinor, isHead: false, framing, keepAlive: framing !== Framing.CLOSE, edits, epochMs };
      assert.deepEqual(linesOf(responseHeadText(view, shape)), linesOf(responseHeadText(head, shape)));
    }
  }
});
