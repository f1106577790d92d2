import { listenFailure } from '../base/listen-failure.ts';
import type { Config } from '../config/config.ts';
import { ListenSockets } from '../processes/listen-sockets.ts';

interface PortProblem {
  readonly message: string;
  /** Another process listens there: maybe a Hipache that runs with this configuration. */
  readonly isInUse: boolean;
}

/** Binds each address of the configuration for a moment. */
export async function portProblems({ http, https, metrics }: Config): Promise<readonly PortProblem[]> {
  const addresses = [...http.bind, ...https.bind].map(({ address, port }) => ({ address, port }));
  if (metrics.port !== null) addresses.push({ address: metrics.bind, port: metrics.port });
  const problems: PortProblem[] = [];
  for (const { address, port } of addresses) {
    try {
      (await ListenSockets.bind(address, port, 1, null)).close();
    } catch (error) {
      const { message } = error as Error;
      problems.push({ message, isInUse: message === listenFailure(address, port, 'EADDRINUSE').message });
    }
  }
  return problems;
}
