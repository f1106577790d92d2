/** A field of the JSON format of the access log. */
interface AccessField {
  readonly type: 'string' | 'integer' | 'number' | 'boolean';
  /** Whether every line has it. */
  readonly always: boolean;
  /** One sentence or more for the reference page. */
  readonly description: string;
  /** Further keywords of JSON Schema for its value. */
  readonly schema?: Readonly<Record<string, string | number | readonly string[]>>;
}

const milliseconds = { minimum: 0 };
const count = { minimum: 0 };

/** Every field, in the order of a line and of docs/access-log.md, which is generated from this table. */
export const accessFields = {
  time: always('string', 'When the request began: ISO 8601, UTC, with milliseconds.', { format: 'date-time' }),
  client: always('string', "The client's address: IPv4 as `::ffff:203.0.113.9`."),
  clientPort: some('integer', 'The port of its connection. Absent if another proxy has that.', {
    minimum: 1,
    maximum: 65_535,
  }),
  requestId: always('string', '`X-Request-Id`, as the backend got it, and the client in a local reply.'),
  method: always('string', 'The method; empty if the request could not be read.'),
  host: always('string', 'The host of the request, without its port, in lower case; empty if it has none.'),
  target: always('string', 'The path and the query, as the client sent them.'),
  version: always('string', 'The version of HTTP that the client speaks.', { enum: ['1.0', '1.1', '2'] }),
  tls: some('string', 'The version of TLS of the connection. Absent without TLS.', { pattern: '^TLSv1(\\.[0-9])?$' }),
  status: always('integer', 'The status sent to the client; 499 if it left before there was one.', {
    minimum: 100,
    maximum: 999,
  }),
  bytes: always('integer', 'Bytes sent to the client, with the head of the response.', count),
  bytesReceived: always('integer', 'Bytes of the body of the request; of a tunnel, those that came through it.', count),
  referer: some('string', 'The field `Referer` of the request.'),
  userAgent: some('string', 'The field `User-Agent` of the request.'),
  frontend: some('string', 'The pattern of the route. Absent if no route matches.'),
  id: some('string', 'The identifier of the route.'),
  backend: some('string', 'The URL of the backend that responded.'),
  attempts: always('integer', 'How often the request was sent, or was to be sent, to a backend.', count),
  totalMs: always(
    'number',
    'From the head of the request to the end of the response; of a tunnel, to its end.',
    milliseconds,
  ),
  waitMs: some(
    'number',
    'Until the first attempt at a backend: lookup of the route, rules of the host, waiting for a place or for a backend.',
    milliseconds,
  ),
  connectMs: some(
    'number',
    'From the first attempt until there was a connection for the last one: waiting for one, connecting, failed attempts.',
    milliseconds,
  ),
  firstByteMs: some(
    'number',
    "From the head of the request to the head of the backend's response. Absent if a backend sent none.",
    milliseconds,
  ),
  backendMs: some('number', 'From the sending of the request to the backend to the end of the response.', milliseconds),
  tunnel: some('boolean', '`true` for a WebSocket or another tunnel, which has a line when it ends.'),
  sample: some(
    'number',
    'The share of such requests that is logged, if that is not all: count the line 1 / `sample` times.',
    { exclusiveMinimum: 0, exclusiveMaximum: 1 },
  ),
  error: some('string', 'Why the request failed, or why the proxy replied itself: a code of errors.md.', {
    pattern: '^[A-Z0-9_]+$',
  }),
  detail: some('string', 'The exact reason.'),
} as const satisfies Readonly<Record<string, AccessField>>;

/** A line before it is text, without the fields that are undefined. */
export type AccessEntry = Readonly<Record<keyof typeof accessFields, string | number | boolean | undefined>>;

/** JSON Schema (draft 2020-12) of a line. Later versions may add fields. */
export function accessLogSchema(): object {
  const fields = Object.entries<AccessField>(accessFields);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A line of the access log of Hipache (server.accessLogFormat "json")',
    type: 'object',
    properties: Object.fromEntries(
      fields.map(([name, { description, schema = {}, type }]) => [name, { type, ...schema, description }]),
    ),
    required: fields.filter(([, { always }]) => always).map(([name]) => name),
  };
}

function always(type: AccessField['type'], description: string, schema: AccessField['schema'] = {}): AccessField {
  return { type, always: true, description, schema };
}

function some(type: AccessField['type'], description: string, schema: AccessField['schema'] = {}): AccessField {
  return { type, always: false, description, schema };
}
