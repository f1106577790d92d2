import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Recipe, type Scheme, schemes } from './recipe.ts';

/** A name that skopeo can resolve. */
const host = 'localhost';

describe('A container registry', () => {
  const recipe = new Recipe('A container registry');

  before(async () => {
    const config = recipe.block('config.yml').replace('/var/lib/registry', recipe.path('registry'));
    const file = (port: number) => recipe.write('config.yml', config.replace('127.0.0.1:5000', `127.0.0.1:${port}`));
    const port = await recipe.start('docker-registry', (free) => ['serve', file(free)]);
    await recipe.serve({ [host]: [port] });
    // Where skopeo looks for authorities.
    mkdirSync(recipe.path('authorities'));
    writeFileSync(recipe.path('authorities', 'ca.crt'), recipe.authority.certificate);
  });

  after(() => recipe.stop());

  for (const scheme of schemes) {
    it(`takes a blob in chunks over ${scheme}, and names URLs that the client can use`, async () => {
      const url = recipe.url(scheme, host);
      const blob = randomBytes(30_000_000);
      const digest = digestOf(blob);
      const file = recipe.path(`${scheme}-blob`);
      writeFileSync(file, blob);
      const begun = await recipe.curl(`${url}/v2/app/blobs/uploads/`, '--request', 'POST');
      const upload = begun.headers.get('location') ?? '';
      assert.ok(upload.startsWith(`${url}/v2/app/blobs/uploads/`), upload);
      const chunked = ['--header', 'Transfer-Encoding: chunked', '--header', 'Content-Type: application/octet-stream'];
      const sent = await recipe.curl(upload, '--request', 'PATCH', ...chunked, '--data-binary', `@${file}`);
      assert.equal(`${sent.status} ${sent.headers.get('range')}`, '202 0-29999999');
      const done = await recipe.curl(`${sent.headers.get('location')}&digest=${digest}`, '--request', 'PUT');
      assert.equal(`${done.status} ${done.headers.get('location')}`, `201 ${url}/v2/app/blobs/${digest}`);
      const { body } = await recipe.curl(done.headers.get('location') ?? '');
      assert.ok(blob.equals(Buffer.from(body, 'latin1')));
    });

    it(`takes an image of skopeo over ${scheme}, and gives it back`, async () => {
      const image = makeImage(recipe.path(`${scheme}-image`));
      const { port } = new URL(recipe.url(scheme, host));
      const remote = `docker://${host}:${port}/image-${scheme}:latest`;
      await skopeo(scheme, 'dest', `dir:${recipe.path(`${scheme}-image`)}`, remote);
      await skopeo(scheme, 'src', remote, `dir:${recipe.path(`${scheme}-back`)}`);
      assert.ok(readFileSync(recipe.path(`${scheme}-back`, image.layer)).equals(image.bytes));
    });
  }

  function skopeo(scheme: Scheme, side: 'src' | 'dest', from: string, to: string): Promise<unknown> {
    const trust = scheme === 'https' ? [`--${side}-cert-dir`, recipe.path('authorities')] : [];
    const options = [...trust, `--${side}-tls-verify=${scheme === 'https'}`, '--insecure-policy'];
    const env = { ...process.env, NO_PROXY: '*' };
    return promisify(execFile)('skopeo', ['copy', ...options, from, to], { env });
  }
});

/** Writes an image of one layer as a folder that skopeo reads. */
function makeImage(folder: string): { readonly layer: string; readonly bytes: Buffer } {
  mkdirSync(folder);
  // An archive without a file: two empty blocks. Random bytes behind make it large.
  const archive = Buffer.concat([Buffer.alloc(1024), randomBytes(5_000_000)]);
  const bytes = gzipSync(archive);
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf(archive)] } }),
  );
  const add = (content: Buffer, mediaType: string) => {
    writeFileSync(`${folder}/${digestOf(content).slice('sha256:'.length)}`, content);
    return { mediaType, size: content.length, digest: digestOf(content) };
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: add(config, 'application/vnd.oci.image.config.v1+json'),
    layers: [add(bytes, 'application/vnd.oci.image.layer.v1.tar+gzip')],
  };
  writeFileSync(`${folder}/manifest.json`, JSON.stringify(manifest));
  writeFileSync(`${folder}/version`, 'Directory Transport Version: 1.1\n');
  return { layer: digestOf(bytes).slice('sha256:'.length), bytes };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
