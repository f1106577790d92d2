import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { SecureContext } from 'node:tls';
import { Authority, type Issued } from '../../test/helpers/authority.ts';
import type { ServerCertificates } from './server-certificates.ts';
import { type ContextMaterial, certificateContext } from './server-context.ts';
import { type ServerHandshake, TlsListener, type TlsListenerOptions } from './tls-listener.ts';

type Authorities = NonNullable<TlsListenerOptions['clientAuthorities']>;

describe('the choice of a context', () => {
  let authority: Authority;
  let issued: Issued;

  before(() => {
    authority = new Authority();
    issued = authority.issue(['a.test']);
  });
  after(() => authority?.dispose());

  function choose(
    clientAuthorities: Authorities,
    certificates: Partial<ServerCertificates>,
    material: ContextMaterial | null = null,
  ) {
    const listener = new TlsListener(
      { settings: {}, material },
      { ticketKeys: [Buffer.alloc(48)], certificates: certificates as ServerCertificates, clientAuthorities },
    );
    let isAsked = false;
    const handshake: ServerHandshake = {
      ...{ address: '192.0.2.1', alpnProtocol: () => '' },
      askCertificate: () => {
        isAsked = true;
      },
    };
    return new Promise<{ error: Error | null; context: SecureContext | null | undefined; isAsked: boolean }>(
      (resolve) =>
        listener.chooseContext('a.test', handshake, (error, context) => resolve({ error, context, isAsked })),
    );
  }

  test('fails the handshake alone if there can be no context for it', async () => {
    // OpenSSL takes it as an authority, but not as a part of the chain.
    const weak = authority.issue(['weak.test'], { keyType: 'weak' }).certificate;
    const asked = { id: 'x', texts: [authority.certificate] };
    for (const authorities of [() => asked, async () => asked]) {
      const { error, isAsked } = await choose(authorities, { cached: () => null }, { ...issued, ca: [weak] });
      assert.match(error?.message ?? '', /key too small/);
      assert.equal(isAsked, false);
    }
  });

  test('takes the certificate that there is once the authorities are known', async () => {
    const [former, present] = [certificateContext(issued), certificateContext(issued)];
    let current = former;
    const authorities = async (): Promise<null> => {
      current = present;
      return null;
    };
    const { context } = await choose(authorities, { cached: () => current });
    assert.equal(context, present);
  });

  test('asks the client with the authorities beside the certificate', async () => {
    const context = certificateContext(issued);
    const authorities = { id: 'x', texts: [authority.certificate] };
    const chosen = await choose(() => authorities, { cached: () => context });
    assert.deepEqual([chosen.error, chosen.isAsked, chosen.context === context], [null, true, false]);
  });
});
