import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { findProgram } from '../../scripts/servers.ts';
import { until } from './until.ts';

export const browsers = ['chromium', 'firefox-esr'] as const;
export type Browser = (typeof browsers)[number];

/** Firefox calls home at its start, and asks the user things. */
const firefoxSettings = {
  'app.normandy.enabled': false,
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'http://127.0.0.1:1',
  'toolkit.telemetry.enabled': false,
};

/** How long a browser may take to start and do its work, in ms. */
const openMsMax = 50_000;

/**
 * Opens a page until it is done.
 * @param profile a directory that does not exist. @param authority PEM file of an authority that the browser trusts.
 * @returns what the browser has written to its log.
 */
export async function openPage(
  browser: Browser,
  url: string,
  profile: string,
  authority: string,
  isDone: () => boolean,
): Promise<string> {
  const options = browser === 'chromium' ? chromium(profile) : firefox(profile, authority);
  const child = spawn(findProgram(browser) as string, [...options, url], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    env: { ...process.env, HOME: profile },
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let log = '';
  child.stderr.on('data', (bytes: Buffer) => {
    log += bytes.toString();
  });
  try {
    await until('the page', () => isDone() || child.exitCode !== null, openMsMax);
    return log;
  } finally {
    // Its many processes form one group.
    process.kill(-(child.pid as number), 'SIGKILL');
    await ended;
  }
}

function chromium(profile: string): readonly string[] {
  return [
    ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--ignore-certificate-errors'],
    ...['--remote-debugging-port=0', `--user-data-dir=${profile}`],
  ];
}

function firefox(profile: string, authority: string): readonly string[] {
  mkdirSync(profile);
  const lines = Object.entries(firefoxSettings).map(
    ([name, value]) => `user_pref(${JSON.stringify([name, value]).slice(1, -1)});`,
  );
  writeFileSync(`${profile}/user.js`, `${lines.join('\n')}\n`);
  const database = ['-d', `sql:${profile}`];
  execFileSync('certutil', ['-N', ...database, '--empty-password']);
  execFileSync('certutil', ['-A', ...database, '-n', 'authority', '-t', 'C,,', '-i', authority]);
  return ['--headless', '--no-remote', '--profile', profile];
}
