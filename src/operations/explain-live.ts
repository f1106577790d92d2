import { HipacheError } from '../base/errors.ts';
import { shownUrl } from '../base/shown-url.ts';
import type { AskedRequest } from '../policy/admission.ts';
import type { LiveExplanation, LiveQuestion } from '../routing/live-explanation.ts';

export type { LiveExplanation, LiveQuestion } from '../routing/live-explanation.ts';

/** How long an instance may take, in ms. */
const timeoutMs = 5000;

/**
 * Asks a running instance about a request, at the address of its metrics.
 * @param base such as `http://127.0.0.1:9090`.
 * @returns the answer of each worker, by their numbers.
 * @throws HipacheError INSTANCE_UNREACHABLE.
 */
export async function explainLive(base: string, question: LiveQuestion): Promise<readonly LiveExplanation[]> {
  const url = `${base.replace(/\/$/, '')}/explain?question=${encodeURIComponent(JSON.stringify(question))}`;
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
    const body = await response.text();
    if (!response.ok) throw new Error(`status ${response.status}: ${body.trim().slice(0, 200)}`);
    const all = JSON.parse(body) as LiveExplanation[];
    return all.toSorted((one, other) => one.worker - other.worker);
  } catch (error) {
    const { cause, message } = error as Error;
    const problem = cause instanceof Error ? cause.message : message;
    throw new HipacheError('INSTANCE_UNREACHABLE', `no answer from the instance at ${shownUrl(base)}: ${problem}`);
  }
}

/** The question about a request. */
export function liveQuestion({ clientAddress, host, isSecure, request }: AskedRequest): LiveQuestion {
  const { method, path } = request;
  const client = clientAddress.replace(/^::ffff:(?=\d+\.)/, '');
  const fields = Array.from(
    { length: request.fieldCount },
    (_, i) => [request.fieldName(i), request.fieldValue(i)] as const,
  );
  return { host, path, method, client, https: isSecure, fields };
}
