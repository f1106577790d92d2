import type { Command } from 'commander';
import { makeAdminToken } from '../operations/admin-token.ts';
import type { CommandContext } from './command-context.ts';

/** Adds the commands below `admin`. */
export function describeAdmin(admin: Command, { options, print }: CommandContext): void {
  admin
    .command('token')
    .description('make a token for the admin API, and the line of the configuration that admits it')
    .argument('<name>', 'the name of its owner, for the log')
    .option('--write', 'it may change everything; default: it may look only')
    .option('--json', 'write one JSON object')
    .action((name: string) => {
      const made = makeAdminToken(name, options().write === true ? 'write' : 'read');
      const { entry, token } = made;
      const text = `token, which is shown this once: ${token}\nfor admin.tokens in the configuration: ${JSON.stringify(entry)}\n`;
      return print({ text, json: made });
    });
}
