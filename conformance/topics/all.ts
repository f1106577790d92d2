import type { Topic } from '../case.ts';
import { chunks } from './chunks.ts';
import { codings } from './codings.ts';
import { fields } from './fields.ts';
import { host } from './host.ts';
import { lengths } from './lengths.ts';
import { requestLine } from './request-line.ts';
import { targets } from './targets.ts';

/** Every topic, in the order of the page. */
export const topics: readonly Topic[] = [requestLine, targets, host, fields, lengths, codings, chunks];
