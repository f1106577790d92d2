import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ExpectedResponse } from '../policy/health-check.ts';
import type { ProbeResult } from './probe.ts';
import { faultOf } from './response-fault.ts';

const success: ExpectedResponse = { path: '/up', statusMin: 200, statusMax: 299, text: null };
const response = (status: number, rest: Partial<ProbeResult> = {}): ProbeResult => ({ status, problem: '', ...rest });

describe('the fault of a response', () => {
  test('is its status, outside of the wanted range', () => {
    assert.equal(faultOf(response(200), success), null);
    assert.equal(faultOf(response(299), success), null);
    assert.deepEqual(faultOf(response(199), success), { kind: 'status', detail: '199' });
    assert.deepEqual(faultOf(response(503), success), { kind: 'status', detail: '503' });
  });

  test('names where a redirect leads', () => {
    assert.deepEqual(faultOf(response(302, { location: '/log-in' }), success), {
      kind: 'status',
      detail: '302 to /log-in, which is not followed',
    });
    assert.equal(faultOf(response(302, { location: '/log-in' }), { ...success, statusMax: 399 }), null);
  });

  test('is the lack of a response', () => {
    const refused = { status: 0, problem: 'ECONNREFUSED' };
    assert.deepEqual(faultOf(refused, success), { kind: 'absent', detail: 'ECONNREFUSED' });
  });

  test('is the lack of a text, which is compared as UTF-8', () => {
    const wanted = { ...success, text: 'ça va' };
    assert.equal(faultOf(response(200, { body: Buffer.from('… ça va!').toString('latin1') }), wanted), null);
    assert.deepEqual(faultOf(response(200, { body: 'no' }), wanted), { kind: 'text' });
    assert.deepEqual(faultOf(response(200), wanted), { kind: 'text' });
    assert.deepEqual(faultOf(response(500, { body: 'ça va' }), wanted)?.kind, 'status');
  });

  test('has a bounded and harmless text, wherever a backend redirects to', () => {
    const fault = faultOf(response(302, { location: `/\x1b[2J${'x'.repeat(100_000)}` }), success);
    const detail = fault?.kind === 'status' ? fault.detail : '';
    assert.match(detail, /^302 to \/\\x1b\[2Jx+…, which is not followed$/);
    assert.ok(detail.length < 150);
  });
});
