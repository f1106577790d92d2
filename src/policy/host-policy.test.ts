import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultRetryBudget } from '../routing/retry-budget.ts';
import { TwoRandomChoices } from '../routing/selector.ts';
import { type HostPolicy, whyNotAdmitted } from './host-policy.ts';

const policy: HostPolicy = {
  rules: null,
  requestFields: null,
  paths: null,
  strippedPath: '',
  backendHost: null,
  responseEdits: null,
  timeouts: { connectMs: 5000, responseMs: 30_000, responseIdleMs: 300_000 },
  tunnelIdleMs: 3_600_000,
  upgrades: new Set(),
  errorPage: null,
  selector: new TwoRandomChoices(Math.random),
  sticky: null,
  requestsMax: 2,
  requestBodyBytesMax: Number.POSITIVE_INFINITY,
  tunnelsMax: 1,
  retriesMax: 0,
  retryBudget: defaultRetryBudget,
  retryBodyBytesMax: 0,
  downMs: 0,
  retryForMs: 30_000,
  retryTimeouts: false,
  marking: { byFirst: false, on500: true, failuresMin: 5, share: 0.5 },
  health: null,
};

test('a host is admitted up to its limits; tunnels have a separate one', () => {
  assert.equal(whyNotAdmitted(policy, { inFlight: 1, tunnels: 1 }, false), '');
  assert.equal(whyNotAdmitted(policy, { inFlight: 1, tunnels: 0 }, true), '');
  assert.equal(whyNotAdmitted(policy, { inFlight: 2, tunnels: 0 }, false), '2 requests in flight');
  assert.equal(whyNotAdmitted(policy, { inFlight: 1, tunnels: 1 }, true), '1 tunnels');
});
