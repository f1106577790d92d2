import { isObscurePath, isPlainPath, loosePaths, normalPath } from '../http/path-forms.ts';

/** Longest prefix of a path, in characters. */
export const prefixCharsMax = 256;

/**
 * Segments of characters that mean the same in every form of a path, without `;`, and without `,`, which separates prefixes. Those
 * of patterns are left out, because a prefix is none: `/api/.*` would be a text that no path has.
 */
const prefixForm = /^(?:\/[A-Za-z0-9._~!&'+=:@-]+)+$/;

/** Whether it is a prefix of paths: `/api`, `/a/b`. */
export function isPathPrefix(text: string): boolean {
  return text.length <= prefixCharsMax && prefixForm.test(text) && !/\/\.{1,2}(?:\/|$)/.test(text);
}

export interface FoundPath {
  /** The longest prefix that the path has; empty for none. */
  readonly prefix: string;
  /** The path with its query, in the form in which the prefix was found. */
  readonly path: string;
}

/** The prefixes of paths by which one host is divided. */
export class PathPrefixes {
  /** Longest first. */
  readonly prefixes: readonly string[];

  constructor(prefixes: readonly string[]) {
    this.prefixes = [...new Set(prefixes)].sort((one, other) => other.length - one.length);
  }

  /**
   * The prefix of a request's path. Null if servers read the path in different ways, so that a backend could take it for one
   * with another prefix: `/..;/`, `//`, an encoded slash.
   */
  find(path: string): FoundPath | null {
    if (isPlainPath(path)) return { prefix: this.prefixOf(path), path };
    if (isObscurePath(path)) return null;
    const normal = normalPath(path);
    const prefix = this.prefixOf(normal);
    const isSame = loosePaths(normal)?.every((loose) => this.prefixOf(loose) === prefix) ?? false;
    return isSame ? { prefix, path: normal } : null;
  }

  private prefixOf(path: string): string {
    for (const prefix of this.prefixes) {
      if (!path.startsWith(prefix)) continue;
      // It ends with a whole segment.
      const next = path.charCodeAt(prefix.length);
      if (Number.isNaN(next) || next === slash || next === questionMark) return prefix;
    }
    return '';
  }
}

const slash = 0x2f;
const questionMark = 0x3f;

/** A path for a backend that does not know the prefix: `/api/users` without `/api`. @param prefix empty: it stays as it is. */
export function withoutPrefix(path: string, prefix: string): string {
  if (prefix === '' || !path.startsWith(prefix)) return path;
  // One slash: a path that begins with two could be taken for the name of another host.
  return path.slice(prefix.length).replace(/^\/*/, '/');
}
