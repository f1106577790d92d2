import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import {
  certificateStanding,
  type OrderingConfig,
  orderCertificate,
  orderingOf,
} from '../operations/certificate-standing.ts';
import { listCertificates, removeCertificate, setCertificate, showCertificate } from '../operations/certificates.ts';
import { revocationReasons, revokeCertificate } from '../operations/revoke-certificate.ts';
import { waitingOrders } from '../operations/waiting-orders.ts';
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
/** How long `cert order` waits, in ms. */
const orderMsDefault = 120_000;

/** Adds the commands below `cert`. @param config that of the command; null for the defaults. */
export function describeCertificates(cert: Command, context: CommandContext, config: () => Config | null): void {
  const { change, complain, now, options, out, print, run, withStore } = context;
  const ordering = (): OrderingConfig => orderingOf(config());
  cert
    .command('list')
    .description('list every certificate in the store, without its key')
    .option('--waiting', 'list the names whose orders wait, have failed or are under way, the next attempt first')
    .option('--json', 'write one JSON object per line')
    .action(() => {
      const { json = false, waiting = false } = options();
      const { passphrase } = ordering();
      return withStore(async (store) => {
        if (waiting) await writeOrders(await waitingOrders(store, now()), out, json);
        else await writeCertificates(listCertificates(store, passphrase), out, json);
      });
    });
  cert
    .command('show')
    .description('show the certificate that the store has for a host, without its key')
    .argument(...host)
    .option('--pem', 'write the certificate with its chain as PEM')
    .option(...asJson)
    .action((name: string) => {
      const { pem = false } = options();
      return run(showCertificate(name, ordering().passphrase), (shown) => shownCertificateReport(shown, pem, now()));
    });
  cert
    .command('set')
    .description('store a certificate and its key, replacing any existing one')
    .argument(...host)
    .requiredOption('--cert <file>', 'PEM file of the certificate, followed by its chain')
    .requiredOption('--key <file>', 'PEM file of its private key')
    .option(...waitOption)
    .option(...asJson)
    .action((name: string) => {
      const { cert: file = '', key = '', wait } = options();
      const operation = setCertificate(name, { cert: file, key }, now);
      const waitMs = parseWait(wait);
      return withStore(async (store) => {
        const written = await operation(store);
        for (const warning of written.warnings) await complain(`warning: ${warning}`);
        await printChange(writtenCertificateReport(written), store, waitMs, { now, print });
      }, true);
    });
  cert
    .command('remove')
    .description('remove a certificate and its key from the store')
    .argument(...host)
    .option(...waitOption)
    .option(...asJson)
    .action((name: string) => change(removeCertificate(name), removedCertificateReport));
  describeOrders(cert, context, config);
}

/** Adds the commands about orders. */
function describeOrders(cert: Command, { now, options, run }: CommandContext, config: () => Config | null): void {
  const ordering = (): OrderingConfig => orderingOf(config());
  cert
    .command('why')
    .description('show which certificate a host has, why, and what its orders wait for')
    .argument(...host)
    .option(...asJson)
    .action((name: string) =>
      run(certificateStanding(name, ordering()), (standing) => certificateStandingReport(standing, now())),
    );
  cert
    .command('order')
    .alias('renew')
    .description('have a new certificate ordered now, by a running instance, and wait for it')
    .argument(...host)
    .option('--wait [seconds]', `how long to wait for it; default ${orderMsDefault / 1000} s`)
    .option(...asJson)
    .action((name: string) => {
      const { wait } = options();
      const waitMs = wait === undefined || wait === true ? orderMsDefault : (parseWait(wait) ?? orderMsDefault);
      return run(orderCertificate(name, ordering(), waitMs, now), (standing) =>
        certificateStandingReport(standing, now()),
      );
    });
  cert
    .command('revoke')
    .description('revoke the certificate that was ordered for a host, and have another one ordered')
    .argument(...host)
    .option('--reason <reason>', `one of ${Object.keys(revocationReasons).join(', ')}; default: unspecified`)
    .option(...asJson)
    .action((name: string) => {
      const { reason = 'unspecified' } = options();
      return run(revokeCertificate(name, reason, config()?.acme ?? null, now), revokedCertificateReport);
    });
}
