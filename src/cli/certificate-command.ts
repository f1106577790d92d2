import { readFile, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { HipacheError } from '../base/errors.ts';
import type { ResultOf } from '../operations/catalogue.ts';
import { revocationReasons } from '../operations/revoke-certificate.ts';
import {
  certificateStandingReport,
  removedCertificateReport,
  revokedCertificateReport,
  shownCertificateReport,
  writeCertificates,
  writeOrders,
  writtenCertificateReport,
} from './certificates.ts';
import type { CommandContext } from './command-context.ts';
import { parseWait, printChange, waitOption } from './fleet.ts';

const host = ['<host>', 'a host, *.domain or *'] as const;
const asJson = ['--json', 'write one JSON object'] as const;
/** How long `cert order` waits, in seconds. */
const orderSecondsDefault = 120;
/** Certificates that are read at once. */
const certificatesPerPage = 100;
/** A certificate with its chain, or a key, in a file. */
const fileBytesMax = 256 * 1024;

/** Adds the commands below `cert`. */
export function describeCertificates(cert: Command, context: CommandContext): void {
  const { change, complain, now, options, out, perform, run } = context;
  cert
    .command('list')
    .description('list every certificate in the store, without its key')
    .option('--waiting', 'list the names whose orders wait, have failed or are under way, the next attempt first')
    .option('--json', 'write one JSON object per line')
    .action(async () => {
      const { json = false, waiting = false } = options();
      if (waiting) await writeOrders((await perform('waitingOrders', {})).orders, out, json);
      else await writeCertificates(allCertificates(context), out, json);
    });
  cert
    .command('show')
    .description('show the certificate that the store has for a host, without its key')
    .argument(...host)
    .option('--pem', 'write the certificate with its chain as PEM')
    .option(...asJson)
    .action((host: string) => {
      const { pem = false } = options();
      return run('showCertificate', { host }, (shown) => shownCertificateReport(shown, pem, now()));
    });
  cert
    .command('set')
    .description('store a certificate and its key, replacing any existing one')
    .argument(...host)
    .requiredOption('--cert <file>', 'PEM file of the certificate, followed by its chain')
    .requiredOption('--key <file>', 'PEM file of its private key')
    .option(...waitOption)
    .option(...asJson)
    .action(async (host: string) => {
      const { cert: file = '', key: keyFile = '', wait } = options();
      const waitSeconds = parseWait(wait);
      const [certificate, key] = [await readPem('--cert', file), await readPem('--key', keyFile)];
      const written = await perform('setCertificate', { host, certificate, key }).catch((error: unknown) => {
        if (!(error instanceof HipacheError) || error.code !== 'CERTIFICATE_INVALID') throw error;
        throw new HipacheError(error.code, `${file}, ${keyFile}: ${error.message}`, { cause: error });
      });
      for (const warning of written.warnings) await complain(`warning: ${warning}`);
      await printChange(writtenCertificateReport(written), waitSeconds, context);
    });
  cert
    .command('remove')
    .description('remove a certificate and its key from the store')
    .argument(...host)
    .option(...waitOption)
    .option(...asJson)
    .action((host: string) => change('removeCertificate', { host }, removedCertificateReport));
  describeOrders(cert, context);
}

/** Adds the commands about orders. */
function describeOrders(cert: Command, { now, options, run }: CommandContext): void {
  cert
    .command('why')
    .description('show which certificate a host has, why, and what its orders wait for')
    .argument(...host)
    .option(...asJson)
    .action((host: string) =>
      run('certificateStanding', { host }, (standing) => certificateStandingReport(standing, now())),
    );
  cert
    .command('order')
    .alias('renew')
    .description('have a new certificate ordered now, by a running instance, and wait for it')
    .argument(...host)
    .option('--wait [seconds]', `how long to wait for it; default ${orderSecondsDefault} s`)
    .option(...asJson)
    .action((host: string) => {
      const { wait } = options();
      const waitSeconds = (wait === true ? null : parseWait(wait)) ?? orderSecondsDefault;
      return run('orderCertificate', { host, waitSeconds }, (standing) => certificateStandingReport(standing, now()));
    });
  cert
    .command('revoke')
    .description('revoke the certificate that was ordered for a host, and have another one ordered')
    .argument(...host)
    .option('--reason <reason>', `one of ${Object.keys(revocationReasons).join(', ')}; default: unspecified`)
    .option(...asJson)
    .action((host: string) => run('revokeCertificate', { host, reason: options().reason }, revokedCertificateReport));
}

async function* allCertificates({
  perform,
}: CommandContext): AsyncGenerator<ResultOf<'listCertificates'>['certificates']> {
  for (let after: string | null = ''; after !== null; ) {
    const page: ResultOf<'listCertificates'> = await perform('listCertificates', { after, limit: certificatesPerPage });
    yield page.certificates;
    after = page.next;
  }
}

async function readPem(option: string, path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size <= fileBytesMax) return await readFile(path, 'utf8');
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem = code === 'ENOENT' ? `there is no file ${path}` : message;
    throw new HipacheError('COMMAND_INVALID', `${option}: ${problem}`, { cause });
  }
  throw new HipacheError('COMMAND_INVALID', `${option}: ${path} is longer than ${fileBytesMax} bytes`);
}
