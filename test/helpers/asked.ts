import { Field } from '../../src/http/field-names.ts';
import type { FieldView, RequestView } from '../../src/http/message.ts';
import type { Asked } from '../../src/routing/selector.ts';

type Line = readonly [name: string, value: string];

/** Fields of a message, in order. */
export function viewOf(...lines: readonly Line[]): FieldView {
  return {
    fieldCount: lines.length,
    nominated: null,
    fieldNumber: () => Field.OTHER,
    fieldName: (field) => lines[field]?.[0] ?? '',
    fieldValue: (field) => lines[field]?.[1] ?? '',
  };
}

/** A request that selectors are asked about. */
export function askedBy(clientAddress: string, ...lines: readonly Line[]): Asked {
  return { request: viewOf(...lines) as RequestView, clientAddress };
}
