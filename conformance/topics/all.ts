import type { Topic } from '../case.ts';
import { chunks } from './chunks.ts';
import { codings } from './codings.ts';
import { exchanges } from './exchanges.ts';
import { expect } from './expect.ts';
import { fields } from './fields.ts';
import { hopByHop } from './hop-by-hop.ts';
import { host } from './host.ts';
import { identity } from './identity.ts';
import { informational } from './informational.ts';
import { lengths } from './lengths.ts';
import { methods } from './methods.ts';
import { requestLine } from './request-line.ts';
import { responseFields } from './response-fields.ts';
import { responseFraming } from './response-framing.ts';
import { statusLines } from './status-lines.ts';
import { targets } from './targets.ts';
import { websocket } from './websocket.ts';

/** Every topic, in the order of the page. */
export const topics: readonly Topic[] = [
  ...[requestLine, targets, host, fields, lengths, codings, chunks, expect, hopByHop, methods, identity],
  ...[statusLines, responseFields, responseFraming, informational, exchanges, websocket],
];
