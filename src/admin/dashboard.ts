import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Context } from 'hono';
import { ApiError } from './problem.ts';

/** The files of the dashboard by their path in URLs, and their types. */
const files: Readonly<Record<string, readonly [name: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/assets/app.js': ['assets/app.js', 'text/javascript; charset=utf-8'],
  '/assets/app.css': ['assets/app.css', 'text/css; charset=utf-8'],
};

/** The page may load and ask nothing from elsewhere, and no other page may frame it. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

interface ServedFile {
  readonly type: string;
  readonly etag: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

/** Serves the dashboard, which has no secrets: all data comes from the API. Files are read once they are asked for. */
export class Dashboard {
  private readonly directory: string;
  private readonly served = new Map<string, ServedFile>();

  constructor(directory: string) {
    this.directory = directory;
  }

  /** @throws ApiError 404, 503 if the dashboard has not been built. */
  respond(context: Context): Response {
    const file = this.fileAt(context.req.path);
    const headers = {
      'content-type': file.type,
      'content-security-policy': contentSecurityPolicy,
      'referrer-policy': 'no-referrer',
      // An update of the program changes them all.
      'cache-control': 'no-cache',
      etag: file.etag,
      vary: 'accept-encoding',
    };
    if (context.req.header('if-none-match') === file.etag) return context.body(null, 304, headers);
    const isZipped = /\bgzip\b/.test(context.req.header('accept-encoding') ?? '');
    if (!isZipped) return context.body(file.plain, 200, headers);
    return context.body(file.gzip, 200, { ...headers, 'content-encoding': 'gzip' });
  }

  private fileAt(path: string): ServedFile {
    const known = this.served.get(path);
    if (known !== undefined) return known;
    const [name, type] = files[path] ?? [];
    if (name === undefined || type === undefined) {
      throw new ApiError(404, 'PATH_UNKNOWN', `there is no ${path}`);
    }
    const plain = read(join(this.directory, name));
    const etag = `"${createHash('sha256').update(plain).digest('hex').slice(0, 16)}"`;
    const file = { type, etag, plain, gzip: new Uint8Array(gzipSync(plain, { level: 9 })) };
    this.served.set(path, file);
    return file;
  }
}

function read(path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(path));
  } catch {
    throw new ApiError(503, 'NOT_BUILT', 'the dashboard has not been built; run "npm run build"');
  }
}
