import { isIP } from 'node:net';

/** More bytes are needed to decide. */
export const NEED_MORE_PROXY = 'need more';

/** The longest version 1 header, including CR LF (PROXY protocol specification, section 2.1). */
const versionOneBytesMax = 107;
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const fixedBytes = 16;
/** Limit of the addresses and type-length-values of version 2, in bytes. */
const versionTwoBytesMax = 4096;

/** The PROXY protocol header, version 1 or 2, with which a balancer in front precedes the bytes of a connection. */
export interface ProxyHeader {
  /** Its length in bytes. */
  readonly length: number;
  /** The client's address; empty if the balancer opened the connection itself (LOCAL) or does not know it (UNKNOWN). */
  readonly address: string;
}

/** Parses a header at the start of `bytes`; null if there is none, in which case the connection must end. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | typeof NEED_MORE_PROXY | null {
  const compared = Math.min(bytes.length, signature.length);
  if (bytes.compare(signature, 0, compared, 0, compared) === 0) {
    return bytes.length < fixedBytes ? NEED_MORE_PROXY : readVersionTwo(bytes);
  }
  return readVersionOne(bytes);
}

function readVersionOne(bytes: Buffer): ProxyHeader | typeof NEED_MORE_PROXY | null {
  const start = bytes.latin1Slice(0, Math.min(bytes.length, versionOneBytesMax));
  if (!start.startsWith('PROXY '.slice(0, start.length))) return null;
  const end = start.indexOf('\r\n');
  if (end < 0) return bytes.length >= versionOneBytesMax ? null : NEED_MORE_PROXY;
  const [, family, source, destination, sourcePort, destinationPort, ...rest] = start.slice(0, end).split(' ');
  const length = end + 2;
  if (family === 'UNKNOWN') return { length, address: '' };
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : -1;
  if (rest.length > 0 || isIP(source ?? '') !== version || isIP(destination ?? '') !== version) return null;
  if (!isPort(sourcePort) || !isPort(destinationPort)) return null;
  return { length, address: source ?? '' };
}

function readVersionTwo(bytes: Buffer): ProxyHeader | typeof NEED_MORE_PROXY | null {
  const command = bytes[12] as number;
  const family = (bytes[13] as number) >> 4;
  const addressBytes = bytes.readUInt16BE(14);
  if (command >> 4 !== 2 || addressBytes > versionTwoBytesMax) return null;
  const length = fixedBytes + addressBytes;
  if (bytes.length < length) return NEED_MORE_PROXY;
  if ((command & 15) === 0) return { length, address: '' };
  if ((command & 15) !== 1) return null;
  if (family === 1 && addressBytes >= 12) return { length, address: bytes.subarray(16, 20).join('.') };
  if (family === 2 && addressBytes >= 36) return { length, address: ipv6Text(bytes.subarray(16, 32)) };
  return { length, address: '' };
}

function ipv6Text(address: Buffer): string {
  const groups: string[] = [];
  for (let at = 0; at < address.length; at += 2) groups.push(address.readUInt16BE(at).toString(16));
  // The URL parser writes IPv6 addresses in their canonical short form (RFC 5952).
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function isPort(text: string | undefined): boolean {
  return text !== undefined && /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}
