import { z } from 'zod';
import { packageVersion } from '../base/version.ts';
import { type OperationName, operationOf } from '../operations/catalogue.ts';
import {
  type Endpoint,
  endpointNames,
  endpoints,
  eventsPath,
  isInQuery,
  pathFields,
  versionField,
} from './endpoints.ts';
import { eventSchemas } from './event-feed.ts';
import { waitParameter } from './read-input.ts';

type Schema = z.core.JSONSchema._JSONSchema;

/** A description of the API in OpenAPI 3.1. */
export interface OpenApi {
  readonly openapi: string;
  readonly info: object;
  readonly paths: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const description = `Everything that the command line of Hipache can do with its store. On the socket of an instance, no token is needed; on an
address, a token (\`Authorization: Bearer\`) or the certificate of a client.

A host with the prefix of a path is one segment of a URL: \`example.com%2Fapi\`. \`ETag\` is the version of a route, which
\`If-Match\` requires of it; \`If-None-Match: *\` requires that there is none. Errors are \`application/problem+json\`
(RFC 9457) with a \`code\`.`;

const problem: Schema = {
  type: 'object',
  properties: {
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; see docs/errors.md.' },
    detail: { type: 'string', description: 'For people: the error, where it is, and how to mend it.' },
  },
  required: ['status', 'code', 'detail'],
};

const problemContent = {
  description: 'An error.',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};

let made: OpenApi | null = null;

/** The description, made of the schemas of the operations. */
export function openApi(): OpenApi {
  made ??= makeOpenApi();
  return made;
}

function makeOpenApi(): OpenApi {
  const schemas: Record<string, Schema> = { Problem: problem };
  const paths: Record<string, Record<string, object>> = {};
  for (const name of endpointNames()) {
    const { method, path } = endpoints[name];
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = describe(name, endpoints[name], schemas);
  }
  paths[eventsPath] = { get: describeEvents(schemas) };
  return {
    openapi: '3.1.0',
    info: { title: 'Hipache admin API', version: packageVersion(), description, license: { name: 'MIT' } },
    paths,
    components: { schemas },
  };
}

function describe(name: OperationName, endpoint: Endpoint, schemas: Record<string, Schema>): object {
  const operation = operationOf(name);
  const input = schemaOf(operation.input, 'input', schemas) as {
    properties?: Record<string, Schema>;
    required?: string[];
  };
  const { properties = {}, required = [] } = input;
  const inPath = pathFields(endpoint);
  const others = Object.keys(properties).filter((field) => !inPath.includes(field) && field !== versionField);
  const result = { schema: schemaOf(operation.result, 'output', schemas) };
  const events =
    operation.step === null ? {} : { 'text/event-stream': { schema: schemaOf(operation.step, 'output', schemas) } };
  return {
    operationId: name,
    summary: operation.summary,
    'x-access': operation.access,
    parameters: [
      ...inPath.map((field) => parameter('path', field, properties[field], true)),
      ...(isInQuery(endpoint)
        ? others.map((field) => parameter('query', field, properties[field], required.includes(field)))
        : []),
      ...(versionField in properties
        ? [
            parameter(
              'header',
              'If-Match',
              { type: 'string', description: 'The version that the route must have.' },
              false,
            ),
          ]
        : []),
      ...(operation.access === 'write'
        ? [
            parameter(
              'query',
              waitParameter,
              {
                type: 'number',
                description: 'Waits so many seconds until every instance serves the change: member `live`.',
              },
              false,
            ),
          ]
        : []),
    ],
    ...(isInQuery(endpoint) || others.length === 0
      ? {}
      : {
          requestBody: {
            required: others.some((field) => required.includes(field)),
            content: { 'application/json': { schema: bodyOf(properties, others, required) } },
          },
        }),
    responses: {
      200: { description: 'Done.', content: { 'application/json': result, ...events } },
      default: problemContent,
    },
  };
}

function describeEvents(schemas: Record<string, Schema>): object {
  const names = Object.keys(eventSchemas);
  const refs = Object.values(eventSchemas).map((schema) => schemaOf(schema, 'output', schemas));
  const text = (detail: string): Schema => ({ type: 'string', description: detail });
  return {
    operationId: 'followEvents',
    summary: 'Follows what happens: changes of records by any program, and the load of the fleet.',
    'x-access': 'read',
    parameters: [
      parameter(
        'header',
        'Last-Event-ID',
        text('The last event that the client has; `reset` says if some after it are lost.'),
        false,
      ),
      parameter('query', 'after', text('The same, for clients that cannot set the header.'), false),
      parameter('query', 'host', text('Only events of this host, and those that concern all.'), false),
      parameter('query', 'only', text(`Names of events, separated by commas, of ${names.join(', ')}.`), false),
    ],
    responses: {
      200: {
        description: 'Events with the names `' + names.join('`, `') + '`.',
        content: { 'text/event-stream': { schema: { oneOf: refs } } },
      },
      default: problemContent,
    },
  };
}

function parameter(where: string, name: string, schema: Schema | undefined, required: boolean): object {
  return { in: where, name, required, schema: schema ?? {} };
}

function bodyOf(properties: Record<string, Schema>, fields: readonly string[], required: readonly string[]): Schema {
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map((field) => [field, properties[field] as Schema])),
    required: required.filter((field) => fields.includes(field)),
    additionalProperties: false,
  };
}

/** The JSON Schema of a schema. Those with names go to `schemas`. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', schemas: Record<string, Schema>): Schema {
  const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io });
  for (const [name, found] of Object.entries($defs)) schemas[name] = relinked(withoutId(found as Schema));
  const { id, ...rest } = own as { readonly id?: string };
  const whole = relinked(rest as Schema);
  if (id === undefined) return whole;
  schemas[id] = whole;
  return { $ref: `#/components/schemas/${id}` };
}

function withoutId(schema: Schema): Schema {
  if (typeof schema === 'boolean') return schema;
  const { id: _, ...rest } = schema as { readonly id?: string };
  return rest as Schema;
}

function relinked(schema: Schema): Schema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', '"#/components/schemas/')) as Schema;
}
