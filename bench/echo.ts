import { fileURLToPath } from 'node:url';
import { untilListening } from './ports.ts';
import type { Processes } from './processes.ts';

/** Starts the WebSocket server that sends everything back. */
export async function startEcho(processes: Processes, port: number, core: number): Promise<void> {
  const program = fileURLToPath(import.meta.resolve('./programs/echo-backend.ts'));
  const running = processes.start('echo-backend', [process.execPath, program, String(port)], { core });
  await untilListening(running, port);
}
