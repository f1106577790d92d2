import { loadPackageDefinition, type ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

/**
 * The part of etcd's API, version 3, that is used here: names and numbers of its messages, as the API defines them
 * (etcd.io/docs/v3.4/dev-guide/api_reference_v3).
 */
const messages = {
  ResponseHeader: message({ revision: [3, 'int64'] }),
  KeyValue: message({ key: [1, 'bytes'], mod_revision: [3, 'int64'], value: [5, 'bytes'], lease: [6, 'int64'] }),
  RangeRequest: message({ key: [1, 'bytes'], range_end: [2, 'bytes'], limit: [3, 'int64'], keys_only: [8, 'bool'] }),
  RangeResponse: message({ header: [1, 'ResponseHeader'], kvs: [2, 'KeyValue', 'repeated'] }),
  PutRequest: message({
    key: [1, 'bytes'],
    value: [2, 'bytes'],
    lease: [3, 'int64'],
    ignore_lease: [6, 'bool'],
  }),
  PutResponse: message({}),
  DeleteRangeRequest: message({ key: [1, 'bytes'], range_end: [2, 'bytes'] }),
  DeleteRangeResponse: message({}),
  RequestOp: message(
    {
      request_range: [1, 'RangeRequest'],
      request_put: [2, 'PutRequest'],
      request_delete_range: [3, 'DeleteRangeRequest'],
    },
    'request',
  ),
  ResponseOp: message({ response_range: [1, 'RangeResponse'] }, 'response'),
  Compare: message({ result: [1, 'int32'], target: [2, 'int32'], key: [3, 'bytes'], mod_revision: [6, 'int64'] }),
  TxnRequest: message({ compare: [1, 'Compare', 'repeated'], success: [2, 'RequestOp', 'repeated'] }),
  TxnResponse: message({
    header: [1, 'ResponseHeader'],
    succeeded: [2, 'bool'],
    responses: [3, 'ResponseOp', 'repeated'],
  }),
  WatchRequest: message(
    { create_request: [1, 'WatchCreateRequest'], progress_request: [3, 'WatchProgressRequest'] },
    'request_union',
  ),
  WatchCreateRequest: message({
    key: [1, 'bytes'],
    range_end: [2, 'bytes'],
    fragment: [8, 'bool'],
  }),
  WatchProgressRequest: message({}),
  WatchResponse: message({
    header: [1, 'ResponseHeader'],
    created: [3, 'bool'],
    canceled: [4, 'bool'],
    cancel_reason: [6, 'string'],
    events: [11, 'Event', 'repeated'],
  }),
  Event: message({ kv: [2, 'KeyValue'] }),
  LeaseGrantRequest: message({ TTL: [1, 'int64'] }),
  LeaseGrantResponse: message({ ID: [2, 'int64'] }),
  LeaseTimeToLiveRequest: message({ ID: [1, 'int64'] }),
  LeaseTimeToLiveResponse: message({ TTL: [3, 'int64'] }),
  AuthenticateRequest: message({ name: [1, 'string'], password: [2, 'string'] }),
  AuthenticateResponse: message({ token: [2, 'string'] }),
  KV: service({ Range: ['RangeRequest', 'RangeResponse'], Txn: ['TxnRequest', 'TxnResponse'] }),
  Watch: {
    methods: { Watch: { ...method('WatchRequest', 'WatchResponse'), requestStream: true, responseStream: true } },
  },
  Lease: service({
    LeaseGrant: ['LeaseGrantRequest', 'LeaseGrantResponse'],
    LeaseTimeToLive: ['LeaseTimeToLiveRequest', 'LeaseTimeToLiveResponse'],
  }),
  Auth: service({ Authenticate: ['AuthenticateRequest', 'AuthenticateResponse'] }),
};

type Fields = Readonly<Record<string, readonly [number: number, type: string, rule?: 'repeated']>>;

/** @param union the name of the oneof that all fields are in, if they are. */
function message(fields: Fields, union?: string): object {
  const members = Object.entries(fields).map(([name, [id, type, rule]]) => [
    name,
    { id, type, ...(rule === undefined ? {} : { rule }) },
  ]);
  return {
    fields: Object.fromEntries(members),
    ...(union === undefined ? {} : { oneofs: { [union]: { oneof: Object.keys(fields) } } }),
  };
}

function method(requestType: string, responseType: string): object {
  return { requestType, responseType };
}

function service(methods: Readonly<Record<string, readonly [request: string, response: string]>>): object {
  const members = Object.entries(methods).map(([name, [request, response]]) => [name, method(request, response)]);
  return { methods: Object.fromEntries(members) };
}

const definition = loadPackageDefinition(
  fromJSON({ nested: { etcdserverpb: { nested: messages } } } as Parameters<typeof fromJSON>[0], {
    keepCase: true,
    // Revisions stay below 2^53; a lease is a number of 63 bits, and only passed on.
    longs: String,
    defaults: true,
  }),
) as unknown as { etcdserverpb: Record<string, { service: ServiceDefinition }> };

function methodOf(serviceName: string, name: string): ServiceDefinition[string] {
  const found = definition.etcdserverpb[serviceName]?.service[name];
  if (found === undefined) throw new Error(`no method ${name}`);
  return found;
}

export const etcdMethods = {
  range: methodOf('KV', 'Range'),
  txn: methodOf('KV', 'Txn'),
  watch: methodOf('Watch', 'Watch'),
  leaseGrant: methodOf('Lease', 'LeaseGrant'),
  leaseTimeToLive: methodOf('Lease', 'LeaseTimeToLive'),
  authenticate: methodOf('Auth', 'Authenticate'),
};

/** What the methods take and give: bytes as buffers, numbers of 64 bits as decimal text. */
export interface EtcdCalls {
  range: { request: RangeRequest; response: RangeResponse };
  txn: { request: TxnRequest; response: TxnResponse };
  leaseGrant: { request: { TTL: string }; response: { ID: string } };
  leaseTimeToLive: { request: { ID: string }; response: { TTL: string } };
  authenticate: { request: { name: string; password: string }; response: { token: string } };
}

interface RangeRequest {
  readonly key: Buffer;
  readonly range_end?: Buffer;
  readonly limit?: string;
  readonly keys_only?: boolean;
}

export interface EtcdKeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly mod_revision: string;
  /** `0` for none. */
  readonly lease: string;
}

interface RangeResponse {
  readonly kvs: readonly EtcdKeyValue[];
}

interface PutRequest {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly lease?: string;
  /** Whether the key, which has to exist, keeps its lease. */
  readonly ignore_lease?: boolean;
}

/** One operation of a transaction. */
export type EtcdOperation =
  | { readonly request_range: RangeRequest }
  | { readonly request_put: PutRequest }
  | { readonly request_delete_range: { readonly key: Buffer } };

/** That a key has this revision; 0 for one that does not exist. */
interface RevisionCompare {
  readonly result: 0;
  readonly target: 2;
  readonly key: Buffer;
  readonly mod_revision: string;
}

interface TxnRequest {
  readonly compare: readonly RevisionCompare[];
  readonly success: readonly EtcdOperation[];
}

interface TxnResponse {
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range?: RangeResponse | null }[];
}

export interface EtcdWatchResponse {
  readonly header: { readonly revision: string } | null;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly cancel_reason: string;
  readonly events: readonly { readonly kv: EtcdKeyValue | null }[];
}

export function hasRevision(key: Buffer, revision: string): RevisionCompare {
  return { result: 0, target: 2, key, mod_revision: revision };
}
