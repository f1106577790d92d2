// The program of the process of the admin API. The primary starts it when the first client comes; its end concerns no
// traffic.
import type { Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { HipacheError } from '../base/errors.ts';
import type { InstanceSubject } from '../base/instance-question.ts';
import { dashboardDirectory, siteDirectory } from '../base/package-files.ts';
import { standardLog } from '../base/standard-log.ts';
import { setRealTimer } from '../base/timer.ts';
import type { Config } from '../config/config.ts';
import type { LiveExplanation } from '../operations/explain-live.ts';
import { LocalPerformer } from '../operations/local-performer.ts';
import { RouteIndex } from '../operations/route-search.ts';
import { openStore } from '../stores/open-store.ts';
import type { WorkerStatistics } from '../telemetry/host-statistics.ts';
import type { LoadSummary } from '../telemetry/load-summary.ts';
import type { WorkerTail } from '../telemetry/request-tail.ts';
import { AccessControl } from './access.ts';
import { AdminServer } from './admin-server.ts';
import { adminApp, helpPath } from './app.ts';
import { EventFeed } from './event-feed.ts';
import { adminDescriptor, type FromAdmin, type ToAdmin } from './messages.ts';
import { StaticFiles } from './static-files.ts';

/** How long the primary may take to answer, or to ask its workers, in ms. */
const liveMs = 5000;

/** Questions to the instance that are not answered yet, by their number. */
const questions = new Map<number, (answers: readonly unknown[]) => void>();
let asked = 0;
let server: AdminServer | null = null;
let events: EventFeed | null = null;

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
    case 'answers':
      questions.get(message.id)?.(message.answers);
      break;
  }
});
// A terminal sends these to all processes, and the primary decides.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
// A deploy that is under way may finish, unless the primary ends.
process.on('SIGTERM', () => {
  events?.close();
  server?.end(() => process.exit());
});
process.on('disconnect', () => process.exit());

function serverOf(config: Config): AdminServer {
  const { log } = standardLog({ level: config.server.logLevel, format: config.server.logFormat });
  const routeIndex = new RouteIndex({
    follow: async (onChange, onReset) =>
      (await events?.follow((collection, names) => collection === 'routes' && onChange(names), onReset)) ?? null,
    setTimer: setRealTimer,
  });
  const performer = new LocalPerformer({
    routeIndex,
    openStore,
    locate: () => ({ driver: config.driver, deadSet: config.compat.deadSet }),
    config: () => config,
    now: Date.now,
    instance: {
      explain: async (question) => byNumber(await ask<LiveExplanation>('explain', question)),
      statistics: async (question) => byNumber(await ask<WorkerStatistics>('statistics', question)),
      tail: async (question) => byNumber(await ask<WorkerTail>('tail', question)),
      load: async (afterMs) => (await ask<readonly LoadSummary[]>('load', afterMs)).flat(),
    },
  });
  events = new EventFeed({
    performer,
    openWatched: () => openStore(config.driver, { serving: true, deadSet: false }),
    now: Date.now,
    log,
  });
  const app = adminApp({
    performer,
    events,
    dashboard: new StaticFiles(dashboardDirectory(), '/'),
    help: new StaticFiles(siteDirectory(), helpPath),
    access: new AccessControl(config.admin),
    log,
    isEnding: () => server?.isEnding === true,
  });
  return new AdminServer(config.admin, getRequestListener(app.fetch));
}

function byNumber<Answer extends { readonly worker: number }>(answers: readonly Answer[]): readonly Answer[] {
  return answers.toSorted((one, other) => one.worker - other.worker);
}

/** The answers to a question to this instance. */
async function ask<Answer>(subject: InstanceSubject, question: unknown): Promise<readonly Answer[]> {
  const id = ++asked;
  const { promise, reject, resolve } = Promise.withResolvers<readonly unknown[]>();
  questions.set(id, resolve);
  const late = () => reject(new HipacheError('INSTANCE_UNREACHABLE', 'no answer from the primary'));
  const timer = setTimeout(late, liveMs);
  send({ kind: 'ask', id, subject, question });
  try {
    return (await promise) as readonly Answer[];
  } finally {
    clearTimeout(timer);
    questions.delete(id);
  }
}

function send(message: FromAdmin): void {
  process.send?.(message);
}
