import { createHash } from 'node:crypto';
import type { HostAndPort } from '../driver-url.ts';

/** Digests of each server, and points that each digest gives: the figures of libketama. */
const digestsPerServer = 40;
const pointsPerDigest = 4;
/** A server on this port is placed by its host alone, as Hipache 0.4's client does. */
const portLeftOut = 11_211;

interface Point {
  readonly value: number;
  readonly server: number;
}

/** Which of several servers has a key: consistent hashing as in libketama, the same as Hipache 0.4's client. */
export class KeyRing {
  private readonly points: readonly Point[];

  constructor(servers: readonly HostAndPort[]) {
    const points: Point[] = [];
    for (const [server, { host, port }] of servers.entries()) {
      const name = port === portLeftOut ? host : `${host}:${port}`;
      // In floating point, some numbers of servers give one digest less; the original rounds in the same way.
      const digests = Math.floor((1 / servers.length) * digestsPerServer * servers.length);
      for (let i = 0; i < digests; i++) {
        const digest = md5(`${name}-${i}`);
        for (let j = 0; j < pointsPerDigest; j++) points.push({ value: digest.readUInt32LE(j * 4), server });
      }
    }
    this.points = points.sort((a, b) => a.value - b.value);
  }

  /** The index of the server that has the key. */
  serverOf(key: string): number {
    const value = md5(key).readUInt32LE(0);
    let [low, high] = [0, this.points.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.points[middle] as Point).value < value) low = middle + 1;
      else high = middle;
    }
    return (this.points[low] ?? this.points[0])?.server ?? 0;
  }
}

function md5(text: string): Buffer {
  return createHash('md5').update(text).digest();
}
