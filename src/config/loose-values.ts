import { describeFound } from './problems.ts';
import { isPlain, type Plain } from './shape.ts';

/** A value that Hipache 0.4 accepted, in the form that this version has for it. */
interface Reading {
  readonly value: unknown;
  /** How the value acts, worded to follow `found "8097" (a string), `. */
  readonly use: string;
  /** The right form, worded to follow `write `. */
  readonly form: string;
}

/** @returns null if the value is not one of those that 0.4 accepted. The schema then decides. */
type LooseReader = (value: unknown) => Reading | null;

/**
 * The keys of 0.4 whose values it converted without a check: `listen`, arithmetic and comparisons take numbers in
 * quotes, `setuid` takes names and numbers. Booleans in quotes are not among them: 0.4 compared with `=== true`, so
 * that "true" meant false there.
 */
const readers: ReadonlyMap<string, LooseReader> = new Map([
  ['http.port', quotedNumber],
  ['http.bind', loneBind],
  ['http.bind[].port', quotedNumber],
  ['https.port', quotedNumber],
  ['https.bind', loneBind],
  ['https.bind[].port', quotedNumber],
  ['server.workers', quotedNumber],
  ['server.maxSockets', quotedNumber],
  ['server.tcpTimeout', quotedNumberOrOff],
  ['server.deadBackendTTL', quotedNumber],
  ['server.retryOnError', quotedNumberOrOff],
  ['server.lruCache', cacheSwitch],
  ['server.lruCache.size', cacheSize],
  ['server.lruCache.ttl', quotedNumber],
  ['server.staticDir', noPath],
  ['user', userNumber],
  ['group', groupNumber],
]);

/**
 * Replaces values that Hipache 0.4 accepted in another form than this version has for them, in place. Adds a line to
 * `warnings` for each, with the key, the value found, and the right form.
 * @param file the known keys, under their names of today.
 */
export function correctLooseValues(file: Plain, warnings: string[]): void {
  correctMembers(file, '', '', warnings);
}

/** @param key the path of `holder` as in the table; `path` is the same with the indexes of arrays. */
function correctMembers(holder: Plain, key: string, path: string, warnings: string[]): void {
  for (const [name, found] of Object.entries(holder)) {
    const [memberKey, memberPath] = key === '' ? [name, name] : [`${key}.${name}`, `${path}.${name}`];
    const reading = readers.get(memberKey)?.(found) ?? null;
    if (reading !== null) {
      holder[name] = reading.value;
      warnings.push(`${memberPath}: found ${describeFound(found, false)}, ${reading.use}; write ${reading.form}`);
    }
    const value = holder[name];
    if (isPlain(value)) correctMembers(value, memberKey, memberPath, warnings);
    if (!Array.isArray(value)) continue;
    for (const [index, element] of value.entries()) {
      if (isPlain(element)) correctMembers(element, `${memberKey}[]`, `${memberPath}[${index}]`, warnings);
    }
  }
}

function loneBind(value: unknown): Reading | null {
  return isPlain(value) ? { value: [value], use: 'used as an array of it', form: 'it in brackets' } : null;
}

function quotedNumber(value: unknown): Reading | null {
  if (typeof value !== 'string' || !/^\s*\d{1,15}(\.\d{1,15})?\s*$/.test(value)) return null;
  return { value: Number(value), use: 'used as a number', form: String(Number(value)) };
}

function quotedNumberOrOff(value: unknown): Reading | null {
  return value === false ? { value: 0, use: 'used as 0', form: '0' } : quotedNumber(value);
}

function cacheSwitch(value: unknown): Reading | null {
  return value === true
    ? { value: {}, use: 'which changes nothing: the route cache is always on', form: 'null' }
    : null;
}

function cacheSize(value: unknown): Reading | null {
  if (value !== 0 && value !== false && value !== null) return quotedNumber(value);
  return { value: undefined, use: 'which was no limit in Hipache 0.4; the default applies', form: 'a number of hosts' };
}

function noPath(value: unknown): Reading | null {
  return value === false || value === '' ? { value: null, use: 'used as null', form: 'null' } : null;
}

function userNumber(value: unknown): Reading | null {
  if (!isAccountNumber(value)) return null;
  const name = value === 0 ? 'root' : String(value);
  return { value: name, use: `used as "${name}"`, form: `"${name}"` };
}

/** In 0.4, the group 0 counted as none given. */
function groupNumber(value: unknown): Reading | null {
  if (!isAccountNumber(value)) return null;
  if (value !== 0) return { value: String(value), use: `used as "${value}"`, form: `"${value}"` };
  return { value: null, use: "used as the user's group, as in Hipache 0.4", form: 'null, or "root" for the group 0' };
}

function isAccountNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
