import { Backend, type DownMark } from './backend.ts';
import { type Canary, type Frontend, noDraining, type RecordProblem, servingBackends } from './frontend.ts';
import { loggedId } from './record.ts';
import { RetryBudget } from './retry-budget.ts';

/**
 * A frontend as bytes, for hosts that no request uses at present: about 80 for two backends, where the objects take more
 * than 1,000. Numbers are of variable length (7 bits a byte, LEB128). The layout:
 *
 * | part | what it has |
 * | --- | --- |
 * | flags | how the texts are encoded, and which parts follow |
 * | numbers | backends, characters of the texts, of the extras, and of the identifier |
 * | for each backend | its index, weight, port, and where its texts are |
 * | texts | the identifier, and for each backend its URL, then what is not a part of it |
 * | extras | as JSON: marks, problems, backends that drain, canaries, options |
 *
 * Not packed: the policy, which follows from the options; the state of the balancing; requests in flight, outcomes, and the
 * retry budget. `mayBePacked` says whether these matter.
 */

/** Characters take two bytes. */
const wide = 1;
const weighted = 2;
const withBackups = 4;
/** The backend connects with TLS. */
const secure = 1;
/** The name of its host is not in its URL as it is. */
const ownHostname = 2;
/** The name for the handshake is not the one of the host. */
const ownTlsName = 4;
const backup = 8;
/** The backend speaks HTTP/2. */
const http2 = 16;

interface Extras {
  readonly down?: readonly (readonly [index: number, mark: DownMark])[];
  readonly problems?: readonly RecordProblem[];
  readonly options?: readonly (readonly [name: string, text: string])[];
  /** Of each the arguments of its `Backend`, and its end. */
  readonly draining?: readonly (readonly [args: BackendArguments, untilMs: number | null])[];
  readonly canary?: PackedCanary;
}

type BackendArguments = ConstructorParameters<typeof Backend>;

interface PackedCanary extends Pick<Canary, 'share' | 'weighted' | 'hasBackups'> {
  readonly backends: readonly (readonly [args: BackendArguments, mark: DownMark | null])[];
}

/** Whether nothing that matters is lost if the objects of this frontend are dropped and made again from its bytes. */
export function mayBePacked(frontend: Frontend, epochMs: number, monotonicMs: number): boolean {
  const { load } = frontend;
  if (load.inFlight > 0 || load.tunnels > 0 || load.waiting !== null) return false;
  for (const backend of servingBackends(frontend)) {
    if (backend.inFlight > 0 || backend.outcomes?.hasFailed(monotonicMs)) return false;
    // The store does not have this mark yet.
    if (backend.markSharedAt !== 0 && backend.isDown(epochMs)) return false;
  }
  return true;
}

/** Writes frontends as bytes. The result is only valid until the next one is packed. */
export class FrontendPacker {
  private bytes = Buffer.allocUnsafeSlow(4096);
  private length = 0;

  pack(frontend: Frontend): Buffer {
    const { pattern, id, backends, canary, draining, options, problems } = frontend;
    const marks = backends.flatMap(({ down }, i) => (down === null ? [] : [[i, down] as const]));
    const extras: Extras = {
      ...(marks.length > 0 ? { down: marks } : {}),
      ...(problems.length > 0 ? { problems } : {}),
      ...(options === null ? {} : { options: [...options] }),
      ...(draining.length > 0 ? { draining: draining.map((each) => [argumentsOf(each), each.drainUntilMs]) } : {}),
      ...(canary === null ? {} : { canary: packedCanary(canary) }),
    };
    const hasExtras = marks.length + problems.length + draining.length > 0 || options !== null || canary !== null;
    const json = hasExtras ? JSON.stringify(extras) : '';
    const ownId = id === pattern ? '' : id;
    const texts = ownId + backends.map(textsOf).join('');
    const isWide = /[^\0-\xff]/.test(texts) || /[^\0-\xff]/.test(json);
    this.length = 0;
    const { hasBackups } = frontend;
    this.number((isWide ? wide : 0) | (frontend.weighted ? weighted : 0) | (hasBackups ? withBackups : 0));
    this.number(backends.length);
    this.number(texts.length);
    this.number(json.length);
    this.number(id === pattern ? 0 : id.length + 1);
    for (const backend of backends) this.backend(backend);
    const encoding = isWide ? 'utf16le' : 'latin1';
    for (const text of [texts, json]) {
      this.reserve(text.length * 2);
      this.length += this.bytes.write(text, this.length, encoding);
    }
    return this.bytes.subarray(0, this.length);
  }

  private backend({ url, hostname, tlsName, index, weight, port, isBackup, isHttp2 }: Backend): void {
    const at = url.indexOf(hostname);
    const isOwnTlsName = tlsName !== null && tlsName !== hostname;
    const names = (at < 0 ? ownHostname : 0) | (isOwnTlsName ? ownTlsName : 0);
    this.number((tlsName === null ? 0 : secure) | names | (isBackup ? backup : 0) | (isHttp2 ? http2 : 0));
    this.number(index);
    this.number(weight);
    this.number(port);
    this.number(url.length);
    if (at >= 0) this.number(at);
    this.number(hostname.length);
    if (isOwnTlsName) this.number(tlsName.length);
  }

