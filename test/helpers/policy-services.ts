import { AuthServers } from '../../src/policy/auth-servers.ts';
import type { PolicyServices } from '../../src/policy/policy-compiler.ts';

/** Takes every password for right, reaches no rate, and lets nobody in by an auth server. */
export const policyServices: PolicyServices = {
  checkPassword: async () => true,
  tokens: { take: () => 0, left: () => 0 },
  authServers: new AuthServers(async () => ({ status: 403, fields: [], body: '' })),
};
