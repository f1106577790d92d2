import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { until } from '../../test/helpers/until.ts';
import { isRunning } from '../../test/helpers/workers.ts';
import { ServiceManager } from './service-manager.ts';

describe('the notification of systemd', () => {
  let directory: string;
  let warnings: string[];
  let service: ServiceManager;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hipache-notify-'));
    warnings = [];
  });

  afterEach(async () => {
    service.close();
    for (const pid of started()) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
    await until('the end of the programs', () => started().every((pid) => !isRunning(pid)));
    rmSync(directory, { recursive: true, force: true });
  });

  /** Has a program that writes its process id and hangs in the place of systemd-notify. */
  function hanging(timeoutMs: number, more: NodeJS.ProcessEnv = {}): ServiceManager {
    const text = `#!/bin/sh\necho $$ >> '${join(directory, 'started')}'\nexec sleep 1000\n`;
    writeFileSync(join(directory, 'systemd-notify'), text, { mode: 0o755 });
    const PATH = [directory, process.env['PATH']].join(delimiter);
    const log = { warn: (message: string) => void warnings.push(message) };
    service = new ServiceManager({ ...process.env, PATH, NOTIFY_SOCKET: '/nowhere', ...more }, log, timeoutMs);
    return service;
  }

  function started(): number[] {
    const path = join(directory, 'started');
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').filter(Boolean).map(Number) : [];
  }

  test('is given up, killed and logged if its program hangs', { timeout: 20_000 }, async () => {
    assert.equal(await hanging(200).ready(), false);
    assert.deepEqual(warnings, [
      'systemd was not notified: systemd-notify: it did not end within 0.2 s and was killed',
    ]);
    assert.ok(started().every((pid) => !isRunning(pid)));
  });

  test('sends no signs of life while another message hangs', { timeout: 20_000 }, async () => {
    const sent = hanging(500, { WATCHDOG_USEC: '20000' }).ready();
    await sent;
    service.close();
    assert.equal(warnings.length, 1);
  });
});
