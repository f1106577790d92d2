import { httpDate } from '../http/date.ts';
import { type FieldEdits, type FieldLines, isNamed } from '../http/field-lines.ts';
import { Field, isHopByHop } from '../http/field-names.ts';
import { isNominated, type ResponseView } from '../http/message.ts';
import { addField, addLines } from './encode-fields.ts';
import { type HpackEncoder, Indexing } from './hpack-encoder.ts';

/** Blocks that are kept, of one connection. More hosts than that on one connection are rare. */
const keptMax = 32;

/** The header blocks of responses to one client. Those of heads that repeat are made once. */
export class ResponseBlocks {
  private readonly encoder: HpackEncoder;
  /** By the text of the head; null for none, which an idle connection has. */
  private kept: Map<string, string> | null = null;
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
    const { encoder } = this;
    if (this.generation !== encoder.generation) {
      this.kept?.clear();
      this.generation = encoder.generation;
    }
    const known = this.kept?.get(key);
    if (known !== undefined) return known;
    const block = this.encode(response, edits, epochMs);
    if (this.generation === encoder.generation) {
      this.kept ??= new Map();
      if (this.kept.size >= keptMax) this.kept.clear();
      this.kept.set(key, block);
    }
    return block;
  }

  /** Drops the blocks that are kept. */
  clear(): void {
    this.kept = null;
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
