import { httpDate } from '../http/date.ts';
import { type FieldEdits, type FieldLines, isNamed } from '../http/field-lines.ts';
import { Field, isHopByHop } from '../http/field-names.ts';
import { isNominated, type ResponseView } from '../http/message.ts';
import { type HpackEncoder, Indexing } from './hpack-encoder.ts';

/** Blocks that are kept, of one connection. More hosts than that on one connection are rare. */
const keptMax = 32;

/** Fields whose value is seldom the same twice, and those that nobody else may learn of. */
const indexingByName: ReadonlyMap<string, Indexing> = new Map<string, Indexing>([
  ['age', Indexing.NONE],
  ['content-length', Indexing.NONE],
  ['content-range', Indexing.NONE],
  ['date', Indexing.NONE],
  ['etag', Indexing.NONE],
  ['expires', Indexing.NONE],
  ['last-modified', Indexing.NONE],
  ['location', Indexing.NONE],
  ['x-request-id', Indexing.NONE],
  ['authorization', Indexing.NEVER],
  ['cookie', Indexing.NEVER],
  ['proxy-authorization', Indexing.NEVER],
  ['set-cookie', Indexing.NEVER],
]);

/** HTTP/2 has no such fields (RFC 9113 section 8.2.2). */
const connectionFields: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  // Of HTTP/1.1 alone (RFC 8441 section 5).
  'sec-websocket-accept',
]);

function indexingOf(name: string): Indexing {
  return indexingByName.get(name) ?? Indexing.KEEP;
}

/** The header blocks of responses to one client. Those of heads that repeat are made once. */
export class ResponseBlocks {
  private readonly encoder: HpackEncoder;
  private readonly kept = new Map<string, string>();
  private generation = -1;

  constructor(encoder: HpackEncoder) {
    this.encoder = encoder;
  }

  /**
   * The block of a response from a backend.
   * @param edits null for none. @param epochMs the present time, for a response without a Date.
   */
  of(response: ResponseView, edits: FieldEdits | null, epochMs: number): string {
    const { source } = response;
    // Fields that are dropped by name depend on more than texts.
    if (source === null || !response.hasDate || (edits !== null && edits.names !== null)) {
      return this.encode(response, edits, epochMs);
    }
    const key = edits === null ? source : `${edits.text}\n${source}`;
    const { encoder, kept } = this;
    if (this.generation !== encoder.generation) {
      kept.clear();
      this.generation = encoder.generation;
    }
    const known = kept.get(key);
    if (known !== undefined) return known;
    const block = this.encode(response, edits, epochMs);
    if (this.generation === encoder.generation) {
      if (kept.size >= keptMax) kept.clear();
      kept.set(key, block);
    }
    return block;
  }

  /** Drops the blocks that are kept. */
  clear(): void {
    this.kept.clear();
  }

  /** The block of a response of the proxy. */
  ofLines(status: number, fields: FieldLines): string {
    const { encoder } = this;
    encoder.begin();
    encoder.add(':status', String(status), Indexing.KEEP);
    addLines(encoder, fields);
    return encoder.end();
  }

  /** The block that begins a tunnel, of the 101 of a backend (RFC 8441 section 5). */
  ofSwitch(response: ResponseView, edits: FieldEdits | null, epochMs: number): string {
    const { encoder } = this;
    encoder.begin();
    encoder.add(':status', '200', Indexing.KEEP);
    this.addFields(response, edits, epochMs);
    return encoder.end();
  }

  private encode(response: ResponseView, edits: FieldEdits | null, epochMs: number): string {
    const { encoder } = this;
    encoder.begin();
    encoder.add(':status', String(response.status), Indexing.KEEP);
    this.addFields(response, edits, epochMs);
    return encoder.end();
  }

  private addFields(response: ResponseView, edits: FieldEdits | null, epochMs: number): void {
    const { encoder } = this;
    const names = edits?.names ?? null;
    for (let field = 0; field < response.fieldCount; field++) {
      const number = response.fieldNumber(field);
      if (isHopByHop(number) || number === Field.FRAMING_ALIAS || number === Field.TRANSFER_ENCODING) continue;
      if (number === Field.CONTENT_LENGTH && (response.status < 200 || response.status === 204)) continue;
      if (isNominated(response, field)) continue;
      const name = response.fieldName(field);
      if (names !== null && isNamed(name, names)) continue;
      const value = response.fieldValue(field);
      // Without leading zeros.
      addField(encoder, name, number === Field.CONTENT_LENGTH ? String(Number(value)) : value);
    }
    if (!response.hasDate && response.status >= 200) encoder.add('date', httpDate(epochMs), Indexing.NONE);
    if (edits !== null) addLines(encoder, edits);
  }
}

/** The block of trailers. */
export function trailersBlock(encoder: HpackEncoder, trailers: FieldLines): string {
  encoder.begin();
  addLines(encoder, trailers);
  return encoder.end();
}

function addLines(encoder: HpackEncoder, lines: FieldLines): void {
  for (const [name, value] of lines) addField(encoder, name, value);
}

function addField(encoder: HpackEncoder, name: string, value: string): void {
  const lowered = name.toLowerCase();
  if (!connectionFields.has(lowered)) encoder.add(lowered, value, indexingOf(lowered));
}
