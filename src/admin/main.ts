// The program of the process of the admin API. The primary starts it when the first client comes; its end concerns no
// traffic.
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { HipacheError } from '../base/errors.ts';
import { standardLog } from '../base/standard-log.ts';
import type { Config } from '../config/config.ts';
import type { LiveExplanation, LiveQuestion } from '../operations/explain-live.ts';
import { LocalPerformer } from '../operations/local-performer.ts';
import { openStore } from '../stores/open-store.ts';
import { AccessControl } from './access.ts';
import { AdminServer } from './admin-server.ts';
import { adminApp } from './app.ts';
import { adminDescriptor, type FromAdmin, type ToAdmin } from './messages.ts';

/** How long the primary may take to ask its workers, in ms. */
const liveMs = 5000;

/** Questions to the workers that are not answered yet, by their number. */
const questions = new Map<number, (explanations: readonly LiveExplanation[]) => void>();
let asked = 0;
let server: AdminServer | null = null;

process.on('message', (message: ToAdmin, client?: Socket) => {
  switch (message.kind) {
    case 'start':
      server = serverOf(message.config);
      void server.listen(adminDescriptor);
      break;
    case 'client':
      if (client !== undefined) server?.take(client);
      break;
    case 'ping':
      send({ kind: 'pong' });
      break;
    case 'explained':
      questions.get(message.id)?.(message.explanations as readonly LiveExplanation[]);
      break;
  }
});
// A terminal sends these to all processes, and the primary decides.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
// A deploy that is under way may finish, unless the primary ends.
process.on('SIGTERM', () => server?.end(() => process.exit()));
process.on('disconnect', () => process.exit());

function serverOf(config: Config): AdminServer {
  const { log } = standardLog({ level: config.server.logLevel, format: config.server.logFormat });
  const performer = new LocalPerformer({
    openStore,
    locate: () => ({ driver: config.driver, deadSet: config.compat.deadSet }),
    config: () => config,
    now: Date.now,
    askLive,
  });
  const app = adminApp({ performer, access: new AccessControl(config.admin), log });
  return new AdminServer(config.admin, getRequestListener(app.fetch));
}

async function askLive(question: LiveQuestion): Promise<readonly LiveExplanation[]> {
  const id = ++asked;
  const { promise, reject, resolve } = Promise.withResolvers<readonly LiveExplanation[]>();
  questions.set(id, resolve);
  const late = () => reject(new HipacheError('INSTANCE_UNREACHABLE', 'no answer from the primary'));
  const timer = setTimeout(late, liveMs);
  send({ kind: 'explain', id, question });
  try {
    const all = await promise;
    return all.toSorted((one, other) => one.worker - other.worker);
  } finally {
    clearTimeout(timer);
    questions.delete(id);
  }
}

function send(message: FromAdmin): void {
  process.send?.(message);
}
