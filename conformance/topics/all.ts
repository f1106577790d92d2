import type { Topic } from '../case.ts';
import { host } from './host.ts';
import { requestLine } from './request-line.ts';
import { targets } from './targets.ts';

/** Every topic, in the order of the page. */
export const topics: readonly Topic[] = [requestLine, targets, host];
