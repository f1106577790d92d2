import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotAdmitted } from './host-policy.ts';

const policy = { requestsMax: 2, tunnelsMax: 1 };

test('a host is admitted up to its limits; tunnels have a separate one', () => {
  assert.equal(whyNotAdmitted(policy, { inFlight: 1, tunnels: 1, waiting: null }, false), '');
  assert.equal(whyNotAdmitted(policy, { inFlight: 1, tunnels: 0, waiting: null }, true), '');
  assert.equal(whyNotAdmitted(policy, { inFlight: 2, tunnels: 0, waiting: null }, false), '2 requests in flight');
  assert.equal(whyNotAdmitted(policy, { inFlight: 1, tunnels: 1, waiting: null }, true), '1 tunnels');
});
