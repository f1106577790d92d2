import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

type RecordType = 'A' | 'NS' | 'CNAME' | 'TXT';

const types: Readonly<Record<RecordType, number>> = { A: 1, NS: 2, CNAME: 5, TXT: 16 };

/** A name server over UDP that knows the records it is given, by `<type> <name>`. All other names do not exist. */
export class ZoneServer {
  readonly records = new Map<string, readonly string[]>();
  /** As `<type> <name>`, in order. */
  readonly queries: string[] = [];
  private readonly socket: Socket = createSocket('udp4');

  static async start(records: Readonly<Record<string, readonly string[]>> = {}): Promise<ZoneServer> {
    const server = new ZoneServer();
    for (const [key, values] of Object.entries(records)) server.records.set(key, values);
    server.socket.on('message', (query, client) => server.answer(query, client));
    await once(server.socket.bind(0, '127.0.0.1'), 'listening');
    return server;
  }

  get port(): number {
    return this.socket.address().port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  close(): void {
    this.socket.close();
  }

  private answer(query: Buffer, client: RemoteInfo): void {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
    const question = query.subarray(12, at + 5);
    const type = Object.entries(types).find(([, number]) => number === query.readUInt16BE(at + 1))?.[0] ?? '?';
    const name = labels.join('.').toLowerCase();
    this.queries.push(`${type} ${name}`);
    const values = this.records.get(`${type} ${name}`);
    const exists = [...this.records.keys()].some((key) => key.endsWith(` ${name}`));
    const answers = (values ?? []).map((value) => record(type as RecordType, value));
    const head = Buffer.alloc(12);
    head.writeUInt16BE(query.readUInt16BE(0), 0);
    head.writeUInt16BE(0x8180 | (exists ? 0 : 3), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(answers.length, 6);
    this.socket.send(Buffer.concat([head, question, ...answers]), client.port, client.address);
  }
}

function record(type: RecordType, value: string): Buffer {
  const data = dataOf(type, value);
  const head = Buffer.alloc(12);
  // The name of the question.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(types[type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(type: RecordType, value: string): Buffer {
  if (type === 'A') return Buffer.from(value.split('.').map(Number));
  const parts = type === 'TXT' ? (value.match(/.{1,255}/gs) ?? ['']) : value.split('.');
  const texts = parts.map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part, 'latin1')]));
  return Buffer.concat(type === 'TXT' ? texts : [...texts, Buffer.from([0])]);
}
