import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Context } from 'hono';
import { ApiError } from './problem.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
};

/** A page may load and ask nothing from elsewhere, and no other page may frame it. */
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

/**
 * Serves the files of a directory that was built, and their names only. They have no secrets: all data comes from the API.
 * Files are read once they are asked for, and kept.
 */
export class StaticFiles {
  private readonly directory: string;
  private readonly path: string;
  /** The files of the directory by their paths in URLs; null until the first request. */
  private names: ReadonlyMap<string, string> | null = null;
  private readonly served = new Map<string, ServedFile>();

  /** @param path of the URLs, with a slash at its end. The file index.html is served there. */
  constructor(directory: string, path: string) {
    this.directory = directory;
    this.path = path;
  }

  /** @throws ApiError 404, 503 if the files have not been built. */
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
    this.names ??= this.readNames();
    const name = this.names.get(path);
    if (name === undefined) throw new ApiError(404, 'PATH_UNKNOWN', `there is no ${path}`);
    const plain = builtFiles(() => new Uint8Array(readFileSync(name)));
    const etag = `"${createHash('sha256').update(plain).digest('hex').slice(0, 16)}"`;
    const type = types[extname(name)] ?? 'application/octet-stream';
    const file = { type, etag, plain, gzip: new Uint8Array(gzipSync(plain, { level: 9 })) };
    this.served.set(path, file);
    return file;
  }

  private readNames(): ReadonlyMap<string, string> {
    const files = builtFiles(() => filesBelow(this.directory));
    const paths = files.map((file): [string, string] => [this.path + relative(this.directory, file), file]);
    return new Map([[this.path, join(this.directory, 'index.html')], ...paths]);
  }
}

/** Links are not followed. */
function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

function builtFiles<Result>(read: () => Result): Result {
  try {
    return read();
  } catch {
    throw new ApiError(503, 'NOT_BUILT', 'these pages have not been built; run "npm run build"');
  }
}
