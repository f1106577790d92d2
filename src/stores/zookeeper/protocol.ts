import { type JuteReader, JuteWriter } from './jute.ts';

/** Numbers of the requests. */
export const opCode = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  auth: 100,
  closeSession: -11,
} as const;

/** Numbers of replies that belong to no request. */
export const xids = { notification: -1, ping: -2, auth: -4 } as const;

/** Numbers of the errors that are distinguished here. */
export const zooKeeperErrors = {
  noNode: -101,
  noAuth: -102,
  badVersion: -103,
  nodeExists: -110,
  notEmpty: -111,
  authFailed: -115,
} as const;

/** An owner of a node that is created, who may do everything with it. */
export interface Acl {
  readonly scheme: string;
  readonly id: string;
}

/** Everybody; or, with an account, everybody who has shown it. */
export const openAcl: Acl = { scheme: 'world', id: 'anyone' };
export const creatorAcl: Acl = { scheme: 'auth', id: '' };
const allPermissions = 31;

/** One operation of a transaction. `version` -1: any. */
export type NodeOperation =
  | {
      readonly kind: 'create';
      readonly path: string;
      readonly data: Buffer;
      readonly acl: Acl;
      readonly ephemeral?: boolean;
    }
  | { readonly kind: 'setData'; readonly path: string; readonly data: Buffer; readonly version: number }
  | { readonly kind: 'delete'; readonly path: string; readonly version: number }
  | { readonly kind: 'check'; readonly path: string; readonly version: number };

export interface NodeStat {
  /** Of the transaction that wrote it last. */
  readonly mzxid: bigint;
  readonly version: number;
}

export function readStat(reader: JuteReader): NodeStat {
  reader.long();
  const mzxid = reader.long();
  reader.long();
  reader.long();
  const version = reader.int();
  reader.int();
  reader.int();
  reader.long();
  reader.int();
  reader.int();
  reader.long();
  return { mzxid, version };
}

/** The request that opens a session of its own. @param zxid a server that has not come so far refuses. */
export function connectRequest(zxid: bigint, timeoutMs: number): Buffer {
  return new JuteWriter().int(0).long(zxid).int(timeoutMs).long(0n).buffer(Buffer.alloc(16)).bool(false).packet();
}

export function request(xid: number, type: number): JuteWriter {
  return new JuteWriter().int(xid).int(type);
}

export function writeOperation(writer: JuteWriter, operation: NodeOperation): void {
  writer.text(operation.path);
  if (operation.kind === 'delete' || operation.kind === 'check') {
    writer.int(operation.version);
    return;
  }
  writer.buffer(operation.data);
  if (operation.kind === 'setData') {
    writer.int(operation.version);
    return;
  }
  const { scheme, id } = operation.acl;
  writer.int(1).int(allPermissions).text(scheme).text(id);
  writer.int(operation.ephemeral === true ? 1 : 0);
}

/** The body of a transaction: all operations or none. */
export function writeOperations(writer: JuteWriter, operations: readonly NodeOperation[]): void {
  for (const operation of operations) {
    writer.int(opCode[operation.kind]).bool(false).int(-1);
    writeOperation(writer, operation);
  }
  writer.int(-1).bool(true).int(-1);
}

/** The number of the error that ended a transaction; 0 for success. */
export function readOperations(reader: JuteReader): number {
  for (;;) {
    const type = reader.int();
    const done = reader.bool();
    reader.int();
    if (done) return 0;
    if (type === -1) {
      const error = reader.int();
      // The operations before the one that failed have 0, those behind it -2.
      if (error !== 0 && error !== -2) return error;
    } else if (type === opCode.create) reader.text();
    else if (type === opCode.setData) readStat(reader);
  }
}
