import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { get, Rig, request } from '../../test/helpers/rig.ts';
import { FieldLines } from '../http/field-lines.ts';
import type { LocalResponder } from './local-responder.ts';

const found: LocalResponder = { isHealthCheck: false, respond: () => ({ status: 200, text: 'found' }) };
const nothing: LocalResponder = { isHealthCheck: false, respond: () => null };

/** Looks its reply up, and gets it when the test says so. */
function lookUp(text: string | null) {
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const responder: LocalResponder = {
    isHealthCheck: false,
    respond: async () => {
      asked.resolve();
      await gate.promise;
      return text === null ? null : { status: 200, text };
    },
  };
  return { responder, gate, asked: asked.promise };
}

describe('local responders', () => {
  test('are asked in turn, and the first reply is sent', async (t) => {
    const rig = await Rig.start(t, { responders: [nothing, found, { ...found, respond: () => assert.fail() }] });
    const client = await rig.send(get('/'));
    await client.expect('found');
    assert.deepEqual(client.statuses, [200]);
  });

  test('may reply with a status and fields of their own', async (t) => {
    const fields = new FieldLines('location: https://a.test/\r\n');
    const responder: LocalResponder = {
      isHealthCheck: false,
      respond: () => ({ status: 308, text: 'moved', fields }),
    };
    const rig = await Rig.start(t, { responders: [responder] });
    const client = await rig.send(get('/'));
    await client.expect('moved');
    assert.match(client.received, /^HTTP\/1\.1 308 Permanent Redirect\r\n/);
    assert.match(client.received, /\r\nlocation: https:\/\/a\.test\/\r\n/);
  });

  test('may look their reply up: the request waits', async (t) => {
    const { responder, gate, asked } = lookUp('looked up');
    const rig = await Rig.start(t, { responders: [nothing, responder] });
    const client = await rig.send(request('POST / HTTP/1.1', 'Content-Length: 5'));
    await asked;
    gate.resolve();
    await client.expect('looked up');
    assert.deepEqual(client.statuses, [200]);
  });

  test('pass a request on if they find nothing', async (t) => {
    const { responder, gate, asked } = lookUp(null);
    const rig = await Rig.start(t, { responders: [responder, found] });
    const client = await rig.send(get('/'));
    await asked;
    gate.resolve();
    await client.expect('found');
  });

  test('that fail get the client a 503', async (t) => {
    const { responder, gate, asked } = lookUp('x');
    const rig = await Rig.start(t, { responders: [responder] });
    const client = await rig.send(get('/'));
    await asked;
    gate.reject(new Error('the store is away'));
    await client.expect('routes are not available');
    assert.deepEqual(client.statuses, [503]);
  });

  test('may reply when the client has gone', async (t) => {
    const { responder, gate, asked } = lookUp('late');
    const rig = await Rig.start(t, { responders: [responder] });
    const client = await rig.send(get('/'));
    await asked;
    client.close();
    gate.resolve();
    await rig.proxy.untilQuiet();
    assert.deepEqual(
      rig.proxy.ended.map(({ status }) => status),
      [200],
    );
    assert.deepEqual(rig.proxy.problems, []);
  });
});
