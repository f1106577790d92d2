import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Read, readRequestPieces, readResponsePieces } from '../helpers/codec.ts';
import { type Reference, readRequest, readResponse } from '../helpers/reference-parser.ts';
import { chunkedBody, cut, cuts, mutate, mutation, request, response } from './messages.ts';

const runs = { numRuns: 2000 };
/** Arbitrary bytes, mostly those that matter to a parser. */
const noise = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...'\r\n: ;,\t\0HTTP/1.1 GET 0aF#'),
    fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  ),
  maxLength: 100,
});

const requestText = fc.oneof(
  request,
  fc.tuple(request, mutation).map(([text, changes]) => mutate(text, changes)),
  fc.tuple(request, noise).map(([text, behind]) => text + behind),
  noise,
);
const responseText = fc.oneof(
  response,
  fc.tuple(response, mutation).map(([text, changes]) => mutate(text, changes)),
  fc.tuple(response, noise).map(([text, behind]) => text + behind),
  noise,
);

/** What does not depend on how the input was split: data before a refusal may be delivered or not. */
function essence(read: Read): unknown {
  return read.kind === 'message' ? read : { kind: read.kind, fields: read.fields, refusal: read.refusal };
}

function assertClean({ fields, startLine }: Read): void {
  for (const [name, value] of fields) {
    assert.match(name, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/);
    assert.doesNotMatch(value, /[\r\n\0]/);
    assert.equal(value, value.replace(/^[\t ]+|[\t ]+$/g, ''));
  }
  assert.doesNotMatch(startLine, /[\r\n\0]/);
}

/** The codec may refuse early what the reference still waits for, but only if it could never have become valid. */
function assertAgrees(read: Read, reference: Reference, text: string): void {
  if (reference.kind === 'message') {
    assert.equal(read.kind, 'message', read.refusal);
    assert.deepEqual(read.fields, reference.fields);
    assert.equal(read.startLine, reference.startLine);
    assert.equal(read.body, reference.body);
    assert.equal(read.length, reference.length);
  } else if (reference.kind === 'bad') {
    assert.equal(read.kind, 'refused', JSON.stringify(text));
  } else {
    assert.notEqual(read.kind, 'message', JSON.stringify(text));
  }
}

describe('requests', () => {
  test('have the same meaning however they are split', () => {
    fc.assert(
      fc.property(requestText, cuts, (text, positions) => {
        const whole = readRequestPieces([text]);
        assert.deepEqual(essence(readRequestPieces(cut(text, positions))), essence(whole));
        assert.deepEqual(essence(readRequestPieces(text.split(''))), essence(whole));
      }),
      runs,
    );
  });

  test('mean what the reference says, and contain no line ends', () => {
    fc.assert(
      fc.property(requestText, (text) => {
        const read = readRequestPieces([text]);
        assertClean(read);
        assertAgrees(read, readRequest(text), text);
      }),
      { numRuns: 6000 },
    );
  });

  test('that are valid are read to their end, and no further', () => {
    fc.assert(
      fc.property(request, request, (first, second) => {
        const read = readRequestPieces([first + second]);
        assert.equal(read.kind, 'message', read.refusal);
        assert.equal(read.length, first.length);
      }),
      runs,
    );
  });

  test('that are refused stay refused, whatever follows', () => {
    fc.assert(
      fc.property(requestText, noise, (text, behind) => {
        const read = readRequestPieces([text]);
        if (read.kind !== 'refused') return;
        assert.equal(readRequestPieces([text + behind]).kind, 'refused');
        assert.notEqual(readRequest(text + behind).kind, 'message');
      }),
      runs,
    );
  });
});

describe('responses', () => {
  test('have the same meaning however they are split', () => {
    fc.assert(
      fc.property(responseText, cuts, fc.boolean(), (text, positions, toHead) => {
        const whole = readResponsePieces([text], toHead);
        assert.deepEqual(essence(readResponsePieces(cut(text, positions), toHead)), essence(whole));
        assert.deepEqual(essence(readResponsePieces(text.split(''), toHead)), essence(whole));
      }),
      runs,
    );
  });

  test('mean what the reference says, and contain no line ends', () => {
    fc.assert(
      fc.property(responseText, fc.boolean(), (text, toHead) => {
        const read = readResponsePieces([text], toHead);
        assertClean(read);
        assertAgrees(read, readResponse(text, toHead), text);
      }),
      { numRuns: 6000 },
    );
  });
});

test('in valid chunks yield their data, and stop at their end', () => {
  const head = 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n';
  fc.assert(
    fc.property(chunkedBody, cuts, noise, ({ text, data }, positions, behind) => {
      const read = readRequestPieces(cut(head + text + behind, positions));
      assert.equal(read.kind, 'message', read.refusal);
      assert.equal(read.body, data);
      assert.equal(read.length, head.length + text.length);
    }),
    runs,
  );
});

test('in broken chunks never yield more than the reference', () => {
  const head = 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n';
  fc.assert(
    fc.property(chunkedBody, mutation, cuts, ({ text }, changes, positions) => {
      const broken = head + mutate(text, changes);
      assertAgrees(readRequestPieces(cut(broken, positions)), readRequest(broken), broken);
    }),
    { numRuns: 4000 },
  );
});
