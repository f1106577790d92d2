import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Authority, type Issued } from '../../test/helpers/authority.ts';
import type { TlsBindConfig } from './bind-options.ts';
import { TlsKeeper } from './tls-state.ts';

let authority: Authority;
let folder: string;

before(() => {
  authority = new Authority();
  folder = mkdtempSync(join(tmpdir(), 'hipache-tls-state-'));
});

after(() => {
  authority.dispose();
  rmSync(folder, { recursive: true, force: true });
});

function bind(
  issued: Pick<Issued, 'certificateFile' | 'keyFile'> | null,
  more: Partial<TlsBindConfig> = {},
): TlsBindConfig {
  return {
    key: issued?.keyFile ?? null,
    cert: issued?.certificateFile ?? null,
    ca: [],
    passphrase: null,
    ciphers: null,
    honorCipherOrder: null,
    secureProtocol: null,
    secureOptions: null,
    ...more,
  };
}

function keep(binds: readonly TlsBindConfig[]): { keeper: TlsKeeper; warnings: string[]; problems: string[] } {
  const warnings: string[] = [];
  const problems: string[] = [];
  return { keeper: new TlsKeeper(binds, warnings, (message) => problems.push(message)), warnings, problems };
}

describe('certificates of listen addresses', () => {
  test('are read at the start, with ticket keys', () => {
    const issued = authority.issue(['a.test']);
    const { keeper } = keep([bind(issued, { ca: [authority.certificateFile] }), bind(null)]);
    assert.equal(keeper.state.binds[0]?.material?.certificate, issued.certificate);
    assert.deepEqual(keeper.state.binds[0]?.material?.ca, [authority.certificate]);
    assert.equal(keeper.state.binds[1]?.material, null);
    assert.deepEqual(
      keeper.state.ticketKeys.map(({ length }) => length),
      [48],
    );
    assert.notDeepEqual(keeper.state.ticketKeys, keep([]).keeper.state.ticketKeys);
    assert.deepEqual(structuredClone(keeper.state).binds, keeper.state.binds);
  });

  test('that are unusable are named by key and file', () => {
    const [one, other] = [authority.issue(['a.test']), authority.issue(['b.test'])];
    const encrypted = { certificateFile: one.certificateFile, keyFile: authority.encrypt(one, 'secret') };
    const of = (config: TlsBindConfig) => () => keep([bind(other), config]);
    assert.throws(of(bind({ ...one, keyFile: '/absent.key' })), {
      code: 'CERTIFICATE_INVALID',
      message: 'https.bind[1].key: /absent.key cannot be read: there is no such file',
    });
    assert.throws(of(bind({ ...one, keyFile: other.keyFile })), {
      message: /^https\.bind\[1\] \(.*\.pem, .*\.key\): the key does not belong to the certificate/,
    });
    assert.throws(of(bind(encrypted)), {
      message:
        /the key is encrypted and has no passphrase; decrypt it with "openssl pkey", or set "passphrase" beside "key"$/,
    });
    assert.throws(of(bind(encrypted, { passphrase: 'wrong' })), {
      message: /the passphrase does not decrypt the key$/,
    });
    assert.equal(
      keep([bind(encrypted, { passphrase: 'secret' })]).keeper.state.binds[0]?.material?.passphrase,
      'secret',
    );
  });

  test('that have expired are served, with a warning', () => {
    const { warnings } = keep([bind(authority.issue(['old.test'], { days: -2 }))]);
    assert.match(warnings.join(), /^https\.bind\[0\]: the certificate .*\.pem has expired on 20/);
  });

  test('are reloaded when their files change; broken files leave the previous ones in use', () => {
    const [first, second] = [authority.issue(['a.test']), authority.issue(['a.test'])];
    const files = { certificateFile: join(folder, 'live.pem'), keyFile: join(folder, 'live.key') };
    const write = (issued: { certificate: string; key: string }): void => {
      for (const [file, text] of [
        [files.certificateFile, issued.certificate],
        [files.keyFile, issued.key],
      ] as const) {
        writeFileSync(`${file}.new`, text);
        renameSync(`${file}.new`, file);
      }
    };
    write(first);
    const { keeper, problems } = keep([bind(files), bind(second)]);
    assert.equal(keeper.readChanged(), null);
    write({ certificate: second.certificate, key: first.key });
    assert.equal(keeper.readChanged(), null);
    assert.match(problems.join(), /does not belong to the certificate.*; still serving the certificate read before$/);
    assert.equal(keeper.readChanged(), null);
    assert.equal(problems.length, 1);
    write(second);
    assert.equal(keeper.readChanged()?.binds[0]?.material?.certificate, second.certificate);
    unlinkSync(files.keyFile);
    assert.equal(keeper.readChanged(), null);
    assert.match(problems[1] ?? '', /live\.key cannot be read: there is no such file; still serving the certificate/);
  });
});
