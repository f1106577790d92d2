import { spawn } from 'node:child_process';
import { printable } from '../base/printable.ts';
import { AcmeError } from './acme-error.ts';
import type { TextRecord } from './dns-records.ts';

/** How TXT records are written and removed: by a program or by a web service of the operator. */
export type DnsHookSettings =
  | { readonly kind: 'command'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string; readonly username: string; readonly password: string };

/** How long a hook may take, in ms. */
const hookMs = 60_000;
const outputCharsMax = 300;

/**
 * Calls the hook, as lego's providers `exec` and `httpreq` do: the program with the arguments `present` or `cleanup`, the name
 * with its final dot, and the value; or a POST to `/present` or `/cleanup` below the URL, with the same as JSON.
 * @throws AcmeError `proofNotShown`.
 */
export async function callDnsHook(
  hook: DnsHookSettings,
  action: 'present' | 'cleanup',
  { name, value }: TextRecord,
): Promise<void> {
  const fqdn = `${name}.`;
  const problem =
    hook.kind === 'command' ? await run(hook.path, [action, fqdn, value]) : await post(hook, action, fqdn, value);
  if (problem === null) return;
  const who = hook.kind === 'command' ? hook.path : new URL(hook.url).origin;
  throw new AcmeError(`the DNS hook ${who} did not ${action} the record ${name}: ${problem}`, {
    type: 'proofNotShown',
  });
}

/** @returns why it failed; null if it did not. A process that it leaves behind is not waited for. */
function run(path: string, args: readonly string[]): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: hookMs, killSignal: 'SIGKILL' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      if (output.length < outputCharsMax) output += part;
    });
  }
  child.once('error', (error) => resolve(error.message));
  child.once('exit', (code, signal) => {
    // Output may still be in the pipe.
    setImmediate(() => {
      child.stdout.destroy();
      child.stderr.destroy();
      if (code === 0) resolve(null);
      else
        resolve(
          code === null ? `ended by ${signal}, after up to ${hookMs / 1000} s` : `exit ${code}: ${shown(output)}`,
        );
    });
  });
  return promise;
}

async function post(
  { password, url, username }: Extract<DnsHookSettings, { kind: 'url' }>,
  action: string,
  fqdn: string,
  value: string,
): Promise<string | null> {
  const authorization = username === '' ? {} : { authorization: `Basic ${btoa(`${username}:${password}`)}` };
  try {
    const response = await fetch(`${url.replace(/\/$/, '')}/${action}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...authorization },
      body: JSON.stringify({ fqdn, value }),
      redirect: 'error',
      signal: AbortSignal.timeout(hookMs),
    });
    const text = await response.text();
    return response.ok ? null : `status ${response.status}: ${shown(text)}`;
  } catch (error) {
    const { cause, message, name } = error as Error & { cause?: NodeJS.ErrnoException };
    return name === 'TimeoutError'
      ? `no response within ${hookMs / 1000} s`
      : (cause?.code ?? cause?.message ?? message);
  }
}

function shown(output: string): string {
  return printable(output.trim().slice(0, outputCharsMax)) || 'no output';
}
