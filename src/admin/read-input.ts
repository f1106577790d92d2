import { z } from 'zod';
import type { OperationName } from '../operations/catalogue.ts';
import { operationOf } from '../operations/catalogue.ts';
import { type Endpoint, endpoints, isInQuery, versionField } from './endpoints.ts';
import { ApiError } from './problem.ts';

/** A request as far as an operation needs it. */
export interface InputParts {
  /** The segments of the path, decoded, by the names of the fields. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly ifMatch: string | null;
  readonly ifNoneMatch: string | null;
  /** The text of the body; empty for none. */
  readonly body: string;
}

/** The query parameter of changes that makes them wait until they are live, in seconds. */
export const waitParameter = 'wait';

/**
 * Puts the input of an operation together. Its schema has not been applied yet.
 * @throws ApiError 400.
 */
export function readInput(name: OperationName, parts: InputParts): Record<string, unknown> {
  const endpoint: Endpoint = endpoints[name];
  if (isInQuery(endpoint) && parts.body !== '') {
    throw invalid(`${endpoint.method} takes no body: its fields are in the query`);
  }
  const fields = isInQuery(endpoint) ? fromQuery(name, parts.query) : fromBody(parts);
  for (const given of Object.keys(parts.path)) {
    if (given in fields) throw invalid(`${given} is in the path already`);
  }
  const version = versionOf(parts);
  return { ...fields, ...parts.path, ...(version === null ? {} : { [versionField]: version }) };
}

function fromQuery(name: OperationName, query: URLSearchParams): Record<string, unknown> {
  const types = typesOf(name);
  const fields: Record<string, unknown> = {};
  for (const field of new Set(query.keys())) {
    if (field === waitParameter) continue;
    const values = query.getAll(field);
    const type = types[field];
    if (type === 'array') {
      fields[field] = values;
      continue;
    }
    const [value = ''] = values;
    if (values.length > 1) throw invalid(`${field} is given ${values.length} times, and may be given once`);
    if (type === 'boolean') {
      if (!['', 'true', 'false', '1', '0'].includes(value))
        throw invalid(`${field}: found ${value}, allowed true or false`);
      fields[field] = value !== 'false' && value !== '0';
    } else if (type === 'number' || type === 'integer') {
      if (!/^-?\d+(\.\d+)?$/.test(value)) throw invalid(`${field}: found ${JSON.stringify(value)}, allowed a number`);
      fields[field] = Number(value);
    } else fields[field] = value;
  }
  return fields;
}

type FieldTypes = Readonly<Record<string, string | undefined>>;

const knownTypes = new Map<OperationName, FieldTypes>();

/** The type of each field of an input in JSON Schema; the first one that is not `null`. */
function typesOf(name: OperationName): FieldTypes {
  const known = knownTypes.get(name);
  if (known !== undefined) return known;
  const { properties = {} } = z.toJSONSchema(operationOf(name).input, { io: 'input' });
  const types = Object.fromEntries(Object.entries(properties).map(([field, schema]) => [field, typeIn(schema)]));
  knownTypes.set(name, types);
  return types;
}

function typeIn(schema: z.core.JSONSchema._JSONSchema): string | undefined {
  if (typeof schema === 'boolean') return undefined;
  if (typeof schema.type === 'string') return schema.type;
  return schema.anyOf?.map(typeIn).find((type) => type !== 'null');
}

function fromBody({ body, query }: InputParts): Record<string, unknown> {
  const parameter = [...query.keys()].find((name) => name !== waitParameter);
  if (parameter !== undefined) {
    throw invalid(
      `there is no parameter ${JSON.stringify(parameter)} in the query: fields of a change are in the body`,
    );
  }
  if (body.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw invalid(`the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid('the body is not a JSON object');
}

/** @returns null if any version will do. */
function versionOf({ ifMatch, ifNoneMatch }: InputParts): string | null {
  if (ifNoneMatch !== null) {
    if (ifNoneMatch.trim() === '*' && ifMatch === null) return 'none';
    throw invalid('If-None-Match may be * alone: the route must not exist');
  }
  if (ifMatch === null || ifMatch.trim() === '*') return null;
  const [, version] = /^ *"([\x21\x23-\x7e]+)" *$/.exec(ifMatch) ?? [];
  if (version === undefined) throw invalid('If-Match: allowed is one version in quotation marks, as ETag has it');
  return version;
}

function invalid(detail: string): ApiError {
  return new ApiError(400, 'REQUEST_INVALID', detail);
}
