import { PlainRequest } from '../http/plain-request.ts';
import type { HostPolicy } from '../policy/host-policy.ts';
import { RateLimit } from '../policy/rate-limit.ts';
import type { RouteSource } from '../proxy/route-source.ts';
import { explainChoice, explainHold } from '../routing/explained-choice.ts';
import { type Frontend, servingBackends } from '../routing/frontend.ts';
import type { LiveExplanation, LiveQuestion } from '../routing/live-explanation.ts';

/** The parts of a worker that explain a host. */
export interface ExplainingWorker {
  readonly number: number;
  readonly routes: Pick<RouteSource, 'load'>;
  readonly isConnected: boolean;
  /** Of hosts without one of their own. */
  readonly policy: HostPolicy;
  readonly nowMs: number;
}

/** The state of a host in this worker, for one request, which is not made. @throws errors of the store. */
export async function explainLive(worker: ExplainingWorker, question: LiveQuestion): Promise<LiveExplanation> {
  const { isConnected, nowMs, number } = worker;
  const frontend = await frontendOf(worker, question);
  const policy = frontend?.policy ?? worker.policy;
  const { requestsMax, tunnelsMax } = policy;
  const known = { worker: number, isConnected, requestsMax, tunnelsMax };
  if (frontend === null) {
    const nothing = {
      matched: null,
      requests: 0,
      tunnels: 0,
      waiting: 0,
      tokens: null,
      held: null,
      chosen: null,
      backends: [],
    };
    return { ...known, ...nothing };
  }
  const { host, method, path, fields, client } = question;
  const request = new PlainRequest(host, method, path, fields);
  const asked = { request, clientAddress: client.includes(':') ? client : `::ffff:${client}` };
  const { inFlight, tunnels, waiting } = frontend.load;
  const held = explainHold(frontend, policy, nowMs);
  return {
    ...known,
    matched: frontend.pattern,
    requests: inFlight,
    tunnels,
    waiting: waiting?.size ?? 0,
    tokens: tokensOf(policy, frontend.pattern, asked),
    held,
    chosen: held === null ? explainChoice(frontend, policy, asked, nowMs) : null,
    backends: [...servingBackends(frontend), ...frontend.draining].map((backend) => ({
      url: backend.url,
      inFlight: backend.inFlight,
      dead: backend.isDown(nowMs) ? (backend.down?.reason ?? '') : null,
    })),
  };
}

async function frontendOf({ routes }: ExplainingWorker, { host, path }: LiveQuestion): Promise<Frontend | null> {
  const frontend = await routes.load(host);
  const paths = frontend?.policy?.paths ?? null;
  if (frontend === null || paths === null) return frontend;
  const found = paths.find(path);
  if (found === null) return null;
  return found.prefix === '' ? frontend : routes.load(frontend.pattern + found.prefix);
}

function tokensOf(
  { rules }: HostPolicy,
  pattern: string,
  asked: { readonly request: PlainRequest; readonly clientAddress: string },
): number | null {
  const rate = rules?.find((rule) => rule instanceof RateLimit);
  return rate === undefined ? null : rate.left(pattern, asked);
}