  private number(value: number): void {
    this.reserve(5);
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow((this.length + more) * 2);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }
}

function packedCanary({ backends, hasBackups, share, weighted }: Canary): PackedCanary {
  return { share, weighted, hasBackups, backends: backends.map((each) => [argumentsOf(each), each.down]) };
}

function argumentsOf(backend: Backend): BackendArguments {
  const { url, hostname, port, index, weight, tlsName, isBackup, isHttp2 } = backend;
  return [url, hostname, port, index, weight, tlsName, isBackup, isHttp2];
}

/** The texts of a backend one after the other, without those that are a part of its URL. */
function textsOf({ url, hostname, tlsName }: Backend): string {
  const host = url.includes(hostname) ? '' : hostname;
  return url + host + (tlsName === null || tlsName === hostname ? '' : tlsName);
}

/** The bytes that are read, and how far. One for all, since only one frontend is read at a time. */
let source: Buffer = Buffer.alloc(0);
let numberAt = 0;
let texts = '';
let textAt = 0;

/** Makes the frontend of `pattern` whose bytes begin at `at`. */
export function unpackFrontend(pattern: string, bytes: Buffer, at: number): Frontend {
  source = bytes;
  numberAt = at;
  const flags = readNumber();
  const count = readNumber();
  const textChars = readNumber();
  const jsonChars = readNumber();
  const idChars = readNumber();
  // The texts are behind the numbers of the backends, which need them.
  const backendsAt = numberAt;
  for (let i = 0; i < count; i++) skipBackend();
  const charBytes = (flags & wide) === 0 ? 1 : 2;
  const jsonAt = numberAt + textChars * charBytes;
  texts = decode(numberAt, textChars, charBytes);
  textAt = 0;
  numberAt = backendsAt;
  const id = idChars === 0 ? pattern : takeText(idChars - 1);
  const backends = new Array<Backend>(count);
  for (let i = 0; i < count; i++) backends[i] = readBackend();
  const extras = jsonChars === 0 ? noExtras : (JSON.parse(decode(jsonAt, jsonChars, charBytes)) as Extras);
  for (const [i, mark] of extras.down ?? []) (backends[i] as Backend).down = mark;
  return {
    pattern,
    id,
    logId: loggedId(id),
    backends,
    draining: extras.draining?.map(readDraining) ?? noDraining,
    canary: extras.canary === undefined ? null : readCanary(pattern, extras.canary),
    weighted: (flags & weighted) !== 0,
    hasBackups: (flags & withBackups) !== 0,
    problems: extras.problems ?? noProblems,
    options: extras.options === undefined ? null : new Map(extras.options),
    policy: null,
    retryBudget: new RetryBudget(),
    load: { inFlight: 0, tunnels: 0, waiting: null },
    balancing: null,
  };
}

function readBackend(): Backend {
  const kind = readNumber();
  const index = readNumber();
  const weight = readNumber();
  const port = readNumber();
  const url = takeText(readNumber());
  const hostAt = (kind & ownHostname) === 0 ? readNumber() : -1;
  const hostChars = readNumber();
  const hostname = hostAt < 0 ? takeText(hostChars) : url.slice(hostAt, hostAt + hostChars);
  const isBackup = (kind & backup) !== 0;
  const isHttp2 = (kind & http2) !== 0;
  if ((kind & secure) === 0) return new Backend(url, hostname, port, index, weight, null, isBackup, isHttp2);
  const tlsName = (kind & ownTlsName) === 0 ? hostname : takeText(readNumber());
  return new Backend(url, hostname, port, index, weight, tlsName, isBackup, isHttp2);
}

function readDraining([args, untilMs]: NonNullable<Extras['draining']>[number]): Backend {
  const backend = new Backend(...args);
  backend.drainUntilMs = untilMs;
  return backend;
}

function readCanary(pattern: string, { backends, hasBackups, share, weighted }: PackedCanary): Canary {
  const made = backends.map(([args, mark]) => {
    const backend = new Backend(...args);
    backend.down = mark;
    return backend;
  });
  return { pattern, backends: made, weighted, hasBackups, balancing: null, share };
}

function takeText(chars: number): string {
  const start = textAt;
  textAt += chars;
  return texts.slice(start, textAt);
}

const noExtras: Extras = {};
const noProblems: readonly RecordProblem[] = [];

function skipBackend(): void {
  const kind = readNumber();
  let numbers = 5 + ((kind & ownHostname) === 0 ? 1 : 0) + ((kind & ownTlsName) === 0 ? 0 : 1);
  while (numbers > 0) if ((source[numberAt++] as number) < 0x80) numbers--;
}

function readNumber(): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = source[numberAt++] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

function decode(at: number, chars: number, charBytes: number): string {
  return charBytes === 1 ? source.latin1Slice(at, at + chars) : source.toString('utf16le', at, at + chars * 2);
}
