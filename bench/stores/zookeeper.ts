import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { untilListening } from '../ports.ts';
import type { Running } from '../processes.ts';
import type { Site } from '../site.ts';
import type { StorePlan } from './start-store.ts';

/** Where Debian's package has it. */
const jar = '/usr/share/java/zookeeper.jar';
/** How long a server may take to serve once it listens, in ms. */
const serveMsMax = 30_000;

/** Starts ZooKeeper, one server on its own. */
export async function startZooKeeper(site: Site, { name, port, directory }: StorePlan): Promise<Running> {
  const file = join(directory, 'zoo.cfg');
  const lines = [
    'tickTime=2000',
    'admin.enableServer=false',
    '4lw.commands.whitelist=srvr',
    'forceSync=no',
    `dataDir=${join(directory, 'data')}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
  ];
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  const options = ['-Xmx1g', '-XX:+UseSerialGC', '-cp', `${directory}:${jar}`];
  const command = ['java', ...options, 'org.apache.zookeeper.server.quorum.QuorumPeerMain', file];
  const running = site.processes.start(name, command, { core: site.loadCore });
  await untilListening(running, port);
  for (const endMs = performance.now() + serveMsMax; performance.now() < endMs; await delay(50)) {
    if ((await serverStatus(port)).includes('Mode: standalone')) return running;
  }
  throw new Error(`${name} does not serve:\n${running.output()}`);
}

/** The reply to the command `srvr`, empty without one. */
async function serverStatus(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  let reply = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    reply += text;
  });
  socket.on('error', () => socket.destroy());
  socket.setTimeout(1000, () => socket.destroy());
  socket.end('srvr');
  await once(socket, 'close');
  return reply;
}
